//! A reference model of the overlay: a map from paths to contents.
//!
//! After any sequence of operations, the overlay and the model agree on results
//! and contents, the counters equal a recount, and the data directory is
//! unchanged. The property tests and the fuzz target generate such sequences.
//! Not part of the product.

use std::collections::BTreeMap;

use crate::error::{ErrorCode, Result};
use crate::handle::Handle;
use crate::lower::FileKind;
use crate::storage::quota::FileLimits;
use crate::testing::fixture::{Data, EDIT, READ, Session, pattern};
use crate::upper::ops::OpenOptions;

/// Few names, so that operations collide.
pub(crate) const NAMES: [&str; 4] = ["a", "b", "long-name", "f"];

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Write(String, usize, usize),
    SetSize(String, usize),
    Truncate(String),
    MakeDir(String),
    Unlink(String),
    RemoveDir(String),
    Rename(String, String),
    Link(String, String),
    Hold(String),
    LetGo,
}

/// The lower layer of these tests, with its initial contents.
#[derive(Debug)]
pub(crate) struct LowerFixture {
    data: Data,
    before: Snapshot,
}

pub(crate) fn lower_fixture() -> LowerFixture {
    let data = Data::with(&[
        ("f", b"first"),
        ("a/f", &pattern(150_000)),
        ("a/b/f", b""),
        ("b/a/long-name", &pattern(70_000)),
    ]);
    let before = data.snapshot();
    LowerFixture { data, before }
}

/// Every path with its content; a directory has none.
type Snapshot = Vec<(String, Option<Vec<u8>>)>;

/// Files by number, so that two names can share one.
#[derive(Default)]
struct Model {
    names: BTreeMap<String, Option<usize>>,
    files: Vec<Vec<u8>>,
}

impl Model {
    fn of(snapshot: &Snapshot) -> Model {
        let mut model = Model::default();
        for (path, bytes) in snapshot {
            let file = bytes.clone().map(|bytes| model.add(bytes));
            model.names.insert(path.clone(), file);
        }
        model
    }

    fn add(&mut self, bytes: Vec<u8>) -> usize {
        self.files.push(bytes);
        self.files.len() - 1
    }

    fn parent_is_dir(&self, path: &str) -> bool {
        path.rsplit_once('/')
            .is_none_or(|(parent, _)| self.names.get(parent) == Some(&None))
    }

    fn is_empty(&self, dir: &str) -> bool {
        let below = format!("{dir}/");
        !self.names.keys().any(|path| path.starts_with(&below))
    }

    fn file(&mut self, path: &str) -> Option<&mut Vec<u8>> {
        let file = (*self.names.get(path)?)?;
        self.files.get_mut(file)
    }

    /// Applies an operation; returns whether it succeeds.
    fn apply(&mut self, op: &Op) -> bool {
        match op {
            Op::Write(path, at, count) => {
                if !self.names.contains_key(path) && self.parent_is_dir(path) {
                    let file = self.add(Vec::new());
                    self.names.insert(path.clone(), Some(file));
                }
                let Some(file) = self.file(path) else {
                    return false;
                };
                file.resize(file.len().max(at + count), 0);
                file[*at..at + count].fill(0xee);
                true
            }
            Op::SetSize(path, size) => self.file(path).map(|file| file.resize(*size, 0)).is_some(),
            Op::Truncate(path) => self.file(path).map(Vec::clear).is_some(),
            Op::MakeDir(path) => {
                let can = !self.names.contains_key(path) && self.parent_is_dir(path);
                if can {
                    self.names.insert(path.clone(), None);
                }
                can
            }
            Op::Unlink(path) => {
                let can = matches!(self.names.get(path), Some(Some(_)));
                if can {
                    self.names.remove(path);
                }
                can
            }
            Op::RemoveDir(path) => {
                let can = self.names.get(path) == Some(&None) && self.is_empty(path);
                if can {
                    self.names.remove(path);
                }
                can
            }
            Op::Rename(old, new) => self.rename(old, new),
            Op::Link(old, new) => {
                let Some(Some(file)) = self.names.get(old).copied() else {
                    return false;
                };
                let can = !self.names.contains_key(new) && self.parent_is_dir(new);
                if can {
                    self.names.insert(new.clone(), Some(file));
                }
                can
            }
            Op::Hold(path) => self.names.contains_key(path),
            Op::LetGo => true,
        }
    }

    fn rename(&mut self, old: &str, new: &str) -> bool {
        let Some(moved) = self.names.get(old).copied() else {
            return false;
        };
        if !self.parent_is_dir(new) {
            return false;
        }
        let there = self.names.get(new).copied();
        if old == new || (moved.is_some() && there == Some(moved)) {
            return true;
        }
        let fits = match (moved, there) {
            (_, None) | (Some(_), Some(Some(_))) => true,
            (None, Some(None)) => self.is_empty(new),
            _ => false,
        };
        let below = format!("{old}/");
        if !fits || new.starts_with(&below) {
            return false;
        }
        let moving: Vec<String> = self
            .names
            .keys()
            .filter(|path| *path == old || path.starts_with(&below))
            .cloned()
            .collect();
        self.names.remove(new);
        for path in moving {
            let file = self.names.remove(&path).unwrap();
            self.names
                .insert(format!("{new}{}", &path[old.len()..]), file);
        }
        true
    }
}

/// Applies an operation to the overlay.
fn apply(session: &Session, held: &mut Vec<Handle>, op: &Op) -> Result<()> {
    let create = OpenOptions {
        create: true,
        ..EDIT
    };
    match op {
        Op::Write(path, at, count) => {
            let file = session.open(path, create)?;
            let bytes = vec![0xee; *count];
            let written = file.write(Some(*at as u64), &bytes)?;
            if written == *count {
                Ok(())
            } else {
                Err(ErrorCode::InsufficientSpace)
            }
        }
        Op::SetSize(path, size) => {
            let file = session.open(path, EDIT)?;
            session
                .overlay
                .layer
                .lock()
                .set_size(file.node(), *size as u64)
        }
        Op::Truncate(path) => {
            let options = OpenOptions {
                truncate: true,
                ..EDIT
            };
            session.open(path, options).map(drop)
        }
        Op::MakeDir(path) => session.create_dir(path),
        Op::Unlink(path) => session.unlink(path),
        Op::RemoveDir(path) => session.remove_dir(path),
        Op::Rename(old, new) => session.rename(old, new),
        Op::Link(old, new) => session.link(old, new),
        Op::Hold(path) => {
            held.push(session.open(path, READ)?);
            Ok(())
        }
        Op::LetGo => {
            held.pop();
            Ok(())
        }
    }
}

/// All paths of the overlay with their contents.
fn contents(session: &Session) -> Snapshot {
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for (name, kind) in session.list(&format!("./{folder}")).unwrap() {
            let path = format!("{folder}{name}");
            match kind {
                FileKind::Dir => {
                    folders.push(format!("{path}/"));
                    found.push((path, None));
                }
                _ => {
                    let bytes = session.read(&path).unwrap();
                    found.push((path, Some(bytes)));
                }
            }
        }
    }
    found.sort();
    found
}

/// Asserts that the overlay and the model agree after each operation.
pub(crate) fn agree(lower: &LowerFixture, ops: &[Op]) {
    let session = lower.data.session();
    let mut model = Model::of(&lower.before);
    let mut held = Vec::new();
    for op in ops {
        let expected = model.apply(op);
        let got = apply(&session, &mut held, op);
        assert_eq!(got.is_ok(), expected, "{op:?} gave {got:?}");
        assert_eq!(session.used(), session.counted(), "after {op:?}");
    }
    let files = &model.files;
    let expected: Snapshot = model
        .names
        .iter()
        .map(|(path, file)| (path.clone(), file.map(|file| files[file].clone())))
        .collect();
    assert_eq!(contents(&session), expected);
    drop(held);
    assert_eq!(session.used(), session.counted());
    assert_eq!(lower.data.snapshot(), lower.before);
}

/// Asserts that tight limits hold, to the byte and to the file, after each
/// operation.
pub(crate) fn stay_within(lower: &LowerFixture, ops: &[Op]) {
    let limits = FileLimits {
        bytes: 100_000,
        files: 6,
        handles: 8,
    };
    let session = Session::on(&lower.data.lower(), false, limits);
    let mut held = Vec::new();
    for op in ops {
        let _ = apply(&session, &mut held, op);
        let (bytes, files) = session.used();
        assert_eq!((bytes, files), session.counted(), "after {op:?}");
        assert!(bytes <= 100_000 && files <= 6, "after {op:?}");
    }
    drop(held);
    contents(&session);
    assert_eq!(session.used(), session.counted());
    assert_eq!(lower.data.snapshot(), lower.before);
}
