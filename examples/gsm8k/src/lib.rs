//! Grade-school arithmetic.
mod number;
mod problems;
