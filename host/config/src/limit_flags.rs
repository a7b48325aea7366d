//! Flags for a set of limits, generated from its declarations.

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use orwd_model::{Amount, LimitDefault, LimitSet, LimitSpec, LimitUnit};

/// One flag for each limit of the set `S`.
///
/// Each amount is checked as it is read. An invalid one is a usage error that
/// names the flag and the permitted range.
#[derive(Clone, Debug)]
pub struct LimitFlags<S> {
    limits: S,
}

impl<S: Copy> LimitFlags<S> {
    /// Returns the limits that the operator sets.
    pub fn resolve(&self) -> S {
        self.limits
    }
}

impl<S: LimitSet> Args for LimitFlags<S> {
    fn augment_args(command: Command) -> Command {
        command
            .next_help_heading(S::HEADING)
            .args(S::SPECS.iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        LimitFlags::<S>::augment_args(command)
    }
}

impl<S: LimitSet> FromArgMatches for LimitFlags<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<LimitFlags<S>, clap::Error> {
        Ok(LimitFlags {
            limits: S::from_amounts(|spec| matches.get_one::<Amount>(spec.name).copied()),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = LimitFlags::from_arg_matches(matches)?;
        Ok(())
    }
}

fn argument<S: LimitSet>(spec: &'static LimitSpec<S>) -> Arg {
    let argument = Arg::new(spec.name)
        .long(spec.name)
        .value_name(match spec.unit {
            LimitUnit::Size => "SIZE",
            LimitUnit::Time => "TIME",
            LimitUnit::Count => "COUNT",
        })
        .value_parser(move |text: &str| spec.parse(text));
    let (help, default) = (spec.help(), spec.default_text());
    match spec.default {
        LimitDefault::Fixed(_) => argument.default_value(default).help(help),
        LimitDefault::Above(..) | LimitDefault::Unset(_) => {
            argument.help(format!("{help} [default: {default}]"))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use orwd_model::{AdmissionLimits, HttpLimits, SessionLimits};

    use super::*;
    use crate::ServerLimits;

    #[derive(Parser, Debug)]
    struct Flags {
        #[command(flatten)]
        admission: LimitFlags<AdmissionLimits>,
        #[command(flatten)]
        session: LimitFlags<SessionLimits>,
        #[command(flatten)]
        server: LimitFlags<ServerLimits>,
        #[command(flatten)]
        http: LimitFlags<HttpLimits>,
    }

    fn read(flags: &str) -> Result<Flags, String> {
        let words = ["orwd"].into_iter().chain(flags.split_whitespace());
        Flags::try_parse_from(words).map_err(|error| {
            let text = error.to_string();
            text.lines().next().unwrap_or_default().to_owned()
        })
    }

    #[test]
    fn without_flags_the_defaults_apply() {
        let flags = read("").unwrap();
        assert_eq!(flags.session.resolve(), SessionLimits::default());
        assert_eq!(flags.admission.resolve(), AdmissionLimits::default());
        assert_eq!(flags.server.resolve(), ServerLimits::default());
    }

    #[test]
    fn every_limit_is_a_flag_of_its_name() {
        for spec in SessionLimits::SPECS {
            let amount = spec.unit.amount(spec.max);
            let flags = read(&format!("--{}={amount}", spec.name)).unwrap();
            assert_eq!(spec.amount(&flags.session.resolve()), Some(amount));
        }
        for spec in ServerLimits::SPECS {
            let amount = spec.unit.amount(spec.max);
            let flags = read(&format!("--{}={amount}", spec.name)).unwrap();
            assert_eq!(spec.amount(&flags.server.resolve()), Some(amount));
        }
        for spec in HttpLimits::SPECS {
            let amount = spec.unit.amount(spec.max);
            let flags = read(&format!("--{}={amount}", spec.name)).unwrap();
            assert_eq!(spec.amount(&flags.http.resolve()), Some(amount));
        }
    }

    #[test]
    fn invalid_values_name_the_flag_and_the_range() {
        for (flags, expected) in [
            (
                "--memory 0",
                "error: invalid value '0' for '--memory <SIZE>': 0B is out of range: expected 2MiB to 4GiB",
            ),
            (
                "--call-wall 60",
                "error: invalid value '60' for '--call-wall <TIME>': a time needs a unit: 60s for seconds, 60ms for milliseconds",
            ),
            (
                "--max-sessions 0",
                "error: invalid value '0' for '--max-sessions <COUNT>': 0 is out of range: expected 1 to 1000000",
            ),
            (
                "--compile-time 500ms",
                "error: invalid value '500ms' for '--compile-time <TIME>': 500ms is out of range: expected 1s to 24h",
            ),
            (
                "--header-limit 1KiB",
                "error: invalid value '1KiB' for '--header-limit <SIZE>': 1KiB is out of range: expected 8KiB to 1MiB",
            ),
            (
                "--idle-timeout 0s",
                "error: invalid value '0s' for '--idle-timeout <TIME>': 0s is out of range: expected 1s to 720h",
            ),
        ] {
            assert_eq!(read(flags).map(|_| ()), Err(expected.to_owned()));
        }
    }
}
