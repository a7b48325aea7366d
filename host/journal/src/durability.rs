//! Durability levels.

use std::fmt;

/// What a record must survive before its append is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The death of the process: the kernel has the record. A crash of the
    /// machine may lose it.
    #[default]
    Process,
    /// A loss of power: the disk has the record.
    Power,
    /// Nothing: no journal is kept.
    None,
}

impl Durability {
    /// Returns the value of the command-line flag.
    pub fn as_str(self) -> &'static str {
        match self {
            Durability::Process => "process",
            Durability::Power => "power",
            Durability::None => "none",
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
