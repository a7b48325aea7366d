//! Request bodies: parsed, checked field by field, and typed.
//!
//! The readers are written by hand, since a deriving library stops at the first
//! error, keeps no source text for the error report, and does not coerce as the
//! contract demands.

pub(crate) mod body_text;
pub(crate) mod field_value;
pub(crate) mod json_body;
pub(crate) mod non_finite;
pub(crate) mod object_reader;
pub(crate) mod requests;
pub(crate) mod scalars;
pub(crate) mod score_request;
pub(crate) mod validation_error;
