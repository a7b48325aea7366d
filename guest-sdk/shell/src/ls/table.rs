//! What `ls` prints for entries.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::options::{Layout, Mark, Options, Order, TimeStyle};

/// Bytes of a block of the file system.
const BLOCK: u64 = 4096;

/// Seconds after which a listing shows the year in place of the time: half of one.
const RECENT: u64 = 31_556_952 / 2;

/// Columns of a line with commas.
const WIDTH: usize = 80;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Link,
    Pipe,
}

/// An entry.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) links: u64,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
    pub(crate) owner: &'static str,
    /// Where a link leads, and whether a folder is there.
    pub(crate) target: Option<String>,
}

impl Entry {
    fn blocks(&self) -> u64 {
        match self.kind {
            Kind::Folder => 4,
            Kind::File => self.size.div_ceil(BLOCK) * 4,
            Kind::Link | Kind::Pipe => 0,
        }
    }

    fn mark(&self, mark: Mark) -> &'static str {
        let by_kind = match self.kind {
            Kind::Folder => "/",
            Kind::Link => "@",
            Kind::Pipe => "|",
            Kind::File if mark == Mark::All && self.mode & 0o111 != 0 => "*",
            Kind::File => "",
        };
        match mark {
            Mark::None => "",
            Mark::Folders if self.kind != Kind::Folder => "",
            _ => by_kind,
        }
    }

    fn shown(&self, options: &Options) -> String {
        let name = match options.is_quoted {
            true => format!(
                "\"{}\"",
                self.name.replace('\\', "\\\\").replace('"', "\\\"")
            ),
            false => self.name.clone(),
        };
        match (&self.target, options.layout) {
            (Some(target), Layout::Long) => format!("{name} -> {target}"),
            _ => name + self.mark(options.mark),
        }
    }
}

/// Sorts entries.
pub(crate) fn sort(entries: &mut [Entry], options: &Options) {
    match options.order {
        Order::None => return,
        Order::Name => entries.sort_by(|one, other| one.name.cmp(&other.name)),
        Order::Size => {
            entries.sort_by(|one, other| {
                other
                    .size
                    .cmp(&one.size)
                    .then_with(|| one.name.cmp(&other.name))
            });
        }
        Order::Time => entries.sort_by(|one, other| {
            let by_time = other.modified.cmp(&one.modified);
            by_time.then_with(|| one.name.cmp(&other.name))
        }),
        Order::Extension => {
            let extension = |entry: &Entry| match entry.name.rsplit_once('.') {
                Some((_, extension)) => extension.to_owned(),
                None => String::new(),
            };
            entries.sort_by_key(|entry| (extension(entry), entry.name.clone()));
        }
    }
    if options.is_reversed {
        entries.reverse();
    }
    if options.folders_first {
        entries.sort_by_key(|entry| entry.kind != Kind::Folder);
    }
}

/// Returns the line with the blocks of all entries.
pub(crate) fn total(entries: &[Entry], options: &Options) -> String {
    let blocks: u64 = entries.iter().map(Entry::blocks).sum();
    match options.is_human {
        true => format!("total {}\n", human(blocks * 1024)),
        false => format!("total {blocks}\n"),
    }
}

/// Returns the lines of entries.
pub(crate) fn lines(entries: &[Entry], options: &Options, now: SystemTime) -> String {
    let mut text = String::new();
    let blocks: Vec<String> = match options.shows_blocks {
        true => entries.iter().map(|entry| blocks(entry, options)).collect(),
        false => Vec::new(),
    };
    let wide = width(blocks.iter());
    let prefix = |place: usize| match blocks.get(place) {
        Some(blocks) => format!("{blocks:>wide$} "),
        None => String::new(),
    };
    match options.layout {
        Layout::Lines => {
            for (place, entry) in entries.iter().enumerate() {
                text.push_str(&prefix(place));
                text.push_str(&entry.shown(options));
                text.push('\n');
            }
        }
        Layout::Commas => {
            let mut column = 0;
            for (place, entry) in entries.iter().enumerate() {
                let shown = prefix(place) + &entry.shown(options);
                let length = shown.chars().count() + 2;
                if place > 0 {
                    text.push(',');
                    let breaks = column + length > WIDTH;
                    text.push(if breaks { '\n' } else { ' ' });
                    column = if breaks { 0 } else { column };
                }
                column += length;
                text.push_str(&shown);
            }
            if !entries.is_empty() {
                text.push('\n');
            }
        }
        Layout::Long => {
            let sizes: Vec<String> = entries.iter().map(|entry| size(entry, options)).collect();
            let links: Vec<String> = entries
                .iter()
                .map(|entry| entry.links.to_string())
                .collect();
            let owners: Vec<&str> = entries.iter().map(|entry| owner(entry, options)).collect();
            let times: Vec<String> = entries
                .iter()
                .map(|entry| time(entry.modified, now, options.time))
                .collect();
            let (size_wide, links_wide) = (width(sizes.iter()), width(links.iter()));
            let (owner_wide, time_wide) = (width(owners.iter()), width(times.iter()));
            let columns = sizes.iter().zip(&links).zip(owners.iter().zip(&times));
            for (place, (entry, ((size, links), (owner, time)))) in
                entries.iter().zip(columns).enumerate()
            {
                text.push_str(&prefix(place));
                text.push_str(&permissions(entry));
                text.push_str(&format!(" {links:>links_wide$}"));
                for is_hidden in [options.hides_owner, options.hides_group] {
                    if !is_hidden {
                        text.push_str(&format!(" {owner:<owner_wide$}"));
                    }
                }
                text.push_str(&format!(" {size:>size_wide$} {time:>time_wide$} "));
                text.push_str(&entry.shown(options));
                text.push('\n');
            }
        }
    }
    text
}

fn width<T: AsRef<str>>(texts: impl Iterator<Item = T>) -> usize {
    texts.map(|text| text.as_ref().len()).max().unwrap_or(0)
}

fn owner(entry: &Entry, options: &Options) -> &'static str {
    match (options.is_numeric, entry.owner) {
        (true, "root") => "0",
        (true, _) => "1000",
        (false, owner) => owner,
    }
}

fn blocks(entry: &Entry, options: &Options) -> String {
    match options.is_human {
        true => human(entry.blocks() * 1024),
        false => entry.blocks().to_string(),
    }
}

fn size(entry: &Entry, options: &Options) -> String {
    match options.is_human {
        true => human(entry.size),
        false => entry.size.to_string(),
    }
}

/// Writes a size as `1.2K`, rounded up.
fn human(bytes: u64) -> String {
    let mut unit = 1_u64;
    for letter in ["", "K", "M", "G", "T", "P"] {
        let tenths = (u128::from(bytes) * 10).div_ceil(u128::from(unit));
        let whole = bytes.div_ceil(unit);
        if letter.is_empty() && bytes < 1024 {
            return bytes.to_string();
        }
        if !letter.is_empty() && tenths < 100 {
            return format!("{}.{}{letter}", tenths / 10, tenths % 10);
        }
        if !letter.is_empty() && whole < 1024 {
            return format!("{whole}{letter}");
        }
        unit = unit.saturating_mul(1024);
    }
    bytes.to_string()
}

fn permissions(entry: &Entry) -> String {
    let mut text = String::from(match entry.kind {
        Kind::File => "-",
        Kind::Folder => "d",
        Kind::Link => "l",
        Kind::Pipe => "p",
    });
    let special = [(0o4000, 's', 'S'), (0o2000, 's', 'S'), (0o1000, 't', 'T')];
    for (shift, (bit, set, alone)) in [6, 3, 0].into_iter().zip(special) {
        let bits = entry.mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (entry.mode & bit != 0, bits & 1 != 0) {
            (true, true) => set,
            (true, false) => alone,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

fn time(modified: SystemTime, now: SystemTime, style: TimeStyle) -> String {
    let since = modified
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let seconds = since.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let now = now
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs();
    let is_recent = seconds <= now && now - seconds < RECENT;
    let name = MONTHS.get(month as usize - 1).unwrap_or(&"Jan");
    match style {
        TimeStyle::Short if is_recent => format!("{name} {day:>2} {hour:02}:{minute:02}"),
        TimeStyle::Short => format!("{name} {day:>2}  {year}"),
        TimeStyle::Iso if is_recent => format!("{month:02}-{day:02} {hour:02}:{minute:02}"),
        TimeStyle::Iso => format!("{year}-{month:02}-{day:02} "),
        TimeStyle::LongIso => format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}"),
        TimeStyle::FullIso => format!(
            "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:09} +0000",
            since.subsec_nanos()
        ),
    }
}

/// Returns year, month and day of a number of days since 1970.
fn date(days: u64) -> (u64, u64, u64) {
    // Years begin in March, so that the leap day is the last one.
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, kind: Kind, size: u64, seconds: u64) -> Entry {
        Entry {
            name: name.to_owned(),
            kind,
            mode: if kind == Kind::Folder { 0o755 } else { 0o644 },
            links: 1,
            size,
            modified: UNIX_EPOCH + Duration::from_secs(seconds),
            owner: "agent",
            target: None,
        }
    }

    #[test]
    fn sizes_are_rounded_up() {
        for (bytes, expected) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0K"),
            (1025, "1.1K"),
            (10 * 1024, "10K"),
            (10 * 1024 + 1, "11K"),
            (1 << 20, "1.0M"),
            (1023 * 1024, "1023K"),
        ] {
            assert_eq!(human(bytes), expected);
        }
    }

    #[test]
    fn old_files_show_their_year() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let now = at(1_790_000_000);
        for (seconds, expected) in [
            (1_789_000_000, "Sep 10 00:26"),
            (951_782_400, "Feb 29  2000"),
            (0, "Jan  1  1970"),
            (1_790_000_001, "Sep 21  2026"),
        ] {
            assert_eq!(time(at(seconds), now, TimeStyle::Short), expected);
        }
        assert_eq!(time(at(0), now, TimeStyle::LongIso), "1970-01-01 00:00");
    }

    #[test]
    fn a_long_listing_has_aligned_columns() {
        let entries = [
            entry("a", Kind::File, 5, 0),
            entry("folder", Kind::Folder, 4096, 0),
        ];
        let options = Options {
            layout: Layout::Long,
            mark: Mark::All,
            ..Options::default()
        };
        assert_eq!(total(&entries, &options), "total 8\n");
        assert_eq!(
            lines(&entries, &options, UNIX_EPOCH + Duration::from_secs(1)),
            "-rw-r--r-- 1 agent agent    5 Jan  1 00:00 a\n\
             drwxr-xr-x 1 agent agent 4096 Jan  1 00:00 folder/\n"
        );
    }

    #[test]
    fn entries_are_sorted() {
        let mut entries = [
            entry("b.c", Kind::File, 1, 5),
            entry("a", Kind::Folder, 2, 1),
            entry("c.a", Kind::File, 3, 9),
        ];
        for (arguments, expected) in [
            ("-1", "a b.c c.a"),
            ("-r", "c.a b.c a"),
            ("-S", "c.a a b.c"),
            ("-t", "c.a b.c a"),
            ("-X", "a c.a b.c"),
            ("--group-directories-first", "a b.c c.a"),
        ] {
            let options = Options::parse(&[arguments.to_owned()]).unwrap_or_default();
            sort(&mut entries, &options);
            let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
            assert_eq!(names.join(" "), expected, "{arguments}");
        }
    }
}
