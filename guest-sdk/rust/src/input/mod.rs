//! The input of a tool: from what an agent sent to the tool's typed argument.
//!
//! An agent can correct its input if the error lists every problem. So the input
//! is validated against the tool's JSON Schema first, which reports the field,
//! the expected type and the received value of each problem. Then serde, which
//! stops at the first problem, deserializes it. Scalars are coerced, because
//! models write `"3"` for 3.

mod check;
mod choices;
mod coerce;
mod describe;
mod schema;

pub(crate) use schema::InputSchema;
pub use schema::ToolInput;

#[cfg(test)]
mod tests;
