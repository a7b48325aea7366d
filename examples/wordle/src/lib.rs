//! Wordle.
mod game;
mod word;
mod words;
