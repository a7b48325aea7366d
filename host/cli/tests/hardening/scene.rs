//! The two processes, their environment, and the comparison of their results.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use orwd_hardening::{PathAccess, Policy, Workload};

use super::{attempts, duties};

/// What a process has before hardening.
pub(crate) struct Scene {
    /// The folder of all the others.
    pub(crate) folder: PathBuf,
    /// An address on which the test listens.
    pub(crate) elsewhere: String,
    /// Descriptors opened before hardening: of a permitted and of a denied
    /// directory, of a namespace, and of an unconnected socket.
    pub(crate) data: File,
    pub(crate) outside: File,
    pub(crate) namespace: File,
    pub(crate) socket: OwnedFd,
    pub(crate) listener: TcpListener,
}

impl Scene {
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }
}

/// How an attempt ended: done, or the error's number.
pub(crate) type Ended = Result<(), i32>;

/// Protection that denies an attempt, with its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// The system call is denied.
    Calls,
    /// The access to the file is denied.
    Files,
}

impl Protection {
    fn name(self) -> &'static str {
        match self {
            Protection::Calls => "system calls",
            Protection::Files => "files",
        }
    }

    fn error(self) -> i32 {
        match self {
            Protection::Calls => libc::ENOSYS,
            Protection::Files => libc::EACCES,
        }
    }
}

/// Runs the compromised process, which prints a line for each attempt.
pub(crate) fn compromised(with: &str, folder: &str, elsewhere: &str) {
    let folder = PathBuf::from(folder);
    let scene = Scene {
        data: File::open(folder.join("data")).unwrap(),
        outside: File::open(folder.join("outside")).unwrap(),
        namespace: File::open("/proc/self/ns/net").unwrap(),
        socket: attempts::socket(),
        listener: TcpListener::bind("127.0.0.1:0").unwrap(),
        elsewhere: elsewhere.to_owned(),
        folder,
    };
    if with == "hardening" {
        let policy = Policy::of(Workload::Serve)
            .and(scene.at("data"), PathAccess::Read)
            .and(scene.at("keys"), PathAccess::ReadFiles)
            .and(scene.at("shared"), PathAccess::Write)
            .and(scene.at("tmp/private"), PathAccess::TempFiles)
            .and(scene.at("tmp"), PathAccess::RemoveDirs);
        let report = orwd_hardening::apply(&policy).unwrap();
        for missing in report.missing() {
            println!("missing\t{}", missing.protection());
        }
    }
    println!("port\t{}", scene.listener.local_addr().unwrap().port());
    // On another thread, to which hardening applies as well.
    let scene = &scene;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for duty in duties::ALL {
                println!("duty\t{}\t{}", duty.0, code((duty.1)(scene)));
            }
            for attempt in attempts::ALL {
                println!("attempt\t{}\t{}", attempt.0, code((attempt.2)(scene)));
            }
        });
    });
}

fn code(ended: Ended) -> i32 {
    ended.err().unwrap_or(0)
}

/// What a process printed.
#[derive(Default)]
struct Results {
    missing: Vec<String>,
    duties: BTreeMap<String, i32>,
    attempts: BTreeMap<String, i32>,
}

pub(crate) fn a_compromised_host_is_confined() {
    let hardened = run("hardening");
    let plain = run("nothing");
    for (name, _) in duties::ALL {
        for (results, where_) in [(&hardened, "hardened"), (&plain, "not hardened")] {
            assert_eq!(results.duties.get(*name), Some(&0), "{name}, {where_}");
        }
    }
    let mut stopped = 0;
    for (name, protection, _) in attempts::ALL {
        if hardened
            .missing
            .iter()
            .any(|missing| missing == protection.name())
        {
            println!("skipped, since this kernel lacks the protection: {name}");
            continue;
        }
        let error = hardened.attempts[*name];
        assert_eq!(error, protection.error(), "{name}, hardened");
        // Without hardening the kernel knows the call: it succeeds, or fails for
        // this user or for its arguments.
        let known = plain.attempts[*name];
        if known == protection.error() {
            println!("unknown to this kernel even without hardening: {name}");
            continue;
        }
        stopped += 1;
    }
    println!(
        "{stopped} of {} attempts are denied by hardening alone",
        attempts::ALL.len()
    );
    // A kernel with all protections knows nearly all calls.
    if hardened.missing.is_empty() {
        assert!(stopped * 10 >= attempts::ALL.len() * 9);
    }
}

fn run(with: &str) -> Results {
    let folder = tempfile::tempdir().unwrap();
    furnish(folder.path());
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--compromised", with])
        .arg(folder.path())
        .arg(elsewhere.local_addr().unwrap().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut results = Results::default();
    let output = std::io::BufReader::new(child.stdout.take().unwrap());
    for line in std::io::BufRead::lines(output) {
        let line = line.unwrap();
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["missing", what] => results.missing.push(what.to_owned()),
            ["port", port] => greet(port.parse().unwrap()),
            ["duty", name, ended] => {
                results
                    .duties
                    .insert(name.to_owned(), ended.parse().unwrap());
            }
            ["attempt", name, ended] => {
                let ended = ended.parse().unwrap();
                results.attempts.insert(name.to_owned(), ended);
            }
            _ => panic!("{line}"),
        }
    }
    assert!(child.wait().unwrap().success(), "with {with}");
    // Nothing outside the policy was changed.
    if with == "hardening" && !results.missing.iter().any(|missing| missing == "files") {
        let secret = fs::read_to_string(folder.path().join("outside/secret"));
        assert_eq!(secret.unwrap(), "secret");
        let data = fs::read_to_string(folder.path().join("data/file"));
        assert_eq!(data.unwrap(), "data");
    }
    results
}

fn furnish(folder: &Path) {
    for name in [
        "data/folder",
        "outside/folder",
        "keys",
        "shared",
        "tmp/private",
    ] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    fs::write(folder.join("data/file"), "data").unwrap();
    fs::write(folder.join("outside/secret"), "secret").unwrap();
    fs::write(folder.join("keys/keys.toml"), "keys").unwrap();
    std::os::unix::fs::symlink("../outside/secret", folder.join("data/link")).unwrap();
}

/// A client that expects its own bytes back.
fn greet(port: u16) {
    std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"hello").unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
    });
}
