//! What leaves a host and arrives at another one: archives and receipts.

mod archive;
mod receipts;
