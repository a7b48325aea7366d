//! Values of parameters and columns.

use crate::error::HubStoreError;

/// The value of a parameter or of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlValue {
    /// NULL.
    Null,
    /// A whole number.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// A text.
    Text(String),
}

/// A row of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct SqlRow(pub(crate) Vec<SqlValue>);

impl SqlRow {
    fn get(&self, column: usize) -> &SqlValue {
        self.0.get(column).unwrap_or(&SqlValue::Null)
    }

    /// Returns the bytes of its texts.
    pub(super) fn text_bytes(&self) -> usize {
        let texts = self.0.iter().map(|value| match value {
            SqlValue::Text(text) => text.len(),
            _ => 0,
        });
        texts.sum()
    }

    fn wrong<T>(&self, column: usize, expected: &str) -> Result<T, HubStoreError> {
        Err(HubStoreError::Failed(format!(
            "column {column} is not {expected}: {:?}",
            self.get(column)
        )))
    }

    /// Returns a text.
    pub fn text(&self, column: usize) -> Result<String, HubStoreError> {
        match self.get(column) {
            SqlValue::Text(text) => Ok(text.clone()),
            _ => self.wrong(column, "a text"),
        }
    }

    /// Returns a text, or nothing for NULL.
    pub fn optional_text(&self, column: usize) -> Result<Option<String>, HubStoreError> {
        match self.get(column) {
            SqlValue::Null => Ok(None),
            _ => self.text(column).map(Some),
        }
    }

    /// Returns a whole number.
    pub fn integer(&self, column: usize) -> Result<i64, HubStoreError> {
        match self.get(column) {
            SqlValue::Integer(number) => Ok(*number),
            _ => self.wrong(column, "a whole number"),
        }
    }

    /// Returns a whole number, or nothing for NULL.
    pub fn optional_integer(&self, column: usize) -> Result<Option<i64>, HubStoreError> {
        match self.get(column) {
            SqlValue::Null => Ok(None),
            _ => self.integer(column).map(Some),
        }
    }

    /// Returns a truth value, which is stored as 0 or 1.
    pub fn flag(&self, column: usize) -> Result<bool, HubStoreError> {
        self.integer(column).map(|number| number != 0)
    }

    /// Returns a floating-point number.
    pub fn real(&self, column: usize) -> Result<f64, HubStoreError> {
        match self.get(column) {
            SqlValue::Real(number) => Ok(*number),
            // Averages of whole numbers may be whole.
            SqlValue::Integer(number) => Ok(*number as f64),
            _ => self.wrong(column, "a number"),
        }
    }

    /// Returns a floating-point number, or nothing for NULL.
    pub fn optional_real(&self, column: usize) -> Result<Option<f64>, HubStoreError> {
        match self.get(column) {
            SqlValue::Null => Ok(None),
            _ => self.real(column).map(Some),
        }
    }
}

impl From<&str> for SqlValue {
    fn from(text: &str) -> SqlValue {
        SqlValue::Text(text.to_owned())
    }
}

impl From<&String> for SqlValue {
    fn from(text: &String) -> SqlValue {
        SqlValue::Text(text.clone())
    }
}

impl From<String> for SqlValue {
    fn from(text: String) -> SqlValue {
        SqlValue::Text(text)
    }
}

impl From<i64> for SqlValue {
    fn from(number: i64) -> SqlValue {
        SqlValue::Integer(number)
    }
}

impl From<f64> for SqlValue {
    fn from(number: f64) -> SqlValue {
        SqlValue::Real(number)
    }
}

impl From<bool> for SqlValue {
    fn from(flag: bool) -> SqlValue {
        SqlValue::Integer(i64::from(flag))
    }
}

impl<T: Into<SqlValue>> From<Option<T>> for SqlValue {
    fn from(value: Option<T>) -> SqlValue {
        value.map_or(SqlValue::Null, Into::into)
    }
}
