//! The input of a tool: from what an agent sent to the tool's typed argument.
//!
//! Agents get input wrong, and mend it if they are told what is wrong. So it is
//! checked against the tool's own JSON Schema first, which finds every problem
//! at once and can say where it is, what was expected and what came; serde,
//! which stops at the first, has the last word. Scalars are read leniently, for
//! models write `"3"` for 3.

mod check;
mod coerce;
mod schema;
mod words;

pub(crate) use schema::InputSchema;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

/// What a tool can take as its argument: a type that derives `Deserialize` and
/// `JsonSchema`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the input of a tool",
    note = "add `#[derive(Deserialize, JsonSchema)]` to it"
)]
pub trait ToolInput: DeserializeOwned + JsonSchema + 'static {}

impl<T: DeserializeOwned + JsonSchema + 'static> ToolInput for T {}

#[cfg(test)]
mod tests;
