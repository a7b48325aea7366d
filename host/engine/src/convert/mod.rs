//! Conversion and checking of values between the guest and the model.

pub(crate) mod lift;
pub(crate) mod lower;
mod schema;
mod surrogates;
