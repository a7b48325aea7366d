//! The pages of an account, and of the users of the platform.

mod account;
mod audit;
mod deleted;
mod users;

pub use account::{AccountPage, ApiKeyRow, account, set_up, sign_in};
pub use audit::{AuditPage, ChangeRow, audit};
pub use deleted::{DeletedPage, DeletedRow, deleted};
pub use users::{UserRow, UsersPage, users};
