//! What a host checks when it opens a journal that another process wrote.

pub(super) mod commit_count;
pub(super) mod wal_check;
