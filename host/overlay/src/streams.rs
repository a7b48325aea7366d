//! Files as streams.
//!
//! Reading and writing happen on the spot, a page at most at a time: what is
//! in memory or in the system's cache is no matter for another thread. A reader
//! of data that is in neither is not ready until another thread has read it.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError};

use super::Errno;
use super::handle::Handle;
use super::store::PAGE;

/// Reads from a place on.
#[derive(Debug)]
pub(super) struct Reader {
    file: Arc<Handle>,
    offset: u64,
}

/// Writes from a place on, or always at the end.
#[derive(Debug)]
pub(super) struct Writer {
    file: Arc<Handle>,
    offset: Option<u64>,
    /// The failure that the next question is answered with.
    failed: Option<Errno>,
}

impl Reader {
    pub(super) fn new(file: Arc<Handle>, offset: u64) -> Reader {
        Reader { file, offset }
    }
}

impl Writer {
    pub(super) fn new(file: Arc<Handle>, offset: Option<u64>) -> Writer {
        Writer {
            file,
            offset,
            failed: None,
        }
    }

    fn check(&mut self) -> Result<(), StreamError> {
        self.failed.take().map_or(Ok(()), |error| Err(fail(error)))
    }
}

fn fail(error: Errno) -> StreamError {
    StreamError::LastOperationFailed(error.into())
}

impl InputStream for Reader {
    fn read(&mut self, size: usize) -> Result<Bytes, StreamError> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let bytes = self.file.read(self.offset, size).map_err(fail)?;
        if bytes.is_empty() {
            return Err(StreamError::Closed);
        }
        self.offset = self.offset.saturating_add(bytes.len() as u64);
        Ok(bytes.into())
    }
}

impl OutputStream for Writer {
    /// What there is no room for is an error, told at once if nothing could be
    /// written, else when the guest next asks.
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.check()?;
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            match self.file.write(self.offset, rest) {
                Ok(count) => {
                    done += count;
                    if let Some(offset) = &mut self.offset {
                        *offset = offset.saturating_add(count as u64);
                    }
                }
                Err(error) if done == 0 => return Err(fail(error)),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        self.check()
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        self.check()?;
        Ok(PAGE)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {
        self.file.fetch(self.offset, PAGE).await;
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}
