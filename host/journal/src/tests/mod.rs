//! Tests of the journal: the common behaviour of all stores, and disks that are
//! full, fail to sync, or corrupt data.

mod archive;
mod batches;
mod conformance;
mod damage;
mod faults;
mod receipts;
mod records;
mod sealing;
mod writing;
