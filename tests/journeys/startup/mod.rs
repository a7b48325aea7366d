//! What a server accepts and refuses when it starts.

mod component_admission;
mod default_state;
mod hostile_authors;
mod manifest;
mod startup_errors;
