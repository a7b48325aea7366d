//! Limits: their units, their declaration, and the limits of sessions and of
//! components.

mod admission;
mod budget;
mod http;
mod record_form;
mod session;
mod spec;
mod units;

pub use admission::AdmissionLimits;
pub use budget::Budget;
pub use http::HttpLimits;
pub use session::SessionLimits;
pub use spec::{Amount, LimitDefault, LimitError, LimitField, LimitSet, LimitSpec, LimitUnit};
pub use units::{ByteSize, TimeSpan, UnitError};
