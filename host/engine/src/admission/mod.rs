//! From the file of a component to something that can be instantiated.

pub(crate) mod component;
mod instances;
pub(crate) mod scan;
pub(crate) mod world;
