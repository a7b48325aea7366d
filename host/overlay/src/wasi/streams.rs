//! Files as WASI streams.
//!
//! Reads and writes run in place, at most a page at a time: memory and the page
//! cache need no other thread. A reader whose data is in neither is not ready
//! until a blocking thread has read it.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError};

use crate::error::{ErrorCode, trap_of};
use crate::handle::Handle;
use crate::storage::pages::PAGE;

/// Reads from an offset on.
#[derive(Debug)]
pub(crate) struct FileInputStream {
    file: Arc<Handle>,
    offset: u64,
}

/// Writes from an offset on, or always at the end.
#[derive(Debug)]
pub(crate) struct FileOutputStream {
    file: Arc<Handle>,
    offset: Option<u64>,
    /// The error to return from the next call.
    failed: Option<ErrorCode>,
}

impl FileInputStream {
    pub(crate) fn new(file: Arc<Handle>, offset: u64) -> FileInputStream {
        FileInputStream { file, offset }
    }
}

impl FileOutputStream {
    pub(crate) fn new(file: Arc<Handle>, offset: Option<u64>) -> FileOutputStream {
        FileOutputStream {
            file,
            offset,
            failed: None,
        }
    }

    fn check(&mut self) -> Result<(), StreamError> {
        self.failed
            .take()
            .map_or(Ok(()), |error| Err(stream_error(error)))
    }
}

fn stream_error(error: ErrorCode) -> StreamError {
    match trap_of(error) {
        Some(trap) => StreamError::Trap(trap),
        None => StreamError::LastOperationFailed(error.into()),
    }
}

impl InputStream for FileInputStream {
    fn read(&mut self, size: usize) -> Result<Bytes, StreamError> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let bytes = self
            .file
            .read(self.offset, size)
            .inspect_err(|error| self.file.layer().observed.failure(*error))
            .map_err(stream_error)?;
        if bytes.is_empty() {
            return Err(StreamError::Closed);
        }
        self.offset = self.offset.saturating_add(bytes.len() as u64);
        Ok(bytes.into())
    }
}

impl OutputStream for FileOutputStream {
    /// Running out of quota is an error: returned at once if nothing could be
    /// written, otherwise from the next call.
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.check()?;
        if bytes.len() > PAGE {
            let error = "more bytes written to a stream than `check-write` allows";
            return Err(StreamError::trap(error));
        }
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            match self.file.write(self.offset, rest) {
                Ok(count) => {
                    done += count;
                    if let Some(offset) = &mut self.offset {
                        *offset = offset.saturating_add(count as u64);
                    }
                }
                Err(error) if done == 0 => return Err(stream_error(error)),
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
impl Pollable for FileInputStream {
    async fn ready(&mut self) {
        self.file.prefetch(self.offset, PAGE).await;
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for FileOutputStream {
    async fn ready(&mut self) {}
}
