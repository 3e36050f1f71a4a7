//! The bytes on their way in one direction of a connection.
//!
//! What passes at once is written from the very buffer into which it was read, and
//! only what had to wait is copied. A lane is read into only when it is empty, so a slow receiver
//! slows its sender down and nothing piles up here.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::Stream;

const BUFFER_BYTES: usize = 16 * 1024;
/// A spill larger than this is given back to the allocator once it is written.
const SPILL_KEPT_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Lane {
    buffer: Box<[u8]>,
    /// The part of the buffer that is to be written, before the spill.
    direct: Range<usize>,
    spill: Vec<u8>,
    spill_written: usize,
}

impl Lane {
    pub(super) fn new() -> Self {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Self {
            buffer,
            direct: 0..0,
            spill: Vec::new(),
            spill_written: 0,
        }
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.direct.is_empty() && self.spill.is_empty()
    }

    /// Adds bytes at the end.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.spill.extend_from_slice(bytes);
    }

    /// Adds at the end what lies at `at` in the buffer, where it may stay if nothing is before it.
    pub(super) fn pass(&mut self, at: usize, bytes: &[u8]) {
        if !self.spill.is_empty() {
            self.spill.extend_from_slice(bytes);
        } else if self.direct.is_empty() {
            self.direct = at..at + bytes.len();
        } else if self.direct.end == at {
            self.direct.end += bytes.len();
        } else {
            self.spill.extend_from_slice(bytes);
        }
    }

    /// Drops what waits; there is nobody to take it.
    pub(super) fn clear(&mut self) {
        self.direct = 0..0;
        self.spill.clear();
        self.spill_written = 0;
    }

    /// Takes the buffer out, to look at what was read; to be put back by [`Lane::put_back`].
    pub(super) fn take_buffer(&mut self) -> Box<[u8]> {
        std::mem::take(&mut self.buffer)
    }

    pub(super) fn put_back(&mut self, buffer: Box<[u8]>) {
        self.buffer = buffer;
    }

    /// Reads into the buffer, which must have nothing left to write, and says how many bytes.
    pub(super) fn poll_read(
        &mut self,
        from: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        debug_assert!(
            self.direct.is_empty(),
            "a lane is read into only when it is empty"
        );
        let mut buffer = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(from).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Writes until nothing is left.
    pub(super) fn poll_write(
        &mut self,
        to: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.direct.is_empty() {
            let bytes = &self.buffer[self.direct.clone()];
            self.direct.start += ready!(Pin::new(&mut *to).poll_write(cx, bytes))?;
        }
        while self.spill_written < self.spill.len() {
            let bytes = &self.spill[self.spill_written..];
            self.spill_written += ready!(Pin::new(&mut *to).poll_write(cx, bytes))?;
        }
        self.spill.clear();
        self.spill.shrink_to(SPILL_KEPT_BYTES);
        self.spill_written = 0;
        Poll::Ready(Ok(()))
    }
}
