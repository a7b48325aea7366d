//! What is served: environments, where they come from and how they are made.

pub mod manifest;
