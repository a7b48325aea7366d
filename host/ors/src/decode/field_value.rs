//! A JSON value while a reading function looks at it.

use serde_json::value::RawValue;

use super::non_finite::NonFinite;
use super::validation_error::{Location, ValidationError, ValidationErrors};

/// A value with its location, and the errors of the body it belongs to.
///
/// A reading function takes one and returns `None` exactly if it has added an
/// error.
pub(crate) struct FieldValue<'s, 'a> {
    pub(crate) raw: &'a RawValue,
    pub(crate) location: &'s Location<'s>,
    /// The numbers of the body that JSON cannot express.
    pub(crate) non_finite: NonFinite<'a>,
    pub(crate) errors: &'s mut ValidationErrors,
}

impl<'a> FieldValue<'_, 'a> {
    /// Returns the JSON text.
    pub(crate) fn text(&self) -> &'a str {
        self.raw.get()
    }

    /// Adds an error about this value; returns `None`.
    pub(crate) fn fail<T>(self, error: &ValidationError) -> Option<T> {
        self.errors.push(error, self.location, self.raw.get());
        None
    }
}
