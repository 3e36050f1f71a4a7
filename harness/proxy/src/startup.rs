//! The packets before a session: encryption refused, cancel requests told from start-ups.
//!
//! These have no type byte and come once, so they are read whole, apart from the
//! stream of messages that follows. Encryption is answered with `N`, since a proxy that reads
//! must see plain text; a client that insists on it goes away.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::stream::Stream;

/// The server's own limit for a start-up packet, in bytes.
const LONGEST_PACKET: usize = 10_000;
const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;

/// How a connection begins. Packets are whole, with their length.
#[derive(Debug)]
pub(super) enum Opening {
    Startup(Vec<u8>),
    Cancel(Vec<u8>),
}

impl Opening {
    /// What a CancelRequest carries, to be compared with BackendKeyData's body.
    pub(super) fn cancel_key(packet: &[u8]) -> &[u8] {
        packet.get(8..).unwrap_or_default()
    }
}

/// Reads the first packet that asks for something that is to be passed on.
///
/// # Errors
/// If the client goes away or does not speak the protocol.
pub(super) async fn read_opening(client: &mut Stream) -> io::Result<Opening> {
    loop {
        let packet = read_packet(client).await?;
        let code = packet
            .get(4..8)
            .and_then(|code| code.first_chunk())
            .copied();
        match code.map(u32::from_be_bytes) {
            Some(SSL_REQUEST | GSSENC_REQUEST) => client.write_all(b"N").await?,
            Some(CANCEL_REQUEST) => return Ok(Opening::Cancel(packet)),
            _ => return Ok(Opening::Startup(packet)),
        }
    }
}

async fn read_packet(client: &mut Stream) -> io::Result<Vec<u8>> {
    let length = client.read_u32().await?;
    let body_len = (length as usize)
        .checked_sub(4)
        .filter(|len| (4..LONGEST_PACKET).contains(len));
    let Some(body_len) = body_len else {
        let what = format!("a start-up packet cannot be {length} bytes long");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    };
    let mut packet = vec![0; 4 + body_len];
    packet[..4].copy_from_slice(&length.to_be_bytes());
    client.read_exact(&mut packet[4..]).await?;
    Ok(packet)
}
