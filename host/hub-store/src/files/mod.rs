//! The files of an environment, which its sessions see as `/orwd_data`.
//!
//! The table maps paths to the digests of contents, which are stored elsewhere.
//! Each change increments the environment's generation.

mod changes;
mod contents;
mod queries;

pub use changes::{FileChange, delete_file, delete_folder, put};
pub use contents::{UnusedContent, add_content, free_content, is_kept, unused_contents};
pub use queries::{FilePage, FileRecord, all, page, total_size};
