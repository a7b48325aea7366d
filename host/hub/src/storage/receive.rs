//! Receiving a file with constant memory.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use http_body_util::BodyExt;
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use crate::http::error::ApiError;

/// A file that was received, under a temporary name.
pub(super) struct Received {
    pub(super) file: NamedTempFile,
    pub(super) digest: String,
    pub(super) size: u64,
}

/// Writes a body of at most `limit` bytes to a temporary file in a directory.
pub(super) async fn receive(
    mut body: Body,
    limit: u64,
    directory: &Path,
) -> Result<Received, ApiError> {
    let directory = directory.to_owned();
    let (sender, chunks) = mpsc::channel::<Bytes>(4);
    let writer = tokio::task::spawn_blocking(move || write(&directory, chunks));
    let mut size = 0_u64;
    loop {
        let frame = match body.frame().await {
            None => break,
            Some(Ok(frame)) => frame,
            Some(Err(_)) => {
                return Err(ApiError::invalid(
                    "the body ended before its announced length",
                ));
            }
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        size = size.saturating_add(data.len() as u64);
        if size > limit {
            return Err(too_large(limit));
        }
        // The thread has failed; its result says why.
        if sender.send(data).await.is_err() {
            break;
        }
    }
    drop(sender);
    let (file, digest) = writer
        .await
        .map_err(|error| ApiError::internal("file not written", error))?
        .map_err(|error| ApiError::internal("file not written", error))?;
    Ok(Received { file, digest, size })
}

/// Returns the refusal of a file that is too large.
pub(super) fn too_large(limit: u64) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("file store is full: {limit} bytes are left"),
    )
}

/// Writes the chunks to a file, and returns it with their digest.
fn write(
    directory: &Path,
    mut chunks: mpsc::Receiver<Bytes>,
) -> std::io::Result<(NamedTempFile, String)> {
    let mut file = NamedTempFile::new_in(directory)?;
    let mut hasher = blake3::Hasher::new();
    while let Some(chunk) = chunks.blocking_recv() {
        hasher.update(&chunk);
        file.write_all(&chunk)?;
    }
    File::sync_all(file.as_file())?;
    Ok((file, hasher.finalize().to_hex().to_string()))
}
