//! The session limits by name.
//!
//! The same limits are set by flags, narrowed by manifests, listed by
//! `orwd inspect` and named in errors. This table is the one place that knows
//! their names, units and least and greatest values, so that none can be
//! spelled in two ways or be checked in one place only.

use std::fmt;

use super::units::{Size, Span};
use orwd_model::SessionLimits;

/// One limit of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Memory of the session.
    Memory,
    /// Elements of its tables.
    Tables,
    /// Handles that it holds at once.
    Handles,
    /// CPU time of a call.
    CallCpu,
    /// Wall time of a call.
    CallWall,
    /// CPU time of opening and of setup.
    SetupCpu,
    /// Wall time of opening and of setup.
    SetupWall,
    /// CPU time of teardown.
    TeardownCpu,
    /// Wall time of teardown.
    TeardownWall,
    /// Size of one result.
    Result,
    /// Size of what it hands over at once.
    HostCall,
    /// Levels of JSON.
    JsonDepth,
    /// Guest output that reaches the log for each entry.
    GuestLog,
    /// Guest output that reaches the log in all.
    GuestLogTotal,
    /// Size of what the session writes into files.
    Disk,
    /// Files that the session makes, changes or removes.
    Files,
    /// Files open at once.
    OpenFiles,
    /// Size of what is written down of the session.
    Journal,
}

/// The value of a limit, in its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Amount {
    /// Bytes.
    Size(Size),
    /// Time.
    Time(Span),
    /// A number of things.
    Count(u64),
}

/// What kind of amount a limit takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A size.
    Size,
    /// A time.
    Time,
    /// A count.
    Count,
}

impl Limit {
    /// Every limit, in the order in which they are listed.
    pub const ALL: [Limit; 18] = [
        Limit::Memory,
        Limit::Tables,
        Limit::Handles,
        Limit::CallCpu,
        Limit::CallWall,
        Limit::SetupCpu,
        Limit::SetupWall,
        Limit::TeardownCpu,
        Limit::TeardownWall,
        Limit::Result,
        Limit::HostCall,
        Limit::JsonDepth,
        Limit::GuestLog,
        Limit::GuestLogTotal,
        Limit::Disk,
        Limit::Files,
        Limit::OpenFiles,
        Limit::Journal,
    ];

    /// The name: `--NAME` on the command line, a key in `[limits]`.
    pub fn name(self) -> &'static str {
        match self {
            Limit::Memory => "memory",
            Limit::Tables => "tables",
            Limit::Handles => "handles",
            Limit::CallCpu => "call-cpu",
            Limit::CallWall => "call-wall",
            Limit::SetupCpu => "setup-cpu",
            Limit::SetupWall => "setup-wall",
            Limit::TeardownCpu => "teardown-cpu",
            Limit::TeardownWall => "teardown-wall",
            Limit::Result => "result-limit",
            Limit::HostCall => "host-call-limit",
            Limit::JsonDepth => "json-depth",
            Limit::GuestLog => "guest-log-limit",
            Limit::GuestLogTotal => "guest-log-total",
            Limit::Disk => "disk",
            Limit::Files => "files",
            Limit::OpenFiles => "open-files",
            Limit::Journal => "journal-limit",
        }
    }

    /// The limit of this name.
    pub fn named(name: &str) -> Option<Limit> {
        Limit::ALL.into_iter().find(|limit| limit.name() == name)
    }

    /// The unit of its amounts.
    pub fn unit(self) -> Unit {
        match self {
            Limit::Memory
            | Limit::Result
            | Limit::HostCall
            | Limit::GuestLog
            | Limit::GuestLogTotal
            | Limit::Disk
            | Limit::Journal => Unit::Size,
            Limit::Tables | Limit::Handles | Limit::JsonDepth | Limit::Files | Limit::OpenFiles => {
                Unit::Count
            }
            Limit::CallCpu
            | Limit::CallWall
            | Limit::SetupCpu
            | Limit::SetupWall
            | Limit::TeardownCpu
            | Limit::TeardownWall => Unit::Time,
        }
    }

    /// The least and the greatest amount that make sense.
    ///
    /// A guest built by an ordinary toolchain starts with more than a mebibyte,
    /// and cannot address more than four gibibytes. Time is measured in ticks
    /// of some milliseconds, so that much less than 10 ms cannot be told apart.
    /// A guest holds its two directories open from the beginning, and a dozen
    /// handles; its functions are in a table, some hundreds of elements. What
    /// it writes to a file goes over in pieces of some kilobytes, and its
    /// description in one. Clients in Python give up on JSON that is some
    /// hundreds of levels deep.
    fn range(self) -> (Amount, Amount) {
        let sizes = |least, most| {
            (
                Amount::Size(Size::bytes(least)),
                Amount::Size(Size::bytes(most)),
            )
        };
        let counts = |least, most| (Amount::Count(least), Amount::Count(most));
        match self {
            Limit::Memory => sizes(2 << 20, 4 << 30),
            Limit::Tables => counts(1000, 1_000_000),
            Limit::Handles => counts(64, 100_000),
            Limit::Result => sizes(1 << 10, 1 << 30),
            Limit::HostCall => sizes(64 << 10, 2 << 30),
            Limit::JsonDepth => counts(8, 512),
            Limit::GuestLog => sizes(0, 16 << 20),
            Limit::GuestLogTotal => sizes(0, 1 << 30),
            Limit::Disk => sizes(0, 1 << 40),
            Limit::Journal => sizes(64 << 10, 1 << 40),
            Limit::Files => counts(0, 1_000_000),
            Limit::OpenFiles => counts(8, 10_000),
            _ => (
                Amount::Time(Span::millis(10)),
                Amount::Time(Span::secs(86_400)),
            ),
        }
    }

    /// Reads an amount and checks that it makes sense for this limit.
    pub fn parse(self, text: &str) -> Result<Amount, String> {
        let amount = match self.unit() {
            Unit::Size => text.parse().map(Amount::Size),
            Unit::Time => text.parse().map(Amount::Time),
            Unit::Count => {
                let count = text.parse().map_err(|_| format!("{text:?} is no count"))?;
                return self.check(Amount::Count(count));
            }
        };
        self.check(amount.map_err(|error| error.to_string())?)
    }

    /// Passes an amount that makes sense for this limit.
    pub fn check(self, amount: Amount) -> Result<Amount, String> {
        let (least, most) = self.range();
        if least <= amount && amount <= most {
            Ok(amount)
        } else {
            Err(format!("{amount} is not between {least} and {most}"))
        }
    }

    /// What the limits say for this one.
    pub fn get(self, limits: &SessionLimits) -> Amount {
        let size = |bytes: usize| Amount::Size(Size::bytes(bytes as u64));
        let count = |things: usize| Amount::Count(things as u64);
        let time = |duration| Amount::Time(Span::from(duration));
        match self {
            Limit::Memory => size(limits.memory),
            Limit::Tables => count(limits.tables),
            Limit::Handles => count(limits.handles),
            Limit::CallCpu => time(limits.call.cpu),
            Limit::CallWall => time(limits.call.wall),
            Limit::SetupCpu => time(limits.setup.cpu),
            Limit::SetupWall => time(limits.setup.wall),
            Limit::TeardownCpu => time(limits.teardown.cpu),
            Limit::TeardownWall => time(limits.teardown.wall),
            Limit::Result => size(limits.result),
            Limit::HostCall => size(limits.host_call),
            Limit::JsonDepth => count(limits.json_depth),
            Limit::GuestLog => size(limits.log),
            Limit::GuestLogTotal => size(limits.log_total),
            Limit::Disk => Amount::Size(Size::bytes(limits.disk)),
            Limit::Files => Amount::Count(limits.files),
            Limit::OpenFiles => Amount::Count(limits.open_files),
            Limit::Journal => Amount::Size(Size::bytes(limits.journal)),
        }
    }

    /// Sets this one. An amount of the other unit changes nothing: amounts
    /// come from [`Limit::parse`] and [`Limit::get`] of the same limit.
    pub(super) fn set(self, limits: &mut SessionLimits, amount: Amount) {
        let whole = |count| usize::try_from(count).unwrap_or(usize::MAX);
        match (self, amount) {
            (Limit::Tables, Amount::Count(count)) => limits.tables = whole(count),
            (Limit::Handles, Amount::Count(count)) => limits.handles = whole(count),
            (Limit::JsonDepth, Amount::Count(count)) => limits.json_depth = whole(count),
            (Limit::HostCall, Amount::Size(size)) => limits.host_call = size.as_usize(),
            (Limit::GuestLogTotal, Amount::Size(size)) => limits.log_total = size.as_usize(),
            (Limit::Memory, Amount::Size(size)) => limits.memory = size.as_usize(),
            (Limit::Result, Amount::Size(size)) => limits.result = size.as_usize(),
            (Limit::GuestLog, Amount::Size(size)) => limits.log = size.as_usize(),
            (Limit::Disk, Amount::Size(size)) => limits.disk = size.get(),
            (Limit::Files, Amount::Count(count)) => limits.files = count,
            (Limit::OpenFiles, Amount::Count(count)) => limits.open_files = count,
            (Limit::Journal, Amount::Size(size)) => limits.journal = size.get(),
            (Limit::CallCpu, Amount::Time(time)) => limits.call.cpu = time.get(),
            (Limit::CallWall, Amount::Time(time)) => limits.call.wall = time.get(),
            (Limit::SetupCpu, Amount::Time(time)) => limits.setup.cpu = time.get(),
            (Limit::SetupWall, Amount::Time(time)) => limits.setup.wall = time.get(),
            (Limit::TeardownCpu, Amount::Time(time)) => limits.teardown.cpu = time.get(),
            (Limit::TeardownWall, Amount::Time(time)) => limits.teardown.wall = time.get(),
            _ => {}
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Size(size) => size.fmt(f),
            Amount::Time(time) => time.fmt(f),
            Amount::Count(count) => count.fmt(f),
        }
    }
}

/// Limits that an environment asks for, each at most once.
///
/// They only narrow: a manifest may come from anywhere, and what a session may
/// use up is for the operator to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Narrowing(Vec<(Limit, Amount)>);

/// A limit that asked for more than the operator gives, and did not get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the manifest asks for {} = {asked}, and the server allows {allowed}", limit.name())]
pub struct Capped {
    /// Which.
    pub limit: Limit,
    /// What was asked for.
    pub asked: Amount,
    /// What is in force.
    pub allowed: Amount,
}

impl Narrowing {
    /// Asks for one limit, in place of an earlier wish for it.
    pub fn ask(&mut self, limit: Limit, amount: Amount) {
        self.0.retain(|(other, _)| *other != limit);
        self.0.push((limit, amount));
    }

    /// The limits in force, and the wishes that did not come true.
    pub fn apply(&self, operator: SessionLimits) -> (SessionLimits, Vec<Capped>) {
        let mut limits = operator;
        let mut capped = Vec::new();
        for (limit, asked) in &self.0 {
            let allowed = limit.get(&operator);
            if *asked <= allowed {
                limit.set(&mut limits, *asked);
            } else {
                capped.push(Capped {
                    limit: *limit,
                    asked: *asked,
                    allowed,
                });
            }
        }
        (limits, capped)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use orwd_model::Budget;

    fn operator() -> SessionLimits {
        let budget = Budget {
            cpu: Duration::from_secs(30),
            wall: Duration::from_secs(60),
        };
        SessionLimits {
            memory: 256 << 20,
            tables: 100_000,
            handles: 1024,
            call: budget,
            setup: budget,
            teardown: budget,
            result: 8 << 20,
            host_call: 16 << 20,
            json_depth: 64,
            log: 64 << 10,
            log_total: 4 << 20,
            disk: 64 << 20,
            files: 4096,
            open_files: 256,
            journal: 256 << 20,
        }
    }

    #[test]
    fn each_limit_is_set_where_it_is_read() {
        for limit in Limit::ALL {
            let amount = match limit.unit() {
                Unit::Size => Amount::Size(Size::bytes(12_345)),
                Unit::Time => Amount::Time(Span::millis(12_345)),
                Unit::Count => Amount::Count(12_345),
            };
            let mut limits = operator();
            limit.set(&mut limits, amount);
            assert_eq!(limit.get(&limits), amount, "{}", limit.name());
            assert_eq!(Limit::named(limit.name()), Some(limit));
            let others = Limit::ALL.into_iter().filter(|other| *other != limit);
            for other in others {
                assert_eq!(other.get(&limits), other.get(&operator()));
            }
        }
    }

    #[test]
    fn every_field_is_a_limit() {
        let mut limits = operator();
        for limit in Limit::ALL {
            let (least, most) = limit.range();
            assert!(least < most, "{}", limit.name());
            limit.set(
                &mut limits,
                match limit.unit() {
                    Unit::Size => Amount::Size(Size::bytes(77_777)),
                    Unit::Time => Amount::Time(Span::secs(77_777)),
                    Unit::Count => Amount::Count(77_777),
                },
            );
        }
        // A field that no limit sets would still have its own amount.
        let shown = format!("{limits:?}");
        let amounts = shown.split(": ").skip(1).filter(|rest| !rest.contains('{'));
        let amounts: Vec<&str> = amounts.collect();
        assert_eq!(amounts.len(), Limit::ALL.len(), "{shown}");
        for amount in amounts {
            assert!(amount.starts_with("77777"), "{shown}");
        }
    }

    #[test]
    fn a_manifest_only_narrows() {
        let mut narrowing = Narrowing::default();
        narrowing.ask(Limit::Memory, Limit::Memory.parse("1GiB").unwrap());
        narrowing.ask(Limit::CallCpu, Limit::CallCpu.parse("2s").unwrap());
        let (limits, capped) = narrowing.apply(operator());
        assert_eq!(limits.memory, 256 << 20);
        assert_eq!(limits.call.cpu, Duration::from_secs(2));
        assert_eq!(limits.call.wall, Duration::from_secs(60));
        let notes: Vec<String> = capped.iter().map(Capped::to_string).collect();
        assert_eq!(
            notes,
            ["the manifest asks for memory = 1GiB, and the server allows 256MiB"]
        );
    }

    #[test]
    fn absurd_amounts() {
        for (limit, text, expected) in [
            (Limit::Memory, "0", "0B is not between 2MiB and 4GiB"),
            (Limit::Memory, "5GiB", "5GiB is not between 2MiB and 4GiB"),
            (Limit::CallCpu, "0s", "0s is not between 10ms and 24h"),
            (Limit::CallCpu, "25h", "25h is not between 10ms and 24h"),
            (Limit::Result, "12", "12B is not between 1KiB and 1GiB"),
            (Limit::GuestLog, "0", "fine"),
            (Limit::Handles, "63", "63 is not between 64 and 100000"),
            (Limit::JsonDepth, "8", "fine"),
            (Limit::Files, "-1", "\"-1\" is no count"),
            (Limit::OpenFiles, "7", "7 is not between 8 and 10000"),
        ] {
            let got = match limit.parse(text) {
                Ok(_) => "fine".to_owned(),
                Err(error) => error,
            };
            assert_eq!(got, expected, "{} = {text}", limit.name());
        }
    }
}
