//! Keeps the process within its memory.
//!
//! The memory of one guest is limited, but the sum over thousands of guests is
//! not. So the process reads its own size at intervals. Above the high
//! watermark it evicts idle sessions until it is below; the order is that of
//! [`eviction`](super::eviction). Guests that run cannot be evicted, so above
//! the ceiling, halfway to all memory, no session is created or resumed, and
//! the largest guests are stopped (`HostMemory`) until there is memory again.
//! Where the system does not report the size of a process, nothing is done.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::context::SessionContext;

/// The time between two readings. Guests can fill megabytes in a millisecond.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// The time between two evictions. What a session held is not free at once.
const EVICTION_INTERVAL: Duration = Duration::from_millis(500);

/// The time after which smaller guests are stopped, too.
const STOP_INTERVAL: Duration = Duration::from_millis(60);

/// Reads the size of this process.
#[derive(Debug)]
pub struct MemoryMonitor {
    statm: File,
    page_size: u64,
    high_watermark: u64,
    ceiling: u64,
    available: Option<u64>,
}

impl MemoryMonitor {
    /// Opens a monitor with this high watermark in bytes, or three quarters of
    /// the available memory. Call it before hardening, which closes the files
    /// that it reads.
    pub fn open(high_watermark: Option<u64>) -> io::Result<MemoryMonitor> {
        let available = available_memory();
        let known = available.as_ref().ok().copied();
        let (high_watermark, ceiling) = match (high_watermark, available) {
            (Some(bytes), Ok(available)) => (bytes, ceiling(bytes, available)),
            // By the same rule, if the watermark is three quarters.
            (Some(bytes), Err(_)) => (bytes, bytes.saturating_add(bytes / 6)),
            (None, Ok(available)) => {
                let bytes = available / 4 * 3;
                (bytes, ceiling(bytes, available))
            }
            (None, Err(error)) => {
                let reason = format!("{error}; pass --memory-high-watermark BYTES");
                return Err(io::Error::new(error.kind(), reason));
            }
        };
        let monitor = MemoryMonitor {
            statm: File::open("/proc/self/statm")?,
            page_size: rustix::param::page_size() as u64,
            high_watermark,
            ceiling,
            available: known,
        };
        tracing::info!(high_watermark, ceiling, "memory monitored");
        Ok(monitor)
    }

    /// Returns the bytes of memory that this process may use, if they are known.
    pub fn available(&self) -> Option<u64> {
        self.available
    }

    /// Returns the resident size of this process in bytes.
    fn resident_bytes(&self) -> io::Result<u64> {
        let mut text = [0; 128];
        let length = self.statm.read_at(&mut text, 0)?;
        let text = String::from_utf8_lossy(text.get(..length).unwrap_or_default());
        second_field(&text)
            .map(|pages| pages.saturating_mul(self.page_size))
            .ok_or_else(|| io::Error::other("/proc/self/statm does not show the resident size"))
    }
}

/// Returns the second number of a line.
fn second_field(text: &str) -> Option<u64> {
    text.split_whitespace().nth(1)?.parse().ok()
}

/// Returns the size above which memory is short: halfway from the watermark to
/// all memory.
fn ceiling(high_watermark: u64, available: u64) -> u64 {
    high_watermark.saturating_add(available.saturating_sub(high_watermark) / 2)
}

/// Returns the bytes of memory that this process may use: the machine's, or
/// what its control groups allow. A service manager may hide the former.
fn available_memory() -> io::Result<u64> {
    let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let allowed = enclosing_cgroups(&cgroups)
        .flat_map(|cgroup| ["memory.max", "memory.high"].map(|file| format!("{cgroup}/{file}")))
        .filter_map(|file| {
            let text = fs::read_to_string(format!("/sys/fs/cgroup{file}")).ok()?;
            text.trim().parse().ok()
        });
    match (machine_memory(), allowed.min()) {
        (Ok(machine), Some(allowed)) => Ok(machine.min(allowed)),
        (Err(error), Some(allowed)) => {
            tracing::info!(
                allowed,
                reason = %error,
                "memory of the machine unknown; the limit of the control group counts"
            );
            Ok(allowed)
        }
        (machine, None) => machine,
    }
}

/// Returns the bytes of memory of the machine.
fn machine_memory() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo").map_err(|error| {
        let reason = format!("cannot read /proc/meminfo: {error}");
        io::Error::new(error.kind(), reason)
    })?;
    second_field(&text)
        .and_then(|kib| kib.checked_mul(1024))
        .ok_or_else(|| io::Error::other("/proc/meminfo does not show the size of memory"))
}

/// Returns the process's control group and those that enclose it, by the line
/// of the unified hierarchy. In a container the outermost is the container's.
fn enclosing_cgroups(text: &str) -> impl Iterator<Item = &str> {
    let own = text.lines().find_map(|line| line.strip_prefix("0::"));
    let own = own.unwrap_or_default().trim_end_matches('/');
    std::iter::successors(Some(own), |cgroup| {
        cgroup.rsplit_once('/').map(|(outer, _)| outer)
    })
}

/// Returns how many of the resident sessions to evict: as large a part of them
/// as the excess is of the resident bytes, and one more.
fn eviction_count(resident_bytes: u64, high_watermark: u64, sessions: usize) -> usize {
    let Some(excess) = resident_bytes
        .checked_sub(high_watermark)
        .filter(|excess| *excess > 0)
    else {
        return 0;
    };
    let part = u128::from(excess) * sessions as u128 / u128::from(resident_bytes);
    usize::try_from(part).unwrap_or(sessions).saturating_add(1)
}

/// Checks memory at intervals until the server has stopped.
pub(crate) async fn run(context: Weak<SessionContext>, monitor: MemoryMonitor) {
    let mut ticks = tokio::time::interval(CHECK_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut stopped = Instant::now();
    // A task of its own: it waits for the sessions that it evicts.
    let mut eviction = tokio::spawn(async {});
    loop {
        ticks.tick().await;
        let Some(context) = context.upgrade() else {
            return;
        };
        let resident_bytes = match monitor.resident_bytes() {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!("memory monitor stopped: {error}");
                return;
            }
        };
        check_ceiling(&context, &monitor, resident_bytes, &mut stopped);
        if resident_bytes > monitor.high_watermark && eviction.is_finished() {
            let high_watermark = monitor.high_watermark;
            eviction = tokio::spawn(evict(context, resident_bytes, high_watermark));
        }
    }
}

/// Evicts idle sessions of a process of this size.
async fn evict(context: Arc<SessionContext>, resident_bytes: u64, high_watermark: u64) {
    let residents = &context.residents;
    let count = eviction_count(resident_bytes, high_watermark, residents.len());
    let evicted = residents.evict(count).await;
    if evicted > 0 {
        tracing::info!(
            resident_bytes,
            high_watermark,
            sessions = evicted,
            "idle sessions evicted under memory pressure"
        );
    }
    drop(context);
    tokio::time::sleep(EVICTION_INTERVAL).await;
}

/// Stops guests while the process is above the ceiling, and refuses sessions
/// until it is below the watermark.
fn check_ceiling(
    context: &SessionContext,
    monitor: &MemoryMonitor,
    resident_bytes: u64,
    stopped: &mut Instant,
) {
    let memory = context.engine.host_memory();
    let was_short = memory.is_short();
    if resident_bytes > monitor.ceiling {
        if !was_short || stopped.elapsed() >= STOP_INTERVAL {
            memory.report_shortage(context.engine.max_memory());
            *stopped = Instant::now();
        }
        if !was_short {
            tracing::warn!(
                resident_bytes,
                ceiling = monitor.ceiling,
                "memory short: sessions refused and large guests stopped"
            );
        }
    } else if was_short && resident_bytes <= monitor.high_watermark {
        memory.end_shortage();
        tracing::info!(resident_bytes, "memory no longer short");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_is_between_the_watermark_and_all_memory() {
        for (high_watermark, available, expected) in [
            (75, 100, 87),
            (1, 101, 51),
            (200, 100, 200),
            (u64::MAX, u64::MAX, u64::MAX),
        ] {
            assert_eq!(ceiling(high_watermark, available), expected);
        }
    }

    #[test]
    fn the_number_of_evictions_follows_the_excess() {
        for (resident, high_watermark, sessions, expected) in [
            (100, 100, 10, 0),
            (99, 100, 10, 0),
            (101, 100, 10, 1),
            (200, 100, 10, 6),
            (1000, 1, 10, 10),
            (u64::MAX, 1, 1_000_000, 1_000_000),
            (200, 100, 0, 1),
        ] {
            let count = eviction_count(resident, high_watermark, sessions);
            assert_eq!(count, expected, "{resident} {high_watermark} {sessions}");
        }
    }

    #[test]
    fn every_enclosing_control_group_counts() {
        for (text, expected) in [
            ("0::/\n", vec![""]),
            (
                "0::/system.slice/orwd.service\n",
                vec!["/system.slice/orwd.service", "/system.slice", ""],
            ),
            ("4:memory:/old\n0::/new\n", vec!["/new", ""]),
            ("", vec![""]),
        ] {
            let cgroups: Vec<&str> = enclosing_cgroups(text).collect();
            assert_eq!(cgroups, expected, "{text:?}");
        }
    }

    #[test]
    fn the_monitor_reads_the_size_of_this_process() {
        let monitor = MemoryMonitor::open(None).unwrap();
        assert!(monitor.resident_bytes().unwrap() > 1 << 20);
        assert!(monitor.high_watermark > 1 << 20);
    }
}
