//! The survey of a data directory before it is used.
//!
//! It refuses a tree that no digest, no listing and no session could handle: too
//! many entries, too deep, too large, mostly holes, a file system of the kernel,
//! or one that holds a private place. It reads no file and follows no link, so a
//! pipe or a device costs nothing; guests cannot see those.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::{Dir, DirEntry, Metadata, MetadataExt, ReadDir};

use super::private::{HostFileId, Overlap, STATE_FILES, is_state_dir};
use super::rules::{DataRefusal, DataRules, MAX_DEPTH};
use super::size::DataSize;

/// What a survey found that sessions cannot use, with one example each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// Links that lead out of the directory, and the first one with its target.
    pub(crate) outward: Option<(u64, PathBuf, PathBuf)>,
    /// Names that are not UTF-8, and the first one.
    pub(crate) unreadable: Option<(u64, PathBuf)>,
}

/// Surveys a directory.
pub(crate) fn survey(root: &Dir, rules: &DataRules) -> Result<Survey, DataRefusal> {
    let mut walk = Walk {
        root,
        rules,
        found: Survey::default(),
        size: DataSize::new(rules.into()),
    };
    walk.run()?;
    Ok(walk.found)
}

struct Walk<'a> {
    root: &'a Dir,
    rules: &'a DataRules,
    found: Survey,
    size: DataSize,
}

/// A directory that is being listed.
struct Level {
    entries: ReadDir,
    path: PathBuf,
    device: u64,
    /// Names that a state directory has.
    state_names: Vec<OsString>,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<(), DataRefusal> {
        let metadata = self.root.dir_metadata()?;
        let first = self.level(self.root, PathBuf::new(), metadata.dev(), None)?;
        let mut levels = vec![first];
        while let Some(level) = levels.last_mut() {
            let Some(entry) = level.entries.next() else {
                levels.pop();
                continue;
            };
            let entry = entry?;
            let Some((path, metadata)) = self.visit(level, &entry)? else {
                continue;
            };
            let device = level.device;
            if levels.len() >= MAX_DEPTH {
                return Err(DataRefusal::TooDeep(path));
            }
            // What this user cannot list, no session can see.
            if let Ok(dir) = entry.open_dir() {
                levels.push(self.level(&dir, path, metadata.dev(), Some(device))?);
            }
        }
        self.size.check_holes()
    }

    fn level(
        &self,
        dir: &Dir,
        path: PathBuf,
        device: u64,
        parent: Option<u64>,
    ) -> Result<Level, DataRefusal> {
        if parent != Some(device) && is_of_kernel(dir) {
            let at = Path::new(".").join(path);
            return Err(DataRefusal::KernelFiles(at));
        }
        Ok(Level {
            entries: dir.entries()?,
            path,
            device,
            state_names: Vec::new(),
        })
    }

    /// Counts an entry. Returns its path and attributes if it is a directory.
    fn visit(
        &mut self,
        level: &mut Level,
        entry: &DirEntry,
    ) -> Result<Option<(PathBuf, Metadata)>, DataRefusal> {
        self.size.count_entry()?;
        let name = entry.file_name();
        let path = level.path.join(&name);
        // It may be gone by now.
        let Ok(metadata) = entry.metadata() else {
            return Ok(None);
        };
        self.check_private(level, &name, &path, &metadata)?;
        if name.to_str().is_none() {
            count(&mut self.found.unreadable, || path.clone());
        }
        let kind = metadata.file_type();
        if kind.is_symlink() {
            self.check_link(&path);
        } else if kind.is_file() {
            self.size.count_file(&path, &metadata)?;
        }
        Ok(kind.is_dir().then_some((path, metadata)))
    }

    fn check_private(
        &self,
        level: &mut Level,
        name: &OsStr,
        path: &Path,
        metadata: &Metadata,
    ) -> Result<(), DataRefusal> {
        let contains = |place| {
            let at = path.to_owned();
            Err(DataRefusal::ContainsPrivate { place, at })
        };
        if let Some(Overlap::In(place) | Overlap::Around(place)) =
            self.rules.private.overlap(id(metadata))
        {
            return contains(place);
        }
        if STATE_FILES.iter().any(|known| name == *known) {
            level.state_names.push(name.to_owned());
        }
        if is_state_dir(|known| level.state_names.iter().any(|seen| seen == known)) {
            return contains(Arc::from(level.path.as_path()));
        }
        Ok(())
    }

    fn check_link(&mut self, path: &Path) {
        let Err(error) = self.root.metadata(path) else {
            return;
        };
        // cap-std itself refuses a path that leads out; the system's refusals
        // have a number.
        if error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none() {
            let target = self.root.read_link_contents(path).unwrap_or_default();
            match &mut self.found.outward {
                Some((links, _, _)) => *links += 1,
                outward @ None => *outward = Some((1, path.to_owned(), target)),
            }
        }
    }
}

fn count<T>(slot: &mut Option<(u64, T)>, first: impl FnOnce() -> T) {
    match slot {
        Some((number, _)) => *number += 1,
        None => *slot = Some((1, first())),
    }
}

/// Returns the identity of a file.
pub(crate) fn id(metadata: &Metadata) -> HostFileId {
    (metadata.dev(), metadata.ino())
}

/// Returns whether a directory is on a file system of the kernel.
#[cfg(target_os = "linux")]
fn is_of_kernel(dir: &Dir) -> bool {
    // From linux/magic.h: proc, sysfs, debugfs, tracefs, securityfs, cgroup,
    // cgroup2, devpts, bpf, configfs, pstore, efivarfs, binfmt_misc, selinuxfs.
    const KERNEL: [u32; 14] = [
        0x9fa0,
        0x6265_6572,
        0x6462_6720,
        0x7472_6163,
        0x7363_6673,
        0x0027_e0eb,
        0x6367_7270,
        0x1cd1,
        0xcafe_4a11,
        0x6265_6570,
        0x6165_676c,
        0xde5e_81e4,
        0x4249_4e4d,
        0xf97c_ff8c,
    ];
    rustix::fs::fstatfs(dir).is_ok_and(|found| {
        u32::try_from(found.f_type & 0xffff_ffff).is_ok_and(|kind| KERNEL.contains(&kind))
    })
}

#[cfg(not(target_os = "linux"))]
fn is_of_kernel(_dir: &Dir) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use cap_std::ambient_authority;
    use tempfile::TempDir;

    use super::*;
    use crate::data::private::PrivatePlaces;

    fn rules(private: &[&Path]) -> DataRules {
        DataRules {
            private: PrivatePlaces::new(private),
            max_bytes: 1 << 50,
            max_entries: 1000,
        }
    }

    fn surveyed(path: &Path, rules: &DataRules) -> Result<Survey, String> {
        let dir = Dir::open_ambient_dir(path, ambient_authority()).unwrap();
        survey(&dir, rules).map_err(|refusal| refusal.to_string())
    }

    fn refused(path: &Path, rules: &DataRules, parts: &[&str]) {
        let refusal = surveyed(path, rules).unwrap_err();
        for part in parts {
            assert!(refusal.contains(part), "no {part:?} in {refusal}");
        }
    }

    #[test]
    fn ordinary_data_passes_and_pipes_and_inner_links_are_no_matter() {
        let folder = TempDir::new().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/b/file"), "text").unwrap();
        symlink("../a/b/file", folder.path().join("a/link")).unwrap();
        symlink("missing", folder.path().join("dangling")).unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        assert_eq!(surveyed(folder.path(), &rules(&[])), Ok(Survey::default()));
    }

    #[test]
    fn links_that_lead_out_and_unreadable_names_are_counted() {
        let folder = TempDir::new().unwrap();
        let snapshot = folder.path().join("snapshots/1");
        fs::create_dir_all(&snapshot).unwrap();
        fs::create_dir(folder.path().join("blobs")).unwrap();
        fs::write(folder.path().join("blobs/abc"), "text").unwrap();
        symlink("../../blobs/abc", snapshot.join("train.csv")).unwrap();
        fs::write(snapshot.join(OsStr::from_bytes(b"\xff")), "").unwrap();
        let found = surveyed(&snapshot, &rules(&[])).unwrap();
        let link = (1, "train.csv".into(), "../../blobs/abc".into());
        assert_eq!(found.outward, Some(link));
        assert_eq!(found.unreadable.map(|(names, _)| names), Some(1));
        // One level higher the same link leads nowhere else.
        let whole = surveyed(folder.path(), &rules(&[])).unwrap();
        assert_eq!(whole.outward, None);
    }

    #[test]
    fn trees_that_nobody_can_handle_are_refused_by_the_file() {
        let folder = TempDir::new().unwrap();
        let sparse = folder.path().join("sparse");
        fs::create_dir(&sparse).unwrap();
        let huge = fs::File::create(sparse.join("huge")).unwrap();
        huge.set_len(1 << 43).unwrap();
        refused(&sparse, &rules(&[]), &["\"huge\" is sparse", "8192GiB"]);

        let deep = folder.path().join("deep");
        fs::create_dir_all(deep.join(["d"; 70].join("/"))).unwrap();
        refused(&deep, &rules(&[]), &["deeper than 64"]);

        let many = folder.path().join("many");
        fs::create_dir(&many).unwrap();
        for number in 0..20 {
            fs::write(many.join(number.to_string()), "12345").unwrap();
        }
        let few = DataRules {
            max_entries: 10,
            ..rules(&[])
        };
        refused(&many, &few, &["more than 10 files", "--data-entries"]);
        let small = DataRules {
            max_bytes: 50,
            ..rules(&[])
        };
        refused(&many, &small, &["more than 50B", "--data-limit"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_system_of_the_kernel_is_no_data() {
        refused(
            Path::new("/proc"),
            &rules(&[]),
            &["file system of the kernel"],
        );
    }

    #[test]
    fn private_places_in_the_data_are_refused() {
        let folder = TempDir::new().unwrap();
        let state = folder.path().join("deep/state");
        fs::create_dir_all(&state).unwrap();
        let place = state.to_str().unwrap();
        refused(folder.path(), &rules(&[&state]), &[place, "deep"]);
        // A hard link is the same file.
        let key = TempDir::new().unwrap();
        let key = key.path().join("keys.toml");
        fs::write(&key, "").unwrap();
        fs::hard_link(&key, folder.path().join("innocent")).unwrap();
        refused(folder.path(), &rules(&[&key]), &["keys.toml", "innocent"]);
        // The state directory of another server is recognised by its files.
        for name in STATE_FILES {
            fs::write(state.join(name), "").unwrap();
        }
        refused(folder.path(), &rules(&[]), &["deep/state"]);
    }
}
