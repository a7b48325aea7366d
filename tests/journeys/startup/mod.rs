//! What a server accepts and refuses when it starts.

mod component_admission;
mod manifest;
mod startup_errors;
