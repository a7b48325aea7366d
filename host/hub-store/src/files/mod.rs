//! The files of an environment, which its sessions see as `/orwd_data`.
//!
//! The table maps paths to the digests of contents, which are stored elsewhere.
//! Each change increments the environment's generation.

mod changes;
mod queries;

pub use changes::{FileChange, delete_file, delete_folder, put};
pub use queries::{FilePage, FileRecord, all, digest_in_use, page, total_size};
