//! Receipts: signed summaries of episodes.

mod body;
mod key;
mod signed;
mod stored;

pub use body::{ReceiptBody, ReceiptCall};
pub use key::{ReceiptKey, ReceiptSigner};
pub use signed::{Receipt, ReceiptError};
