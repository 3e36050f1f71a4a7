//! Finds the messages in a stream of bytes, however the reads cut it.
//!
//! A message's type byte and length are all that is needed to pass it on. Bodies are
//! kept only for messages that somebody asked for, and never more than [`KEPT_AT_MOST`] of one, so
//! a value of many megabytes streams through. It does not know what any message means.

/// How much of one message's body is kept, in bytes; the rest passes unseen.
pub(super) const KEPT_AT_MOST: usize = 64 * 1024;

const HEADER: usize = 5;

/// Tells messages apart in one direction of one connection.
#[derive(Debug, Default)]
pub(super) struct Framer {
    header: [u8; HEADER],
    header_len: usize,
    body_len: usize,
    body_left: usize,
    wanted: bool,
    /// The body so far, of a wanted message that came in several reads.
    kept: Vec<u8>,
    /// The stream is not in the protocol any more; everything passes.
    lost: bool,
}

/// What the next bytes of the stream are: (a part of) one message.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) tag: u8,
    /// Whether the message begins with this part.
    pub(super) first: bool,
    /// How many bytes of the input belong to it.
    pub(super) taken: usize,
    /// Present when the message ends with this part.
    pub(super) end: Option<Message<'a>>,
}

/// A message that has arrived to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) tag: u8,
    /// The body, or its beginning; empty if it was not wanted.
    pub(super) body: &'a [u8],
    /// The length of the whole body in bytes.
    pub(super) len: usize,
}

impl Message<'_> {
    pub(super) fn is_clipped(&self) -> bool {
        self.body.len() < self.len
    }
}

impl Framer {
    /// Takes the next part of a message off `input`, which must not be empty.
    ///
    /// `wants` is asked once per message, by its type byte, whether its body is to be kept.
    pub(super) fn next<'a>(
        &'a mut self,
        input: &'a [u8],
        wants: impl FnOnce(u8) -> bool,
    ) -> Part<'a> {
        if self.lost {
            return Part {
                tag: 0,
                first: true,
                taken: input.len(),
                end: None,
            };
        }
        let first = self.header_len == 0;
        if first {
            self.wanted = wants(input[0]);
            self.kept.clear();
        }
        let header_taken = (HEADER - self.header_len).min(input.len());
        self.header[self.header_len..][..header_taken].copy_from_slice(&input[..header_taken]);
        self.header_len += header_taken;
        let tag = self.header[0];
        if self.header_len < HEADER {
            return Part {
                tag,
                first,
                taken: header_taken,
                end: None,
            };
        }
        if header_taken > 0 && !self.begin_body() {
            return Part {
                tag: 0,
                first: true,
                taken: input.len(),
                end: None,
            };
        }
        self.take_body(input, header_taken, first)
    }

    fn begin_body(&mut self) -> bool {
        let [_, length @ ..] = self.header;
        match (u32::from_be_bytes(length) as usize).checked_sub(4) {
            Some(body_len) => {
                (self.body_len, self.body_left) = (body_len, body_len);
                true
            }
            None => {
                self.lost = true;
                false
            }
        }
    }

    fn take_body<'a>(&'a mut self, input: &'a [u8], from: usize, first: bool) -> Part<'a> {
        let body_taken = self.body_left.min(input.len() - from);
        let body = &input[from..from + body_taken];
        self.body_left -= body_taken;
        let (tag, taken) = (self.header[0], from + body_taken);
        let ended = self.body_left == 0;
        let whole_here = ended && body_taken == self.body_len;
        if self.wanted && !whole_here {
            let room = KEPT_AT_MOST - self.kept.len();
            self.kept.extend_from_slice(&body[..body.len().min(room)]);
        }
        if !ended {
            return Part {
                tag,
                first,
                taken,
                end: None,
            };
        }
        self.header_len = 0;
        let body = match (self.wanted, whole_here) {
            (false, _) => &[],
            (true, true) => &body[..body.len().min(KEPT_AT_MOST)],
            (true, false) => self.kept.as_slice(),
        };
        Part {
            tag,
            first,
            taken,
            end: Some(Message {
                tag,
                body,
                len: self.body_len,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rowlock_testing::seed::for_all;

    fn framed(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    /// Feeds the stream in pieces of the given sizes and returns the messages found.
    fn messages(
        stream: &[u8],
        mut sizes: impl Iterator<Item = usize>,
    ) -> Vec<(u8, Vec<u8>, usize)> {
        let mut framer = Framer::default();
        let mut found = Vec::new();
        let mut at = 0;
        while at < stream.len() {
            let end = (at + sizes.next().unwrap_or(1).max(1)).min(stream.len());
            while at < end {
                let part = framer.next(&stream[at..end], |tag| tag != b'x');
                at += part.taken;
                if let Some(message) = part.end {
                    found.push((message.tag, message.body.to_vec(), message.len));
                }
            }
        }
        found
    }

    fn any_message() -> impl Strategy<Value = (u8, Vec<u8>)> {
        let tag = prop_oneof![Just(b'Q'), Just(b'Z'), Just(b'x'), any::<u8>()];
        (tag, proptest::collection::vec(any::<u8>(), 0..40))
    }

    #[test]
    fn any_cut_of_the_stream_gives_the_same_messages() {
        let sent = proptest::collection::vec(any_message(), 0..20);
        let sizes = proptest::collection::vec(1usize..30, 0..60);
        for_all(256, &(sent, sizes), |(sent, sizes)| {
            let framed = sent.iter().flat_map(|(tag, body)| framed(*tag, body));
            let stream: Vec<u8> = framed.collect();
            let expected: Vec<_> = sent
                .iter()
                .map(|(tag, body)| {
                    let kept = if *tag == b'x' { vec![] } else { body.clone() };
                    (*tag, kept, body.len())
                })
                .collect();
            prop_assert_eq!(
                &messages(&stream, std::iter::repeat(stream.len())),
                &expected
            );
            prop_assert_eq!(&messages(&stream, std::iter::repeat(1)), &expected);
            prop_assert_eq!(&messages(&stream, sizes.into_iter()), &expected);
            Ok(())
        });
    }

    #[test]
    fn a_long_body_is_kept_up_to_the_limit_whether_it_comes_at_once_or_not() {
        let stream = framed(b'D', &vec![7; KEPT_AT_MOST + 100]);
        for size in [stream.len(), 1000] {
            let found = messages(&stream, std::iter::repeat(size));
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].1.len(), KEPT_AT_MOST);
            assert_eq!(found[0].2, KEPT_AT_MOST + 100);
        }
    }

    #[test]
    fn after_an_impossible_length_everything_passes_unframed() {
        let mut framer = Framer::default();
        let stream = b"Q\0\0\0\x03whatever follows";
        assert_eq!(framer.next(stream, |_| true).taken, stream.len());
        let part = framer.next(b"more", |_| true);
        assert_eq!((part.tag, part.taken), (0, 4));
        assert!(part.end.is_none());
    }
}
