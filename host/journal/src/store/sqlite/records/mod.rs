//! Records in the database: their rows, and the pieces of large ones.

pub(super) mod pieces;
mod rows;

pub(super) use rows::{insert, places, read_from, read_one, remove, scan, shared_bytes};
