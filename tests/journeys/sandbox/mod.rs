//! What a guest sees, and what its faults and secrets lead to.

mod data_directory;
mod determinism;
mod faults;
mod hidden_secrets;
mod hostile_guests;
mod judge;
mod network;
mod secrets;
