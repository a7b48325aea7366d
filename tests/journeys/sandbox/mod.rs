//! What a guest sees, and what its faults and secrets lead to.

mod data_directory;
mod determinism;
mod faults;
mod hostile_guests;
mod network;
mod secrets;
