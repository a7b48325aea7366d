//! Durability levels.

use std::fmt;
use std::str::FromStr;

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
    /// Every level.
    pub const ALL: [Durability; 3] = [Durability::Process, Durability::Power, Durability::None];

    /// Returns the value of the command-line flag.
    pub fn as_str(self) -> &'static str {
        match self {
            Durability::Process => "process",
            Durability::Power => "power",
            Durability::None => "none",
        }
    }

    /// Returns the explanation of the value in the help of the flag.
    pub fn description(self) -> &'static str {
        match self {
            Durability::Process => "The end of the server's process: the kernel has the record",
            Durability::Power => "A power loss: the disk has the record",
            Durability::None => "Nothing: there is no journal, and sessions end with the server",
        }
    }
}

/// A text that names no level of durability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownDurability;

impl fmt::Display for UnknownDurability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected process, power or none")
    }
}

impl std::error::Error for UnknownDurability {}

impl FromStr for Durability {
    type Err = UnknownDurability;

    fn from_str(text: &str) -> Result<Durability, UnknownDurability> {
        Durability::ALL
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or(UnknownDurability)
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
