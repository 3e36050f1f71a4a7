//! The contents of the messages that a trace needs, by pgwire's codec.
//!
//! Decoding is for readers only. A message that the codec refuses, or whose end was
//! clipped, costs the trace a detail and the connection nothing; its bytes passed long before.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::{BufMut, BytesMut};
use pgwire::messages::data::{ParameterDescription, RowDescription};
use pgwire::messages::extendedquery::{Bind, Close, Describe, Execute, Parse};
use pgwire::messages::response::ErrorResponse;
use pgwire::messages::simplequery::Query;
use pgwire::messages::startup::Startup;
use pgwire::messages::{DecodeContext, Message as Codec, ProtocolVersion};

use super::frame::Message;

/// What a client asked for; portals and statements by their names, the unnamed one being `""`.
#[derive(Debug)]
pub(super) enum Request {
    Parse {
        name: String,
        sql: String,
        types: Vec<u32>,
    },
    Bind {
        portal: String,
        statement: String,
        arguments: Arguments,
    },
    DescribeStatement(String),
    DescribePortal(String),
    Execute(String),
    CloseStatement(String),
    ClosePortal(String),
    Query(String),
    Call,
    /// Nothing that a reader could use.
    Opaque,
}

/// The values of a Bind and the formats in which it wants its columns.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) formats: Vec<i16>,
    pub(super) values: Vec<Option<bytes::Bytes>>,
    pub(super) column_formats: Vec<i16>,
    /// Length of the message in bytes, if it was too long to keep its values.
    pub(super) clipped: Option<usize>,
}

/// Whether a request message has content that [`Request::decode`] can read.
pub(super) fn is_request(tag: u8) -> bool {
    matches!(tag, b'Q' | b'P' | b'B' | b'D' | b'E' | b'C' | b'F')
}

impl Request {
    pub(super) fn decode(message: Message<'_>) -> Self {
        let request = match message.tag {
            b'Q' => decode::<Query>(&terminated(message))
                .map(|query| Self::Query(noted(query.query, message))),
            b'P' => decode::<Parse>(&terminated(message)).map(|parse| Self::Parse {
                name: parse.name.unwrap_or_default(),
                sql: noted(parse.query, message),
                types: parse.type_oids,
            }),
            b'B' => decode::<Bind>(&bind_of(message)).map(|bind| bound(bind, message)),
            b'D' => decode::<Describe>(message.body).map(|describe| {
                let name = describe.name.unwrap_or_default();
                match describe.target_type {
                    b'S' => Self::DescribeStatement(name),
                    _ => Self::DescribePortal(name),
                }
            }),
            b'C' => decode::<Close>(message.body).map(|close| {
                let name = close.name.unwrap_or_default();
                match close.target_type {
                    b'S' => Self::CloseStatement(name),
                    _ => Self::ClosePortal(name),
                }
            }),
            b'E' => decode::<Execute>(message.body)
                .map(|execute| Self::Execute(execute.name.unwrap_or_default())),
            b'F' => Some(Self::Call),
            _ => None,
        };
        request.unwrap_or(Self::Opaque)
    }
}

fn bound(bind: Bind, message: Message<'_>) -> Request {
    Request::Bind {
        portal: bind.portal_name.unwrap_or_default(),
        statement: bind.statement_name.unwrap_or_default(),
        arguments: Arguments {
            formats: bind.parameter_format_codes,
            values: bind.parameters,
            column_formats: bind.result_column_format_codes,
            clipped: message.is_clipped().then_some(message.len),
        },
    }
}

pub(super) fn row_description(message: Message<'_>) -> Option<RowDescription> {
    decode(message.body)
}

pub(super) fn parameter_types(message: Message<'_>) -> Option<Vec<u32>> {
    decode::<ParameterDescription>(message.body).map(|description| description.types)
}

pub(super) fn error_response(message: Message<'_>) -> Option<ErrorResponse> {
    decode(message.body)
}

/// The fields of a DataRow, as far as they were kept. `None` is SQL's NULL.
///
/// pgwire leaves the fields of a row in one piece, so they are cut apart here.
pub(super) fn fields<'a>(message: Message<'a>) -> impl Iterator<Item = Option<&'a [u8]>> {
    let mut rest = message.body.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            rest = after;
            return Some(None);
        };
        let (field, after) = after.split_at_checked(length).unwrap_or((after, &[]));
        rest = after;
        Some(Some(field))
    })
}

/// The text of a C string that is a message's whole body.
pub(super) fn c_string(message: Message<'_>) -> String {
    let text = message.body.strip_suffix(b"\0").unwrap_or(message.body);
    String::from_utf8_lossy(text).into_owned()
}

/// The parameters in a start-up packet, which has no type byte and begins with its length.
pub(super) fn startup_parameters(packet: &[u8]) -> BTreeMap<String, String> {
    decode::<Startup>(packet.get(4..).unwrap_or_default())
        .map(|startup| startup.parameters)
        .unwrap_or_default()
}

/// A simple Query, as bytes for the server.
pub(super) fn query_bytes(sql: &str) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    Query::new(sql.to_owned())
        .encode(&mut buffer)
        .expect("a statement is shorter than a gigabyte");
    buffer.into()
}

fn decode<M: Codec>(body: &[u8]) -> Option<M> {
    let context = DecodeContext::new(ProtocolVersion::PROTOCOL3_0);
    let mut buffer = BytesMut::from(body);
    // pgwire's decoders trust the counts inside a message and panic beyond its end.
    catch_unwind(AssertUnwindSafe(|| {
        M::decode_body(&mut buffer, body.len() + 4, &context)
    }))
    .ok()?
    .ok()
}

/// The body of a Query or a Parse, given an end again if its own was clipped.
fn terminated(message: Message<'_>) -> Vec<u8> {
    let mut body = message.body.to_vec();
    if message.is_clipped() {
        body.put_u8(0);
        body.put_u16(0);
    }
    body
}

/// The body of a Bind; of a clipped one the two names, with no values.
fn bind_of(message: Message<'_>) -> Vec<u8> {
    if !message.is_clipped() {
        return message.body.to_vec();
    }
    let mut names = message.body.splitn(3, |byte| *byte == 0);
    let mut body = Vec::new();
    for _ in 0..2 {
        body.put_slice(names.next().unwrap_or_default());
        body.put_u8(0);
    }
    body.put_slice(&[0; 6]);
    body
}

fn noted(mut sql: String, message: Message<'_>) -> String {
    if message.is_clipped() {
        sql.push_str(&format!("… ({} bytes)", message.len));
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(tag: u8, body: &[u8]) -> Message<'_> {
        Message {
            tag,
            body,
            len: body.len(),
        }
    }

    #[test]
    fn a_bind_gives_its_names_and_values() {
        let body = b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x04\0\0\0\x07\xff\xff\xff\xff\0\x01\0\x01";
        let Request::Bind {
            portal,
            statement,
            arguments,
        } = Request::decode(whole(b'B', body))
        else {
            panic!("not a bind");
        };
        assert_eq!((portal.as_str(), statement.as_str()), ("p", "s"));
        assert_eq!(arguments.values[0].as_deref(), Some(&[0, 0, 0, 7][..]));
        assert_eq!(arguments.values[1], None);
        assert_eq!(
            (arguments.formats, arguments.column_formats),
            (vec![1], vec![1])
        );
    }

    #[test]
    fn a_clipped_bind_keeps_its_names_and_says_its_length() {
        let message = Message {
            tag: b'B',
            body: b"p\0s\0\0\0\0\x01\0\x10",
            len: 1_000_000,
        };
        let Request::Bind {
            portal,
            statement,
            arguments,
        } = Request::decode(message)
        else {
            panic!("not a bind");
        };
        assert_eq!((portal.as_str(), statement.as_str()), ("p", "s"));
        assert_eq!(arguments.clipped, Some(1_000_000));
    }

    #[test]
    fn a_clipped_query_says_how_long_it_was() {
        let message = Message {
            tag: b'Q',
            body: b"select 'xxx",
            len: 5_000,
        };
        let Request::Query(sql) = Request::decode(message) else {
            panic!("not a query")
        };
        assert_eq!(sql, "select 'xxx… (5000 bytes)");
    }

    #[test]
    fn what_the_codec_cannot_read_is_opaque() {
        assert!(matches!(
            Request::decode(whole(b'B', b"p\0s\0\0\x01")),
            Request::Opaque
        ));
        assert!(matches!(Request::decode(whole(b'P', b"")), Request::Opaque));
        assert!(matches!(
            Request::decode(whole(b'y', b"hm")),
            Request::Opaque
        ));
    }

    #[test]
    fn a_row_is_cut_into_its_fields() {
        let row = b"\0\x03\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\0";
        let found: Vec<_> = fields(whole(b'D', row)).collect();
        assert_eq!(found, [Some(&b"ab"[..]), None, Some(&b""[..])]);
    }
}
