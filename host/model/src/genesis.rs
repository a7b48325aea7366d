//! What an instance is born with: all that it can ever see of chance and time,
//! beside the moments at which it is called.
//!
//! Two instances of one component with the same genesis, the same data and the
//! same calls at the same times do the same, bit for bit.

use super::{Seed, Timestamp};

/// The randomness and the clock of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// What its random numbers are made of.
    pub seed: Seed,
    /// What its wall clock says first.
    pub start: Timestamp,
    /// Which clock it has.
    pub clock: ClockMode,
}

impl Genesis {
    /// That of every instance which answers questions about tasks, so that
    /// every host gives the same answers. Its clock begins in 2020.
    pub const CATALOG: Genesis = Genesis {
        seed: Seed::new(0),
        start: Timestamp::from_nanos(1_577_836_800_000_000_000),
        clock: ClockMode::Virtual,
    };
}

/// Which clock the sessions of an environment have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockMode {
    /// One that moves with what the guest does: see [`Genesis`].
    #[default]
    Virtual,
    /// The machine's, at the wish of the manifest.
    Real,
}

impl ClockMode {
    /// The word for it in manifests and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            ClockMode::Virtual => "virtual",
            ClockMode::Real => "real",
        }
    }

    /// Whether a session can be replayed: not if it sees how fast the machine
    /// is.
    pub fn is_replayable(self) -> bool {
        self == ClockMode::Virtual
    }
}

/// Whether a sleeping guest is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// A sleep takes its time.
    #[default]
    Live,
    /// A sleep is over at once; the guest's clock says that it took its time.
    Replay,
}
