//! Receiving a file with constant memory.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use axum::body::Body;
use axum::http::StatusCode;
use http_body_util::BodyExt;
use tempfile::NamedTempFile;

use crate::http::error::ApiError;

/// Bytes that are written at once.
const BUFFER: usize = 1 << 20;

/// A file that was received, under a temporary name.
pub(super) struct Received {
    pub(super) file: NamedTempFile,
    pub(super) digest: String,
    pub(super) size: u64,
}

/// Writes a body of at most `limit` bytes to a temporary file in a directory. No
/// thread waits for the client.
pub(super) async fn receive(
    mut body: Body,
    limit: u64,
    directory: &Path,
) -> Result<Received, ApiError> {
    let directory = directory.to_owned();
    let mut writer = blocking(move || FileWriter::create(&directory)).await?;
    let (mut size, mut buffer) = (0_u64, Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            ApiError::invalid(
                "the body ended before its announced length, or the client stopped sending it",
            )
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        size = size.saturating_add(data.len() as u64);
        if size > limit {
            return Err(too_large(limit));
        }
        buffer.extend_from_slice(&data);
        if buffer.len() >= BUFFER {
            writer = blocking(move || writer.write(&buffer)).await?;
            buffer = Vec::new();
        }
    }
    let (file, digest) = blocking(move || writer.write(&buffer)?.finish()).await?;
    Ok(Received { file, digest, size })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ApiError::internal("file not written", error))?
        .map_err(|error| ApiError::internal("file not written", error))
}

/// Returns the refusal of a file that is too large.
pub(super) fn too_large(limit: u64) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("file store is full: {limit} bytes are left"),
    )
}

/// A file in the making.
struct FileWriter {
    file: NamedTempFile,
    hasher: blake3::Hasher,
}

impl FileWriter {
    fn create(directory: &Path) -> io::Result<FileWriter> {
        Ok(FileWriter {
            file: NamedTempFile::new_in(directory)?,
            hasher: blake3::Hasher::new(),
        })
    }

    fn write(mut self, bytes: &[u8]) -> io::Result<FileWriter> {
        self.hasher.update(bytes);
        self.file.write_all(bytes)?;
        Ok(self)
    }

    /// Returns the file with the digest of its content.
    fn finish(self) -> io::Result<(NamedTempFile, String)> {
        File::sync_all(self.file.as_file())?;
        Ok((self.file, self.hasher.finalize().to_hex().to_string()))
    }
}
