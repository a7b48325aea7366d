//! Contents of files.

pub(crate) mod blobs;
pub(crate) mod channel_body;
pub(crate) mod data_directory;
mod receive;
pub(crate) mod reservations;
pub(crate) mod upload;
pub(crate) mod upload_token;
