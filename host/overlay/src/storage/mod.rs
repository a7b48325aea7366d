//! The contents of files, the pages they are stored in, and their quota.

pub(crate) mod content;
pub(crate) mod pages;
pub(crate) mod quota;
