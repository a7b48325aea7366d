//! Tests of the journal: the common behaviour of all stores, and disks that are
//! full, fail to sync, or corrupt data.

mod batches;
mod conformance;
mod damage;
mod earlier_versions;
mod exchange;
mod faults;
mod pages;
mod records;
mod scan;
mod secrets;
mod space;
mod writing;
