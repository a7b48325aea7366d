//! Memory, CPU time and descriptors of a process, and the load average, from
//! `/proc`. Fails without `/proc`, or if the process has ended or belongs to
//! another user.

use std::fs;
use std::time::Duration;

use serde::Serialize;

/// The memory of a process at one moment, in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct ProcessMemory {
    /// Resident memory, as `top` shows it. A page that is mapped a thousand times,
    /// such as an unmodified page of a guest's initial image, counts a thousand
    /// times.
    pub(crate) resident: u64,
    /// Resident memory with each page counted once, if the system reports it.
    pub(crate) distinct: Option<u64>,
    /// Page tables, which resident memory does not include.
    pub(crate) page_tables: u64,
    /// The number of mappings, limited by `vm.max_map_count`.
    pub(crate) maps: u64,
}

impl ProcessMemory {
    /// Reads the memory of a process.
    pub(crate) fn of(pid: u32) -> Result<Self, String> {
        let status = read(&format!("/proc/{pid}/status"))?;
        // The sum over all mappings is exact; the counter in `status` may lag by
        // some pages per thread.
        let rollup = read(&format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let resident = field(&rollup, "Rss:").or_else(|| field(&status, "VmRSS:"));
        let maps = read(&format!("/proc/{pid}/maps"))?.lines().count();
        Ok(Self {
            resident: resident.ok_or("the process has no resident pages")?,
            distinct: field(&rollup, "Pss:"),
            page_tables: field(&status, "VmPTE:").unwrap_or_default(),
            maps: maps as u64,
        })
    }
}

/// Returns the bytes in a line such as `VmRSS:  1024 kB`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Returns the CPU time of all threads of a process.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration, String> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    let ticks = cpu_ticks(&stat).ok_or("the process has no times")?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_millis(ticks * 1000 / per_second))
}

/// Returns user and system time in clock ticks. The second field is the program's
/// name in parentheses, which may contain spaces.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Counts the open descriptors of a process, without the sockets of its clients.
pub(crate) fn descriptors(pid: u32) -> Result<usize, String> {
    let folder = format!("/proc/{pid}/fd");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{folder}: {error}"))?;
    let targets = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let is_socket = |target: &std::path::PathBuf| target.to_string_lossy().starts_with("socket:");
    Ok(targets.filter(|target| !is_socket(target)).count())
}

/// Returns the load average of the last minute.
pub(crate) fn load_average() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::{cpu_ticks, field};

    #[test]
    fn fields_of_a_status() {
        let text = "VmPeak:\t  900 kB\nVmRSS:\t  12 kB\nThreads:\t3\n";
        assert_eq!(field(text, "VmRSS:"), Some(12 * 1024));
        assert_eq!(field(text, "VmPTE:"), None);
        assert_eq!(field(text, "Threads:"), None);
    }

    #[test]
    fn times_follow_a_name_with_any_characters() {
        let stat = "7 (a) b 1 2) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 3 0";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("7 (x) S"), None);
    }
}
