//! The error of an environment: a message.
//!
//! Errors cross to the host as text and are shown to agents and authors
//! unchanged. So the text is exactly the message, without a prefix or a type
//! name, and `?` converts any error.

use std::fmt;

/// The result type of the functions of an environment.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error message.
///
/// Created by `?` from any [`std::error::Error`], by [`Error::msg`], or by
/// [`bail!`](crate::bail). Because it converts from all errors, it cannot be a
/// [`std::error::Error`] itself.
pub struct Error {
    message: String,
}

impl Error {
    /// Creates an error with this message.
    pub fn msg(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

// `unwrap` in a test prints this.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self::msg(error)
    }
}

/// Adds context to an error.
///
/// ```
/// use orwd_sdk::prelude::*;
///
/// fn first(line: &str) -> Result<i64> {
///     let word = line.split(' ').next().context("the line is empty")?;
///     word.parse().with_context(|| format!("line {line:?}"))
/// }
///
/// assert_eq!(
///     first("x y").unwrap_err().to_string(),
///     "line \"x y\": invalid digit found in string",
/// );
/// ```
pub trait Context<T> {
    /// Changes the message to `context: message`; `None` becomes `context`.
    fn context(self, context: impl fmt::Display) -> Result<T>;

    /// Like [`context`](Self::context), but evaluates the context only on
    /// failure.
    fn with_context<C: fmt::Display>(self, context: impl FnOnce() -> C) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context(self, context: impl fmt::Display) -> Result<T> {
        self.with_context(|| context)
    }

    fn with_context<C: fmt::Display>(self, context: impl FnOnce() -> C) -> Result<T> {
        self.map_err(|error| Error::msg(format_args!("{}: {}", context(), error.into())))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, context: impl fmt::Display) -> Result<T> {
        self.with_context(|| context)
    }

    fn with_context<C: fmt::Display>(self, context: impl FnOnce() -> C) -> Result<T> {
        self.ok_or_else(|| Error::msg(context()))
    }
}

/// Returns an error whose message is formatted as by [`format!`].
///
/// ```
/// use orwd_sdk::prelude::*;
///
/// fn half(n: i64) -> Result<i64> {
///     if n % 2 != 0 {
///         bail!("{n} is odd");
///     }
///     Ok(n / 2)
/// }
///
/// assert_eq!(half(3).unwrap_err().to_string(), "3 is odd");
/// ```
#[macro_export]
macro_rules! bail {
    ($($message:tt)+) => {
        return ::core::result::Result::Err($crate::Error::msg(::core::format_args!($($message)+)))
    };
}
