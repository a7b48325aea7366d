//! What leaves a host and comes to another one: archives and receipts.

mod archive;
mod receipts;
