//! Lets sessions at rest leave the memory when it gets short.
//!
//! What a guest may take is bounded, but not what thousands of them take
//! together: that is for the machine to have, and the operator may have counted
//! on fewer. So the process looks at its own size now and then, and above a
//! mark it puts sessions to sleep until it is below, those of whoever has most
//! first. What has something to do stays. Where the system does not tell a
//! process how large it is, nothing is done.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Weak;
use std::time::Duration;

use super::sessions::Inner;

/// The time between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// The size of this process, and the mark.
#[derive(Debug)]
pub struct Gauge {
    statm: File,
    page: u64,
    mark: u64,
}

impl Gauge {
    /// With this mark in bytes, or three quarters of the memory that there is.
    /// Opened before the process gives up the files that it looks at.
    pub fn open(mark: Option<u64>) -> io::Result<Gauge> {
        let mark = match mark {
            Some(mark) => mark,
            None => memory()? / 4 * 3,
        };
        Ok(Gauge {
            statm: File::open("/proc/self/statm")?,
            page: rustix::param::page_size() as u64,
            mark,
        })
    }

    /// Bytes that are resident.
    fn resident(&self) -> io::Result<u64> {
        let mut text = [0; 128];
        let length = self.statm.read_at(&mut text, 0)?;
        let text = String::from_utf8_lossy(text.get(..length).unwrap_or_default());
        second(&text)
            .map(|pages| pages.saturating_mul(self.page))
            .ok_or_else(|| io::Error::other("it does not say how large the process is"))
    }
}

/// The second number of a line.
fn second(text: &str) -> Option<u64> {
    text.split_whitespace().nth(1)?.parse().ok()
}

/// Bytes of memory that this process may have: the machine's, or what its
/// control group allows.
fn memory() -> io::Result<u64> {
    let machine = fs::read_to_string("/proc/meminfo")?;
    let machine = second(&machine)
        .and_then(|kib| kib.checked_mul(1024))
        .ok_or_else(|| io::Error::other("the system does not say how much memory there is"))?;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let allowed = groups_of(&groups).filter_map(|group| {
        let text = fs::read_to_string(format!("/sys/fs/cgroup{group}/memory.max")).ok()?;
        text.trim().parse().ok()
    });
    Ok(allowed.fold(machine, u64::min))
}

/// The process's control group and those around it, by the line of the unified
/// hierarchy. In a container the outermost is its own.
fn groups_of(text: &str) -> impl Iterator<Item = &str> {
    let own = text.lines().find_map(|line| line.strip_prefix("0::"));
    let own = own.unwrap_or_default().trim_end_matches('/');
    std::iter::successors(Some(own), |group| {
        group.rsplit_once('/').map(|(outer, _)| outer)
    })
}

/// Of so many in memory, how many are to leave it: their part of what is too
/// much, and one more.
fn surplus(resident: u64, mark: u64, held: usize) -> usize {
    let Some(over) = resident.checked_sub(mark).filter(|over| *over > 0) else {
        return 0;
    };
    let part = u128::from(over) * held as u128 / u128::from(resident);
    usize::try_from(part).unwrap_or(held).saturating_add(1)
}

/// Looks now and then, until the sessions are gone.
pub(super) async fn run(sessions: Weak<Inner>, gauge: Gauge) {
    let mut ticks = tokio::time::interval(PAUSE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(sessions) = sessions.upgrade() else {
            return;
        };
        let resident = match gauge.resident() {
            Ok(resident) => resident,
            Err(error) => {
                tracing::warn!("memory is not looked after any more: {error}");
                return;
            }
        };
        let residents = &sessions.house.residents;
        let wanted = surplus(resident, gauge.mark, residents.held());
        let left = residents.shrink(wanted).await;
        if left > 0 {
            tracing::info!(
                resident,
                mark = gauge.mark,
                sessions = left,
                "memory is short: sessions at rest left it"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_leave_as_are_too_much() {
        for (resident, mark, held, expected) in [
            (100, 100, 10, 0),
            (99, 100, 10, 0),
            (101, 100, 10, 1),
            (200, 100, 10, 6),
            (1000, 1, 10, 10),
            (u64::MAX, 1, 1_000_000, 1_000_000),
            (200, 100, 0, 1),
        ] {
            let leave = surplus(resident, mark, held);
            assert_eq!(leave, expected, "{resident} {mark} {held}");
        }
    }

    #[test]
    fn every_group_around_a_process_counts() {
        for (text, expected) in [
            ("0::/\n", vec![""]),
            (
                "0::/system.slice/orwd.service\n",
                vec!["/system.slice/orwd.service", "/system.slice", ""],
            ),
            ("4:memory:/old\n0::/new\n", vec!["/new", ""]),
            ("", vec![""]),
        ] {
            let groups: Vec<&str> = groups_of(text).collect();
            assert_eq!(groups, expected, "{text:?}");
        }
    }

    #[test]
    fn a_process_knows_its_size() {
        let gauge = Gauge::open(None).unwrap();
        assert!(gauge.resident().unwrap() > 1 << 20);
        assert!(gauge.mark > 1 << 20);
    }
}
