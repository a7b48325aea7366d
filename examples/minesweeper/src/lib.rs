//! Minesweeper.
mod board;
mod picture;
mod rng;
mod task;
