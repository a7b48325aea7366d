//! The two processes, what they are given, and how they are judged.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use orwd_hardening::{Access, Needs, Work};

use super::{attempts, duties};

/// What a process has before the walls are up.
pub(crate) struct Scene {
    /// The folder of all the others.
    pub(crate) folder: PathBuf,
    /// An address on which the test listens.
    pub(crate) elsewhere: String,
    /// Descriptors that were open before: of a directory within the walls and
    /// of one outside, of a namespace, and of a socket that is not connected.
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

/// Which wall stops an attempt, by what error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wall {
    /// The call does not exist.
    Calls,
    /// The file may not be used so.
    Files,
}

impl Wall {
    fn name(self) -> &'static str {
        match self {
            Wall::Calls => "system calls",
            Wall::Files => "files",
        }
    }

    fn error(self) -> i32 {
        match self {
            Wall::Calls => libc::ENOSYS,
            Wall::Files => libc::EACCES,
        }
    }
}

/// The process that was taken over. It prints a line for each attempt.
pub(crate) fn taken_over(with: &str, folder: &str, elsewhere: &str) {
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
    if with == "walls" {
        let needs = Needs::of(Work::Serve)
            .and(scene.at("data"), Access::Read)
            .and(scene.at("keys"), Access::ReadFiles)
            .and(scene.at("shared"), Access::Write)
            .and(scene.at("tmp/scratch"), Access::Scratch)
            .and(scene.at("tmp"), Access::RemoveFolders);
        let walls = orwd_hardening::raise(&needs).unwrap();
        for missing in walls.missing() {
            println!("missing\t{}", missing.what());
        }
    }
    println!("port\t{}", scene.listener.local_addr().unwrap().port());
    // On another thread: what it starts stands behind the same walls.
    let scene = &scene;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for duty in duties::ALL {
                println!("duty\t{}\t{}", duty.0, told((duty.1)(scene)));
            }
            for attempt in attempts::ALL {
                println!("attempt\t{}\t{}", attempt.0, told((attempt.2)(scene)));
            }
        });
    });
}

fn told(ended: Ended) -> i32 {
    ended.err().unwrap_or(0)
}

/// What a process printed.
#[derive(Default)]
struct Heard {
    missing: Vec<String>,
    duties: BTreeMap<String, i32>,
    attempts: BTreeMap<String, i32>,
}

pub(crate) fn whoever_takes_the_host_over_finds_walls() {
    let behind = run("walls");
    let bare = run("nothing");
    for (name, _) in duties::ALL {
        for (heard, where_) in [(&behind, "behind walls"), (&bare, "without walls")] {
            assert_eq!(heard.duties.get(*name), Some(&0), "{name}, {where_}");
        }
    }
    let mut stopped = 0;
    for (name, wall, _) in attempts::ALL {
        if behind.missing.iter().any(|missing| missing == wall.name()) {
            println!("left out, as this kernel lacks the wall: {name}");
            continue;
        }
        let error = behind.attempts[*name];
        assert_eq!(error, wall.error(), "{name}, behind walls");
        // Without walls it is another matter: done, or not for this user, or
        // refused for its arguments, but known to the kernel.
        let known = bare.attempts[*name];
        if known == wall.error() {
            println!("not known here even without walls: {name}");
            continue;
        }
        stopped += 1;
    }
    println!(
        "{stopped} of {} attempts are stopped by the walls alone",
        attempts::ALL.len()
    );
    // On a kernel with all walls, few calls are unknown.
    if behind.missing.is_empty() {
        assert!(stopped * 10 >= attempts::ALL.len() * 9);
    }
}

fn run(with: &str) -> Heard {
    let folder = tempfile::tempdir().unwrap();
    furnish(folder.path());
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--taken-over", with])
        .arg(folder.path())
        .arg(elsewhere.local_addr().unwrap().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut heard = Heard::default();
    let output = std::io::BufReader::new(child.stdout.take().unwrap());
    for line in std::io::BufRead::lines(output) {
        let line = line.unwrap();
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["missing", what] => heard.missing.push(what.to_owned()),
            ["port", port] => greet(port.parse().unwrap()),
            ["duty", name, ended] => {
                heard.duties.insert(name.to_owned(), ended.parse().unwrap());
            }
            ["attempt", name, ended] => {
                let ended = ended.parse().unwrap();
                heard.attempts.insert(name.to_owned(), ended);
            }
            _ => panic!("{line}"),
        }
    }
    assert!(child.wait().unwrap().success(), "with {with}");
    // Nothing outside was touched, whatever was tried.
    if with == "walls" && !heard.missing.iter().any(|missing| missing == "files") {
        let secret = fs::read_to_string(folder.path().join("outside/secret"));
        assert_eq!(secret.unwrap(), "secret");
        let data = fs::read_to_string(folder.path().join("data/file"));
        assert_eq!(data.unwrap(), "data");
    }
    heard
}

fn furnish(folder: &Path) {
    for name in [
        "data/folder",
        "outside/folder",
        "keys",
        "shared",
        "tmp/scratch",
    ] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    fs::write(folder.join("data/file"), "data").unwrap();
    fs::write(folder.join("outside/secret"), "secret").unwrap();
    fs::write(folder.join("keys/keys.toml"), "keys").unwrap();
    std::os::unix::fs::symlink("../outside/secret", folder.join("data/link")).unwrap();
}

/// A client, who says hello and hears it again.
fn greet(port: u16) {
    std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"hello").unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
    });
}
