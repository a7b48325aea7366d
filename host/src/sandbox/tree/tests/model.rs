//! Sequences of operations, held against a model that has no layers: a map
//! from paths to things. Whatever the sequence, both agree on what works and
//! on what is there, the counters are what is counted one by one, and the base
//! is untouched.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Few names and few places, so that operations meet.
const NAMES: [&str; 4] = ["a", "b", "long-name", "f"];

#[derive(Clone, Debug)]
enum Op {
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

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&NAMES[..]), 1..4).prop_map(|parts| parts.join("/"))
}

fn amount() -> impl Strategy<Value = usize> {
    prop_oneof![
        0..300_usize,
        Just(65_536),
        65_000..66_000_usize,
        0..200_000_usize
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (path(), amount(), 1..70_000_usize).prop_map(|(p, at, n)| Op::Write(p, at, n)),
        2 => (path(), amount()).prop_map(|(p, size)| Op::SetSize(p, size)),
        1 => path().prop_map(Op::Truncate),
        2 => path().prop_map(Op::MakeDir),
        3 => path().prop_map(Op::Unlink),
        2 => path().prop_map(Op::RemoveDir),
        4 => (path(), path()).prop_map(|(p, q)| Op::Rename(p, q)),
        2 => (path(), path()).prop_map(|(p, q)| Op::Link(p, q)),
        2 => path().prop_map(Op::Hold),
        1 => Just(Op::LetGo),
    ]
}

fn data() -> Data {
    Data::with(&[
        ("f", b"first"),
        ("a/f", &pattern(150_000)),
        ("a/b/f", b""),
        ("b/a/long-name", &pattern(70_000)),
    ])
}

/// Files by number, so that two names can share one.
#[derive(Default)]
struct Model {
    names: BTreeMap<String, Option<usize>>,
    files: Vec<Vec<u8>>,
}

impl Model {
    fn of(data: &Data) -> Model {
        let mut model = Model::default();
        for (path, bytes) in data.snapshot() {
            let file = bytes.map(|bytes| model.add(bytes));
            model.names.insert(path, file);
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

    /// Whether the operation works; if so, it is done.
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

/// Does the operation on the tree.
fn apply(session: &Session, held: &mut Vec<Handle>, op: &Op) -> Fs<()> {
    let create = How {
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
                Err(Errno::InsufficientSpace)
            }
        }
        Op::SetSize(path, size) => {
            let file = session.open(path, EDIT)?;
            session.tree.lock().set_size(file.node(), *size as u64)
        }
        Op::Truncate(path) => {
            let how = How {
                truncate: true,
                ..EDIT
            };
            session.open(path, how).map(drop)
        }
        Op::MakeDir(path) => session.make_dir(path),
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

/// All paths of the tree with what is there.
fn contents(session: &Session) -> Vec<(String, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for (name, kind) in session.list(&format!("./{folder}")).unwrap() {
            let path = format!("{folder}{name}");
            match kind {
                Kind::Dir => {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_tree_is_as_good_as_the_model(ops in prop::collection::vec(op(), 1..40)) {
        let data = data();
        let before = data.snapshot();
        let session = data.session();
        let mut model = Model::of(&data);
        let mut held = Vec::new();
        for op in &ops {
            let expected = model.apply(op);
            let got = apply(&session, &mut held, op);
            prop_assert_eq!(got.is_ok(), expected, "{:?} gave {:?}", op, got);
            prop_assert_eq!(session.used(), session.counted(), "after {:?}", op);
        }
        let files = &model.files;
        let expected: Vec<(String, Option<Vec<u8>>)> = model
            .names
            .iter()
            .map(|(path, file)| (path.clone(), file.map(|file| files[file].clone())))
            .collect();
        prop_assert_eq!(contents(&session), expected);
        drop(held);
        prop_assert_eq!(session.used(), session.counted());
        prop_assert_eq!(data.snapshot(), before);
    }

    #[test]
    fn limits_hold_whatever_is_done(ops in prop::collection::vec(op(), 1..60)) {
        let data = data();
        let before = data.snapshot();
        let allowed = Allowance { bytes: 100_000, files: 6, handles: 8 };
        let session = Session::on(&data.ground(), false, allowed);
        let mut held = Vec::new();
        for op in &ops {
            let _ = apply(&session, &mut held, op);
            let (bytes, files) = session.used();
            prop_assert_eq!((bytes, files), session.counted(), "after {:?}", op);
            prop_assert!(bytes <= 100_000 && files <= 6, "after {:?}", op);
        }
        drop(held);
        contents(&session);
        prop_assert_eq!(session.used(), session.counted());
        prop_assert_eq!(data.snapshot(), before);
    }
}
