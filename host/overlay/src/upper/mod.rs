//! The upper layer: what one session changed, over the lower layer.

pub(crate) mod layer;
pub(crate) mod location;
mod names;
pub(crate) mod node;
pub(crate) mod observed;
pub(crate) mod ops;
mod resolve;
pub(crate) mod stat;
