//! Evicts idle sessions when the process uses too much memory.
//!
//! The memory of one guest is limited, but the sum over thousands of guests is
//! not. So the process reads its own size at intervals. Above the high
//! watermark it evicts idle sessions until it is below; the order is that of
//! [`eviction`](super::eviction). Where the system does not report the size of
//! a process, nothing is done.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Weak;
use std::time::Duration;

use crate::context::SessionContext;

/// The time between two readings.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Reads the size of this process.
#[derive(Debug)]
pub struct MemoryMonitor {
    statm: File,
    page_size: u64,
    high_watermark: u64,
}

impl MemoryMonitor {
    /// Opens a monitor with this high watermark in bytes, or three quarters of
    /// the available memory. Call it before hardening, which closes the files
    /// that it reads.
    pub fn open(high_watermark: Option<u64>) -> io::Result<MemoryMonitor> {
        let high_watermark = match high_watermark {
            Some(bytes) => bytes,
            None => available_memory()? / 4 * 3,
        };
        Ok(MemoryMonitor {
            statm: File::open("/proc/self/statm")?,
            page_size: rustix::param::page_size() as u64,
            high_watermark,
        })
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

/// Returns the bytes of memory that this process may use: the machine's, or
/// what its control groups allow.
fn available_memory() -> io::Result<u64> {
    let machine = fs::read_to_string("/proc/meminfo")?;
    let machine = second_field(&machine)
        .and_then(|kib| kib.checked_mul(1024))
        .ok_or_else(|| io::Error::other("/proc/meminfo does not show the size of memory"))?;
    let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let allowed = enclosing_cgroups(&cgroups).filter_map(|cgroup| {
        let text = fs::read_to_string(format!("/sys/fs/cgroup{cgroup}/memory.max")).ok()?;
        text.trim().parse().ok()
    });
    Ok(allowed.fold(machine, u64::min))
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
        let residents = &context.residents;
        let count = eviction_count(resident_bytes, monitor.high_watermark, residents.len());
        let evicted = residents.evict(count).await;
        if evicted > 0 {
            tracing::info!(
                resident_bytes,
                high_watermark = monitor.high_watermark,
                sessions = evicted,
                "idle sessions evicted under memory pressure"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
