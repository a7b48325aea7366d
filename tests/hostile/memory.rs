//! Attacks on memory.
