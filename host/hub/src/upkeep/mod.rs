//! Regular work: what is no longer needed is removed, and what only the file
//! system knows is measured.

mod blobs;
mod directories;
mod marks;
pub(crate) mod measure;
pub(crate) mod rounds;

pub(crate) use blobs::discard;
