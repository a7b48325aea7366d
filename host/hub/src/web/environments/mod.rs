//! The pages of an environment itself.

pub(in crate::web) mod card;
pub(in crate::web) mod compare;
pub(in crate::web) mod danger;
pub(in crate::web) mod renamed;
pub(in crate::web) mod repository;
