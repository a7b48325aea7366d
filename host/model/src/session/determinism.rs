//! The sources of randomness and time of an instance.

use super::seed::Seed;
use super::timestamp::Timestamp;

/// The randomness and the clock of an instance.
///
/// Besides the times at which it is called, an instance observes no other
/// randomness or time. Two instances of one component with the same config, the
/// same data and the same calls at the same times behave identically.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeterminismConfig {
    /// The seed of its random numbers.
    pub seed: Seed,
    /// The first value of its wall clock.
    pub start: Timestamp,
    /// The kind of its clock.
    pub clock: ClockMode,
}

impl DeterminismConfig {
    /// The config of every instance that answers task queries, so that every
    /// host gives the same answers. Its clock starts in 2020.
    pub const CATALOG: DeterminismConfig = DeterminismConfig {
        seed: Seed::new(0),
        start: Timestamp::from_nanos(1_577_836_800_000_000_000),
        clock: ClockMode::Virtual,
    };
}

named_enum! {
    /// The clock that the sessions of an environment observe.
    #[derive(Default)]
    ClockMode;
    /// A virtual clock: it advances by what the guest does and is the same in
    /// every replay.
    #[default]
    Virtual = "virtual",
    /// The system clock, if the manifest asks for it.
    Real = "real",
}

impl ClockMode {
    /// Whether a session can be replayed. It cannot if the guest observes how
    /// fast the machine is.
    pub fn is_replayable(self) -> bool {
        self == ClockMode::Virtual
    }
}

/// How long a guest that sleeps is really blocked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SleepMode {
    /// A sleep takes its duration.
    #[default]
    RealTime,
    /// A sleep returns at once, and the guest's clock advances by its duration.
    /// Replays use it.
    Skip,
}
