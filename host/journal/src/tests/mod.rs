//! The journal's tests: one behaviour of all stores, and what happens to a
//! journal whose disk is full, lies, or loses bits.

mod batches;
mod conformance;
mod damage;
mod faults;
mod portable;
mod receipts;
mod records;
mod sealing;
mod writing;
