//! Memory, CPU time, mappings and descriptors of this process.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
#[cfg(target_os = "linux")]
use rustix::fs::{RawDir, SeekFrom};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// The most bytes of `/proc/self/maps` that are read at once.
const MAPS_PIECE: usize = 64 << 10;

/// The most bytes of `/proc/self/fd` that are read at once.
#[cfg(target_os = "linux")]
const ENTRIES_PIECE: usize = 16 << 10;

/// Reads facts about this process from files that are opened before hardening,
/// which closes the way to them.
#[derive(Debug)]
pub(crate) struct ProcessFacts {
    statm: Option<File>,
    status: Option<File>,
    maps: Option<File>,
    descriptors: Option<OwnedFd>,
    mappings_limit: Option<u64>,
    page_size: u64,
}

/// Facts at one moment. What the system does not report is absent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProcessNumbers {
    pub(crate) resident: Option<u64>,
    pub(crate) page_tables: Option<u64>,
    pub(crate) mappings: Option<u64>,
    pub(crate) mappings_limit: Option<u64>,
    pub(crate) descriptors: Option<u64>,
    pub(crate) descriptors_limit: Option<u64>,
    pub(crate) cpu: Duration,
}

impl ProcessFacts {
    /// Opens the files.
    pub(crate) fn open() -> ProcessFacts {
        let limit = fs::read_to_string("/proc/sys/vm/max_map_count").ok();
        let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        ProcessFacts {
            statm: File::open("/proc/self/statm").ok(),
            status: File::open("/proc/self/status").ok(),
            maps: File::open("/proc/self/maps").ok(),
            descriptors: rustix::fs::open("/proc/self/fd", directory, Mode::empty()).ok(),
            mappings_limit: limit.and_then(|text| text.trim().parse().ok()),
            page_size: rustix::param::page_size() as u64,
        }
    }

    /// Reads the facts. May take milliseconds, since the system lists the mappings.
    pub(crate) fn read(&self) -> ProcessNumbers {
        let statm = self.statm.as_ref().and_then(|file| text(file).ok());
        let pages = statm.and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
        let status = self.status.as_ref().and_then(|file| text(file).ok());
        ProcessNumbers {
            resident: pages.map(|pages| pages.saturating_mul(self.page_size)),
            page_tables: status.and_then(|text| kibibytes(&text, "VmPTE:")),
            mappings: self.maps.as_ref().and_then(|file| lines(file).ok()),
            mappings_limit: self.mappings_limit,
            descriptors: self.descriptors.as_ref().and_then(entries),
            descriptors_limit: getrlimit(Resource::Nofile).current,
            cpu: cpu_time(),
        }
    }
}

/// Reads a short file from its start.
fn text(file: &File) -> io::Result<String> {
    let mut bytes = vec![0; 8 << 10];
    let length = file.read_at(&mut bytes, 0)?;
    bytes.truncate(length);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the bytes in a line such as `VmPTE:  1024 kB`.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

/// Counts the lines of a file.
fn lines(file: &File) -> io::Result<u64> {
    let mut bytes = vec![0; MAPS_PIECE];
    let (mut offset, mut count) = (0, 0);
    loop {
        let length = file.read_at(&mut bytes, offset)?;
        if length == 0 {
            return Ok(count);
        }
        let piece = bytes.get(..length).unwrap_or_default();
        count += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
        offset += length as u64;
    }
}

/// Counts the entries of a directory. It is read by this descriptor, since hardening
/// refuses to open it again.
#[cfg(target_os = "linux")]
fn entries(directory: &OwnedFd) -> Option<u64> {
    rustix::fs::seek(directory, SeekFrom::Start(0)).ok()?;
    let mut buffer = Vec::with_capacity(ENTRIES_PIECE);
    let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
    let mut count = 0;
    while let Some(entry) = entries.next() {
        // Neither the directory itself nor the one above it.
        if !entry.ok()?.file_name().to_bytes().starts_with(b".") {
            count += 1;
        }
    }
    Some(count)
}

#[cfg(not(target_os = "linux"))]
fn entries(_: &OwnedFd) -> Option<u64> {
    None
}

/// Returns the CPU time of all threads.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_facts_of_this_process_are_plausible_and_follow_it() {
        let facts = ProcessFacts::open();
        let before = facts.read();
        let held: Vec<File> = (0..10).map(|_| File::open("/dev/null").unwrap()).collect();
        let after = facts.read();
        assert!(before.resident.unwrap() > 1 << 20);
        assert!(before.mappings.unwrap() > 10);
        assert!(before.mappings < before.mappings_limit);
        assert!(before.page_tables.unwrap() > 0);
        // Other tests of this process open files, too.
        assert!(after.descriptors.unwrap() > 10);
        assert!(after.descriptors < after.descriptors_limit);
        assert!(after.cpu >= before.cpu && after.cpu > Duration::ZERO);
        drop(held);
    }
}
