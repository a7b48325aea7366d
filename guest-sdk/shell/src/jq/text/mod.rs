//! Reading and writing texts: JSON, numbers, formats such as `@csv`, and regular
//! expressions.

pub(crate) mod convert;
pub(crate) mod format;
pub(crate) mod json;
pub(crate) mod number;
pub(crate) mod regex;
pub(crate) mod surrogates;
