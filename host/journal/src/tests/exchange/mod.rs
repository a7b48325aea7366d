//! What leaves a host and reaches another one: archives and receipts.

mod archive;
mod receipts;
