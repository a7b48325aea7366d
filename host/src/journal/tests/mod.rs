//! The journal's tests.
