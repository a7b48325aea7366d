//! SQL: values, rows, transactions, and the databases that run them.

pub(crate) mod backend;
pub(crate) mod lane;
mod migrations;
pub(crate) mod sqlite;
pub(crate) mod value;

/// Lists the parameters of a statement.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::sql::value::SqlValue::from($value)),*]
    };
}
pub(crate) use params;

/// Escapes what has a meaning in a LIKE pattern.
pub(crate) fn escape_like(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_")
}
