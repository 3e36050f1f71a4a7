//! What the server says of a step that is still coming in from the client.
//!
//! A step is whole with its Sync, but where nobody holds it its first messages reach
//! the server before that, and PostgreSQL does not keep an error back, nor output that its buffer
//! cannot hold. What was said early is kept here, and read as the beginning of the step's reply.

use super::frame::Message;
use super::reply::FIRST_ROWS;

/// The beginning of a reply whose step is not whole.
#[derive(Debug, Default)]
pub(super) struct Early {
    messages: Vec<(u8, Vec<u8>, usize)>,
    /// The rows of the result that comes in.
    rows: u64,
}

impl Early {
    /// Whether the body of such a message will be of use.
    pub(super) fn wants(&self, tag: u8) -> bool {
        match tag {
            b't' | b'T' | b'C' | b'E' => true,
            b'D' => self.rows < FIRST_ROWS,
            _ => false,
        }
    }

    /// Keeps a message, if it belongs to a reply at all.
    pub(super) fn keep(&mut self, message: Message<'_>) {
        let is_of_a_reply = matches!(
            message.tag,
            b'1' | b'2' | b'3' | b'n' | b't' | b'T' | b'D' | b'C' | b'I' | b's' | b'E'
        );
        if is_of_a_reply {
            self.rows = if message.tag == b'D' {
                self.rows + 1
            } else {
                0
            };
            let body = message.body.to_vec();
            self.messages.push((message.tag, body, message.len));
        }
    }

    /// Gives all that was kept, in order.
    pub(super) fn drain(&mut self, mut read: impl FnMut(Message<'_>)) {
        self.rows = 0;
        for (tag, body, len) in self.messages.drain(..) {
            read(Message {
                tag,
                body: &body,
                len,
            });
        }
    }
}
