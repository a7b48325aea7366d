//! What the journal stores of an episode that came with an imported file.

use std::path::PathBuf;

/// What the journal states of an episode that another host ran, or that was
/// forked from one. The records in an imported file are claims of their author:
/// nothing in them decides what is stored here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportOrigin {
    /// The number of its first records that this host did not run.
    pub records: u64,
    /// The directory that the importer named as its data. Without one it has no
    /// data here, whatever its environment is called.
    pub data: Option<PathBuf>,
}

/// A receipt that came with an imported episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedReceipt {
    /// The public key that signed it.
    pub key: String,
    /// The receipt, as JSON.
    pub text: String,
}
