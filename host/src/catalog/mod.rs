//! Environments: from files to something that sessions can be opened on.

mod environment;
mod questions;

pub use environment::{Blueprint, Environment, LoadError};
