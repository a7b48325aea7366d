//! The declaration of a limit.
//!
//! [`declare_limits!`](crate::declare_limits) turns one entry into everything
//! that is known about a limit. `NAME` is the flag `--NAME`, the key in
//! `[limits]` of a manifest, and the member in `orwd inspect` and `/version`.
//! The doc comment is the help text. No other place repeats a name, a default
//! or a range, so a limit cannot be spelled or checked in two ways.

use std::fmt;
use std::time::Duration;

use super::units::{ByteSize, TimeSpan, UnitError};

/// Declaration of one limit of the set `S`.
pub struct LimitSpec<S: 'static> {
    /// Name of the flag (`--NAME`), the manifest key and the member in reports.
    pub name: &'static str,
    /// Name of the field in the journal. Two neighbours with the same name are
    /// a pair there. `None` if the journal does not record the limit.
    pub journal: Option<&'static str>,
    /// Unit of the amounts.
    pub unit: LimitUnit,
    /// Amount if the operator sets none.
    pub default: LimitDefault,
    /// Smallest permitted amount, as a raw number.
    pub min: u64,
    /// Largest permitted amount, as a raw number.
    pub max: u64,
    /// Lines of the help text.
    pub help: &'static [&'static str],
    /// Reads the limit from the set. `None` if it is unset.
    pub get: fn(&S) -> Option<u64>,
    /// Writes the limit into the set.
    pub set: fn(&mut S, u64),
}

/// Unit of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitUnit {
    /// Bytes; raw numbers are bytes.
    Size,
    /// Time; raw numbers are nanoseconds.
    Time,
    /// A number of things.
    Count,
}

/// Default of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitDefault {
    /// A fixed amount.
    Fixed(u64),
    /// The amount of the named limit plus a constant. The named limit comes
    /// earlier in the table.
    Above(&'static str, u64),
    /// Unset; the text describes what then applies.
    Unset(&'static str),
}

/// Amount of a limit, with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Amount {
    /// Bytes.
    Size(ByteSize),
    /// Time.
    Time(TimeSpan),
    /// A number of things.
    Count(u64),
}

/// Why an amount is not valid for a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// The text is neither a size nor a time.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// The text is not a whole number.
    #[error("invalid count {0:?}: expected a whole number")]
    Count(String),
    /// The amount is out of range.
    #[error("{amount} is out of range: expected {min} to {max}")]
    Range {
        /// The amount.
        amount: Amount,
        /// The smallest permitted amount.
        min: Amount,
        /// The largest permitted amount.
        max: Amount,
    },
}

/// A type that a limit can have in its set.
pub trait LimitField: Sized {
    /// The value before the limit is set.
    const EMPTY: Self;
    /// Returns the raw number; `None` if it is unset.
    fn to_raw(&self) -> Option<u64>;
    /// Converts a raw number; too large ones saturate.
    fn from_raw(raw: u64) -> Self;
}

impl<S> LimitSpec<S> {
    /// Returns the amount in the set; `None` if it is unset.
    pub fn amount(&self, set: &S) -> Option<Amount> {
        (self.get)(set).map(|raw| self.unit.amount(raw))
    }

    /// Parses an amount and checks its range.
    pub fn parse(&self, text: &str) -> Result<Amount, LimitError> {
        let amount = match self.unit {
            LimitUnit::Size => Amount::Size(text.parse()?),
            LimitUnit::Time => Amount::Time(text.parse()?),
            LimitUnit::Count => Amount::Count(
                text.parse()
                    .map_err(|_| LimitError::Count(text.to_owned()))?,
            ),
        };
        self.check(amount)
    }

    /// Returns the amount if it is in range.
    pub fn check(&self, amount: Amount) -> Result<Amount, LimitError> {
        if (self.min..=self.max).contains(&amount.raw()) {
            return Ok(amount);
        }
        Err(LimitError::Range {
            amount,
            min: self.unit.amount(self.min),
            max: self.unit.amount(self.max),
        })
    }

    /// Returns the help text, without the default.
    pub fn help(&self) -> String {
        let lines: Vec<&str> = self.help.iter().map(|line| line.trim()).collect();
        lines.join(" ").trim_end_matches('.').to_owned()
    }

    /// Returns the default as help texts show it.
    pub fn default_text(&self) -> String {
        match self.default {
            LimitDefault::Fixed(raw) => self.unit.amount(raw).to_string(),
            LimitDefault::Above(other, raw) => {
                format!("{} more than --{other}", self.unit.amount(raw))
            }
            LimitDefault::Unset(text) => text.to_owned(),
        }
    }
}

impl<S> fmt::Debug for LimitSpec<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LimitSpec({})", self.name)
    }
}

/// Specs are static and their names are unique within a set.
impl<S> PartialEq for LimitSpec<S> {
    fn eq(&self, other: &LimitSpec<S>) -> bool {
        self.name == other.name
    }
}

impl<S> Eq for LimitSpec<S> {}

impl LimitUnit {
    /// Converts a raw number into an amount.
    pub const fn amount(self, raw: u64) -> Amount {
        match self {
            LimitUnit::Size => Amount::Size(ByteSize::bytes(raw)),
            LimitUnit::Time => Amount::Time(TimeSpan::nanos(raw)),
            LimitUnit::Count => Amount::Count(raw),
        }
    }
}

impl Amount {
    /// Returns the raw number: bytes, nanoseconds or a count.
    pub fn raw(self) -> u64 {
        match self {
            Amount::Size(size) => size.get(),
            Amount::Time(time) => u64::try_from(time.get().as_nanos()).unwrap_or(u64::MAX),
            Amount::Count(count) => count,
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

impl LimitField for u64 {
    const EMPTY: u64 = 0;

    fn to_raw(&self) -> Option<u64> {
        Some(*self)
    }

    fn from_raw(raw: u64) -> u64 {
        raw
    }
}

impl LimitField for u32 {
    const EMPTY: u32 = 0;

    fn to_raw(&self) -> Option<u64> {
        Some(u64::from(*self))
    }

    fn from_raw(raw: u64) -> u32 {
        u32::try_from(raw).unwrap_or(u32::MAX)
    }
}

impl LimitField for usize {
    const EMPTY: usize = 0;

    fn to_raw(&self) -> Option<u64> {
        u64::try_from(*self).ok()
    }

    fn from_raw(raw: u64) -> usize {
        usize::try_from(raw).unwrap_or(usize::MAX)
    }
}

impl LimitField for Duration {
    const EMPTY: Duration = Duration::ZERO;

    fn to_raw(&self) -> Option<u64> {
        Some(u64::try_from(self.as_nanos()).unwrap_or(u64::MAX))
    }

    fn from_raw(raw: u64) -> Duration {
        Duration::from_nanos(raw)
    }
}

impl<T: LimitField> LimitField for Option<T> {
    const EMPTY: Option<T> = None;

    fn to_raw(&self) -> Option<u64> {
        self.as_ref().and_then(LimitField::to_raw)
    }

    fn from_raw(raw: u64) -> Option<T> {
        Some(T::from_raw(raw))
    }
}

/// A set of declared limits; see [`declare_limits!`](crate::declare_limits).
pub trait LimitSet: Sized + 'static {
    /// Heading of the set in help texts.
    const HEADING: &'static str;
    /// The declarations, in the order in which they are listed.
    const SPECS: &'static [LimitSpec<Self>];
    /// The set before any limit is set.
    const EMPTY: Self;

    /// Returns the declaration with this name.
    fn spec(name: &str) -> Option<&'static LimitSpec<Self>> {
        Self::SPECS.iter().find(|spec| spec.name == name)
    }

    /// Returns the set with these amounts. Where `amount` returns `None`, the
    /// default applies.
    fn from_amounts(mut amount: impl FnMut(&'static LimitSpec<Self>) -> Option<Amount>) -> Self {
        let mut set = Self::EMPTY;
        for spec in Self::SPECS {
            let raw = match (amount(spec), spec.default) {
                (Some(amount), _) => Some(amount.raw()),
                (None, LimitDefault::Fixed(raw)) => Some(raw),
                (None, LimitDefault::Above(other, raw)) => Self::spec(other)
                    .and_then(|other| (other.get)(&set))
                    .map(|other| other.saturating_add(raw)),
                (None, LimitDefault::Unset(_)) => None,
            };
            if let Some(raw) = raw {
                (spec.set)(&mut set, raw);
            }
        }
        set
    }

    /// Returns the set with no limit larger than in the other set.
    #[must_use]
    fn capped_by(mut self, other: &Self) -> Self {
        for spec in Self::SPECS {
            if let (Some(own), Some(cap)) = ((spec.get)(&self), (spec.get)(other))
                && own > cap
            {
                (spec.set)(&mut self, cap);
            }
        }
        self
    }

    /// Returns the set with no limit larger than the largest permitted amount.
    #[must_use]
    fn in_range(mut self) -> Self {
        for spec in Self::SPECS {
            if (spec.get)(&self).is_some_and(|own| own > spec.max) {
                (spec.set)(&mut self, spec.max);
            }
        }
        self
    }
}

/// Declares a set of limits.
///
/// The set has a heading for help texts. Each entry has a doc comment, which is
/// also its help text, then the field and its type, the name, and in
/// parentheses the unit, the default, the smallest and the largest amount as
/// raw numbers, and the field of the journal.
#[macro_export]
macro_rules! declare_limits {
    (
        $(#[$outer:meta])*
        $vis:vis struct $Set:ident, $heading:literal {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $type:ty = $name:literal
                    ($unit:ident, $default:expr, $min:expr, $max:expr $(, journal $journal:literal)?);
            )+
        }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis struct $Set {
            $( $(#[doc = $doc])+ pub $field: $type, )+
        }

        impl $crate::LimitSet for $Set {
            const HEADING: &'static str = $heading;

            const SPECS: &'static [$crate::LimitSpec<$Set>] = &[
                $( $crate::LimitSpec {
                    name: $name,
                    journal: $crate::declare_limits!(@journal $($journal)?),
                    unit: $crate::LimitUnit::$unit,
                    default: $default,
                    min: $min,
                    max: $max,
                    help: &[$($doc),+],
                    get: |set| $crate::LimitField::to_raw(&set.$field),
                    set: |set, raw| set.$field = $crate::LimitField::from_raw(raw),
                }, )+
            ];

            const EMPTY: $Set = $Set {
                $( $field: $crate::LimitField::EMPTY, )+
            };
        }

        /// The limits if the operator sets none.
        impl Default for $Set {
            fn default() -> $Set {
                $crate::LimitSet::from_amounts(|_| None)
            }
        }
    };
    (@journal) => { None };
    (@journal $journal:literal) => { Some($journal) };
}
