//! The limits of a session.
//!
//! Each is declared here once, enforced in one place, and has a test that shows
//! it taking effect.

use std::time::Duration;

use super::budget::Budget;
use super::spec::LimitDefault::{Above, Fixed};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

const fn ms(millis: u64) -> u64 {
    millis * 1_000_000
}

const fn secs(secs: u64) -> u64 {
    ms(secs * 1000)
}

const DAY: u64 = secs(86_400);

// The ranges: a guest of an ordinary toolchain starts with more than 1 MiB of
// memory and cannot address more than 4 GiB. Ticks last some milliseconds, so
// times far below 10 ms cannot be distinguished. A guest starts with two open
// directories and a dozen handles. Its functions take some hundreds of table
// elements. File writes cross in pieces of some kilobytes, and so does the
// description. Python clients fail on JSON of some hundreds of levels.
crate::declare_limits! {
    /// Limits of one session.
    pub struct SessionLimits, "Limits of a session" {
        /// Linear memories and tables of a session together. A larger
        /// allocation fails; a guest that then aborts ends its session with
        /// `limit_memory`.
        memory: usize = "memory"
            (Size, Fixed(256 * MIB), 2 * MIB, 4 * GIB, journal "memory");
        /// Elements of all tables of a session. Growing a table further fails;
        /// a guest that then aborts ends its session with `limit_memory`.
        tables: usize = "tables"
            (Count, Fixed(100_000), 1000, 1_000_000, journal "tables");
        /// Handles that a session holds at once (files, streams, timers), and
        /// eight times as many to the guest's own resources. Exceeding it ends
        /// the session with `limit_handles`.
        handles: usize = "handles"
            (Count, Fixed(1024), 64, 100_000, journal "handles");
        /// CPU time of one call, prompt, listing or group score. Exceeding it
        /// ends the session with `limit_cpu`.
        call_cpu: Duration = "call-cpu"
            (Time, Fixed(secs(30)), ms(10), DAY, journal "call");
        /// Wall-clock time of one call, prompt, listing or group score: its CPU
        /// time and what it sleeps, without waiting for a CPU. Exceeding it
        /// ends the session with `limit_wall`, or with `limit_network` if it
        /// waited for HTTP requests for most of it.
        call_wall: Duration = "call-wall"
            (Time, Fixed(secs(60)), ms(10), DAY, journal "call");
        /// CPU time of opening an episode, and again of its setup. Exceeding it
        /// ends the session with `limit_cpu`.
        setup_cpu: Duration = "setup-cpu"
            (Time, Fixed(secs(60)), ms(10), DAY, journal "setup");
        /// Wall-clock time of opening an episode, and again of its setup.
        /// Exceeding it ends the session with `limit_wall`.
        setup_wall: Duration = "setup-wall"
            (Time, Fixed(secs(120)), ms(10), DAY, journal "setup");
        /// CPU time of the teardown, which is cut short at this limit.
        teardown_cpu: Duration = "teardown-cpu"
            (Time, Fixed(secs(5)), ms(10), DAY, journal "teardown");
        /// Wall-clock time of the teardown, which is cut short at this limit.
        teardown_wall: Duration = "teardown-wall"
            (Time, Fixed(secs(5)), ms(10), DAY, journal "teardown");
        /// Size of one result, blocks and metadata together. A larger result
        /// ends the session with `limit_output`.
        result: usize = "result-limit"
            (Size, Fixed(8 * MIB), KIB, GIB, journal "result");
        /// Size of what the guest passes to the host in one host call or as one
        /// result, counted as it lies in the host's memory. Exceeding it ends
        /// the session with `limit_output`.
        host_call: usize = "host-call-limit"
            (Size, Above("result-limit", 8 * MIB), 64 * KIB, 2 * GIB, journal "host_call");
        /// Nesting depth of JSON from clients and from the environment. Deeper
        /// call input is refused (`input_validation`), a deeper task gets 400,
        /// and deeper output is a tool error; the session continues.
        json_depth: usize = "json-depth"
            (Count, Fixed(64), 8, 512, journal "json_depth");
        /// Guest output (stdout and stderr) that reaches the log in each call,
        /// with what the server adds to each line. The rest is counted and dropped.
        log: usize = "guest-log-limit"
            (Size, Fixed(64 * KIB), 0, 16 * MIB, journal "log");
        /// Guest output (stdout and stderr) that reaches the log in each
        /// session, with what the server adds to each line. The rest is counted and dropped.
        log_total: usize = "guest-log-total"
            (Size, Fixed(4 * MIB), 0, GIB, journal "log_total");
        /// Size of the files that a session writes, and of their names. Further
        /// writes fail as on a full disk.
        disk: u64 = "disk"
            (Size, Fixed(64 * MIB), 0, TIB, journal "disk");
        /// Names of files, directories and links that a session creates, changes
        /// or removes; each hard link is one. Further ones fail as on a full
        /// disk.
        files: u64 = "files"
            (Count, Fixed(4096), 0, 1_000_000, journal "files");
        /// Files and directories that a session has open at once. Opening
        /// another fails with a quota error.
        open_files: u64 = "open-files"
            (Count, Fixed(256), 8, 10_000, journal "open_files");
        /// Size of a session's requests and results in the journal. Once it is
        /// exceeded, the next request ends the session with `limit_disk`.
        journal: u64 = "journal-limit"
            (Size, Fixed(256 * MIB), 64 * KIB, TIB, journal "journal");
        /// HTTP requests of a session. Further ones fail with the code `limit`.
        http_requests: u32 = "http-requests"
            (Count, Fixed(10_000), 0, 1_000_000, journal "http_requests");
        /// Size of the HTTP requests of one call and of their responses
        /// together. A request above it fails with the code `limit`.
        http_call: usize = "http-call-limit"
            (Size, Fixed(16 * MIB), 64 * KIB, GIB, journal "http_call");
    }
}

impl SessionLimits {
    /// Returns the budget of a call, prompt, listing or group score, and of a
    /// task query.
    pub fn call(&self) -> Budget {
        Budget {
            cpu: self.call_cpu,
            wall: self.call_wall,
        }
    }

    /// Returns the budget of opening the episode, and of its setup.
    pub fn setup(&self) -> Budget {
        Budget {
            cpu: self.setup_cpu,
            wall: self.setup_wall,
        }
    }

    /// Returns the budget of the teardown.
    pub fn teardown(&self) -> Budget {
        Budget {
            cpu: self.teardown_cpu,
            wall: self.teardown_wall,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Amount, LimitSet, LimitUnit};

    fn amount(unit: LimitUnit, raw: u64) -> Amount {
        unit.amount(if unit == LimitUnit::Time {
            ms(raw)
        } else {
            raw
        })
    }

    #[test]
    fn each_limit_is_set_where_it_is_read() {
        let defaults = SessionLimits::default();
        for spec in SessionLimits::SPECS {
            let expected = amount(spec.unit, 12_345);
            let mut limits = defaults;
            (spec.set)(&mut limits, expected.raw());
            assert_eq!(spec.amount(&limits), Some(expected), "{}", spec.name);
            assert_eq!(SessionLimits::spec(spec.name), Some(spec));
            for other in SessionLimits::SPECS.iter().filter(|other| *other != spec) {
                assert_eq!(other.amount(&limits), other.amount(&defaults));
            }
        }
    }

    #[test]
    fn every_default_is_in_range() {
        let defaults = SessionLimits::default();
        for spec in SessionLimits::SPECS {
            assert!(spec.min < spec.max, "{}", spec.name);
            let default = spec.amount(&defaults).unwrap();
            assert_eq!(spec.check(default), Ok(default), "{}", spec.name);
        }
    }

    #[test]
    fn a_larger_result_enlarges_the_host_call_limit() {
        for (result, host_call, expected) in [
            (None, None, "16MiB"),
            (Some("64MiB"), None, "72MiB"),
            (Some("64MiB"), Some("1MiB"), "1MiB"),
        ] {
            let limits = SessionLimits::from_amounts(|spec| match spec.name {
                "result-limit" => result.map(|text| spec.parse(text).unwrap()),
                "host-call-limit" => host_call.map(|text| spec.parse(text).unwrap()),
                _ => None,
            });
            let spec = SessionLimits::spec("host-call-limit").unwrap();
            assert_eq!(spec.amount(&limits).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn refuses_amounts_out_of_range() {
        for (name, text, expected) in [
            ("memory", "0", "0B is out of range: expected 2MiB to 4GiB"),
            (
                "memory",
                "5GiB",
                "5GiB is out of range: expected 2MiB to 4GiB",
            ),
            ("call-cpu", "0s", "0s is out of range: expected 10ms to 24h"),
            (
                "call-cpu",
                "25h",
                "25h is out of range: expected 10ms to 24h",
            ),
            (
                "result-limit",
                "12",
                "12B is out of range: expected 1KiB to 1GiB",
            ),
            ("guest-log-limit", "0", "fine"),
            ("handles", "63", "63 is out of range: expected 64 to 100000"),
            ("json-depth", "8", "fine"),
            (
                "files",
                "-1",
                "invalid count \"-1\": expected a whole number",
            ),
            ("open-files", "7", "7 is out of range: expected 8 to 10000"),
        ] {
            let got = match SessionLimits::spec(name).unwrap().parse(text) {
                Ok(_) => "fine".to_owned(),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected, "{name} = {text}");
        }
    }
}
