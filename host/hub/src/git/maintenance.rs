//! Packing the objects of repositories, and removing those that nothing reaches.
//!
//! Packing loses nothing, so it runs beside pushes and clones: what no reference
//! reaches goes into a pack of its own. Objects of that pack are removed once they
//! and it are old enough, and only while no client uses the repository: a push in
//! progress may build on what a reference had when it began.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::command::run;
use super::locks::RepositoryLocks;
use super::repository::of;
use crate::layout::Layout;

/// The file that says that something was pushed since the last packing.
const PUSHED: &str = "orwd-pushed";

/// Loose objects before they are packed. Pushes make none.
const MAX_LOOSE: usize = 512;

/// Packs before they become one. Each push makes one.
const MAX_PACKS: usize = 20;

/// Bytes of loose objects, and of packs beside the largest one, before all become
/// one pack.
const MAX_SCATTERED: u64 = 64 << 20;

/// The time after a push in which a repository is packed in any case: what was
/// pushed may have made large objects unreachable.
const PUSH_AGE: Duration = Duration::from_secs(24 * 3600);

/// Notes that something was pushed.
pub(crate) fn note_push(layout: &Layout, environment: &str) -> io::Result<()> {
    let noted = File::create_new(layout.repository(environment).join(PUSHED));
    match noted {
        // The first push since the last packing counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

/// Packs a repository if it is due, and removes what nothing has reached for
/// `grace`. `is_unknown` says that it may be due without a note of a push. Returns
/// whether anything was done. Blocks.
pub(crate) fn maintain(
    layout: &Layout,
    locks: &RepositoryLocks,
    environment: &str,
    is_unknown: bool,
    grace: Duration,
) -> Result<bool, String> {
    let repository = layout.repository(environment);
    if !repository.join("HEAD").exists() {
        return Ok(false);
    }
    let text = |error: io::Error| format!("{}: {error}", repository.display());
    let pushed = repository.join(PUSHED);
    let is_pushed = pushed.exists();
    let is_due = (is_pushed || is_unknown) && Scattered::look(&repository).map_err(text)?.is_due();
    let mut is_done = false;
    if is_due || is_pushed && is_older(&pushed, PUSH_AGE) {
        // A push that comes meanwhile is noted again.
        if is_pushed {
            fs::remove_file(&pushed).map_err(text)?;
        }
        let command = |arguments: &[&str]| run(of(layout, &repository).args(arguments));
        command(&["pack-refs", "--all"])?;
        command(&[FRUGAL, &["repack", "-a", "-d", "-l", "-q", "--cruft"]].concat())?;
        is_done = true;
    }
    if has_leftovers(&repository, grace).map_err(text)?
        && let Some(_alone) = locks.try_alone(environment)
    {
        let age = format!("{}.seconds.ago", grace.as_secs());
        let cruft = format!("--cruft-expiration={age}");
        let command = |arguments: &[&str]| run(of(layout, &repository).args(arguments));
        command(
            &[
                FRUGAL,
                &["repack", "-d", "-l", "-q", "--cruft", cruft.as_str()],
            ]
            .concat(),
        )?;
        command(&["prune", &format!("--expire={age}")])?;
        is_done = true;
    }
    Ok(is_done)
}

/// Settings by which packing takes one thread and little memory.
const FRUGAL: &[&str] = &["-c", "pack.threads=1", "-c", "pack.windowMemory=128m"];

/// The objects that are not in the largest pack.
#[derive(Debug, Default, PartialEq, Eq)]
struct Scattered {
    loose: usize,
    packs: usize,
    bytes: u64,
}

impl Scattered {
    fn look(repository: &Path) -> io::Result<Scattered> {
        let mut found = Scattered::default();
        let objects = repository.join("objects");
        for folder in fs::read_dir(&objects)? {
            let folder = folder?;
            if folder.file_name().len() != 2 {
                continue;
            }
            let inside = match fs::read_dir(folder.path()) {
                // Programs of git remove empty folders meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                inside => inside?,
            };
            for object in inside {
                found.loose += 1;
                found.bytes += size(&object?.path());
            }
        }
        let (mut total, mut largest) = (0_u64, 0_u64);
        for path in packs(repository)? {
            // What nothing reaches stays in its own pack.
            if !path.with_extension("mtimes").exists() {
                let bytes = size(&path);
                found.packs += 1;
                total += bytes;
                largest = largest.max(bytes);
            }
        }
        found.bytes += total - largest;
        Ok(found)
    }

    fn is_due(&self) -> bool {
        self.loose > MAX_LOOSE || self.packs > MAX_PACKS || self.bytes > MAX_SCATTERED
    }
}

/// Returns the bytes of a file; 0 if git has removed it meanwhile.
fn size(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |metadata| metadata.len())
}

fn packs(repository: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(repository.join("objects/pack"))? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "pack")
        {
            found.push(path);
        }
    }
    Ok(found)
}

/// Returns whether there is a pack of unreachable objects, or a temporary file of a
/// push that was killed, of at least this age.
fn has_leftovers(repository: &Path, age: Duration) -> io::Result<bool> {
    for folder in ["objects", "objects/pack"] {
        for entry in fs::read_dir(repository.join(folder))? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let is_temporary = name.is_some_and(|name| name.starts_with("tmp_"));
            let is_cruft = path
                .extension()
                .is_some_and(|extension| extension == "mtimes");
            if (is_temporary || is_cruft) && is_older(&path, age) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn is_older(path: &Path, age: Duration) -> bool {
    let modified = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
    let since = modified.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
    since.is_ok_and(|since| since >= age)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Instant;

    use tempfile::TempDir;

    use super::*;
    use crate::git::repository::create_blocking;
    use crate::upkeep::measure::measure;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A repository of the platform, and a working copy of a user.
    struct Place {
        folder: TempDir,
        layout: Layout,
        locks: RepositoryLocks,
    }

    impl Place {
        fn new() -> Arc<Place> {
            let folder = TempDir::new().unwrap();
            let layout = Layout::create(&folder.path().join("hub")).unwrap();
            create_blocking(&layout, "e").unwrap();
            let place = Place {
                folder,
                layout,
                locks: RepositoryLocks::default(),
            };
            fs::create_dir(place.copy()).unwrap();
            // What pushes start sees this configuration, and not that of `git`.
            let settings = "[receive]\n\tunpackLimit = 1\n";
            fs::write(place.settings(), settings).unwrap();
            place.git(&["init", "-q", "-b", "main"]);
            Arc::new(place)
        }

        fn repository(&self) -> PathBuf {
            self.layout.repository("e")
        }

        fn copy(&self) -> PathBuf {
            self.folder.path().join("copy")
        }

        fn settings(&self) -> PathBuf {
            self.folder.path().join("gitconfig")
        }

        fn git(&self, arguments: &[&str]) -> String {
            let output = Command::new("git")
                .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
                .args(["-c", "gc.auto=0"])
                .args(arguments)
                .current_dir(self.copy())
                .env("GIT_CONFIG_GLOBAL", self.settings())
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .output()
                .unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{arguments:?}: {error}");
            String::from_utf8(output.stdout).unwrap()
        }

        /// Pushes a commit with new files in place of the one before.
        fn replace(&self, number: usize, files: usize) {
            for file in 0..files {
                let text = format!("{number} {file} {}", "x".repeat(1000));
                fs::write(self.copy().join(format!("file{file}")), text).unwrap();
            }
            self.git(&["add", "-A"]);
            let is_first = self.git(&["rev-list", "--all", "-n", "1"]).is_empty();
            let amend: &[&str] = if is_first { &[] } else { &["--amend"] };
            self.git(&[&["commit", "-q", "-m", "m"], amend].concat());
            self.push("main");
        }

        fn push(&self, branch: &str) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            let _shared = runtime.block_on(self.locks.shared("e"));
            let repository = self.repository();
            self.git(&["push", "-q", "-f", repository.to_str().unwrap(), branch]);
            note_push(&self.layout, "e").unwrap();
        }

        /// Clones as a client does, not by links to the files.
        fn client_clones_into(&self, name: &str) {
            let into = self.folder.path().join(name);
            let from = format!("file://{}", self.repository().display());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            let _shared = runtime.block_on(self.locks.shared("e"));
            self.git(&["clone", "-q", &from, into.to_str().unwrap()]);
            assert!(into.join("file29").exists());
        }

        fn maintain(&self, grace: Duration) -> bool {
            maintain(&self.layout, &self.locks, "e", false, grace).unwrap()
        }

        fn bytes(&self) -> i64 {
            measure(&self.repository()).unwrap().bytes
        }

        fn fsck(&self) {
            let repository = self.repository();
            self.git(&[
                "--git-dir",
                repository.to_str().unwrap(),
                "fsck",
                "--full",
                "--strict",
            ]);
        }
    }

    #[test]
    fn many_pushes_take_the_space_of_what_is_reachable() {
        let place = Place::new();
        place.replace(0, 60);
        let one = place.bytes();
        assert!(!place.maintain(HOUR), "one push is not worth it");
        for number in 1..=MAX_PACKS {
            place.replace(number, 60);
        }
        assert_eq!(Scattered::look(&place.repository()).unwrap().loose, 0);
        assert!(place.bytes() > one * 4);
        let head = place.git(&["rev-parse", "HEAD"]);
        assert!(place.maintain(HOUR));
        let scattered = Scattered::look(&place.repository()).unwrap();
        assert_eq!((scattered.loose, scattered.packs), (0, 1));
        let kept = packs(&place.repository()).unwrap();
        assert_eq!(kept.len(), 2, "what is unreachable stays for a time");
        assert!(!place.maintain(HOUR), "nothing is due again");
        // A client that still uses the repository keeps all of it.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let shared = runtime.block_on(place.locks.shared("e"));
        assert!(!place.maintain(Duration::ZERO));
        drop(shared);
        // Times of files are whole seconds for git.
        thread::sleep(Duration::from_millis(1100));
        assert!(place.maintain(Duration::ZERO));
        assert_eq!(packs(&place.repository()).unwrap().len(), 1);
        // Beside the pack there are a bitmap and packed references now.
        assert!(place.bytes() < one * 2, "{} and {one}", place.bytes());
        place.fsck();
        let remote = place.repository();
        let shown = place.git(&["ls-remote", remote.to_str().unwrap(), "refs/heads/main"]);
        assert!(shown.starts_with(head.trim()));
    }

    /// Does something, and then nothing for twice as long: objects are removed only
    /// while no client is served, and on a slow machine clients take longer.
    fn pause_after(act: impl FnOnce()) {
        let start = Instant::now();
        act();
        thread::sleep(2 * start.elapsed());
    }

    #[test]
    fn pushes_and_clones_go_on_while_objects_are_packed_and_removed() {
        let place = Place::new();
        place.replace(0, 30);
        let is_over = Arc::new(AtomicBool::new(false));
        let (user, over) = (place.clone(), is_over.clone());
        let pushing = thread::spawn(move || {
            let mut pushes = 0;
            while !over.load(Ordering::Acquire) || pushes < 10 {
                pushes += 1;
                pause_after(|| user.replace(pushes, 40));
            }
        });
        let (user, over) = (place.clone(), is_over.clone());
        let cloning = thread::spawn(move || {
            let mut clones = 0;
            while !over.load(Ordering::Acquire) || clones < 5 {
                pause_after(|| user.client_clones_into(&format!("clone{clones}")));
                clones += 1;
            }
        });
        let (mut rounds, start) = (0, Instant::now());
        while rounds < 3 {
            assert!(start.elapsed() < HOUR / 30, "objects are removed meanwhile");
            // As if it were due each time.
            let repack = ["repack", "-a", "-d", "-q", "--cruft"];
            run(of(&place.layout, &place.repository()).args(repack)).unwrap();
            rounds += usize::from(place.maintain(Duration::ZERO));
        }
        is_over.store(true, Ordering::Release);
        pushing.join().unwrap();
        cloning.join().unwrap();
        place.fsck();
    }
}
