//! Records in the database: their rows, and the pieces of large ones.

pub(super) mod pieces;
mod rows;

pub(super) use rows::{
    insert, link, map, read_from, read_one, read_range, remove, scan, shared_bytes,
};
