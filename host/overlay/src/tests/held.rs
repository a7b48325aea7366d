//! What a guest can make the host hold: each kind is charged, and refused at a
//! limit.

use super::*;
use crate::storage::quota::{FILE_MEMORY, HANDLE_MEMORY, NODE_MEMORY};
use crate::upper::node::Node;

const FILES: u64 = 50;
const HANDLES: u64 = 20;

/// One kind of thing that the host holds for a guest.
struct Kind {
    name: &'static str,
    /// Adds another one.
    add: fn(&Session, &mut Vec<Handle>, u64) -> Result<()>,
    /// The limit that stops it, and how many fit at most.
    refusal: ErrorCode,
    most: u64,
}

const NO_SPACE: ErrorCode = ErrorCode::InsufficientSpace;

/// Opens another handle on a path.
fn hold(session: &Session, held: &mut Vec<Handle>, path: &str, how: OpenOptions) -> Result<()> {
    held.push(session.open(path, how)?);
    Ok(())
}

/// A name of the greatest length, which differs from others.
fn long(number: u64) -> String {
    format!("{number:0>255}")
}

/// A directory of the data at the greatest depth, in one of several trees.
fn deep(tree: u64) -> String {
    (0..60).fold(format!("t{tree}"), |path, _| path + "/" + &"n".repeat(30))
}

const KINDS: [Kind; 17] = [
    Kind {
        name: "files",
        add: |session, _, number| session.write(&long(number), b"").map(drop),
        refusal: NO_SPACE,
        most: FILES,
    },
    Kind {
        name: "directories",
        add: |session, _, number| session.create_dir(&long(number)),
        refusal: NO_SPACE,
        most: FILES,
    },
    Kind {
        name: "symbolic links",
        add: |session, _, number| session.symlink(&"x".repeat(4096), &long(number)),
        refusal: NO_SPACE,
        most: FILES,
    },
    Kind {
        name: "hard links to a file of its own",
        add: |session, _, number| {
            if number == 0 {
                session.write("own", b"")?;
            }
            session.link("own", &long(number))
        },
        refusal: NO_SPACE,
        most: FILES - 1,
    },
    Kind {
        name: "hard links to a file of the data",
        add: |session, _, number| session.link("lower-1", &long(number)),
        refusal: NO_SPACE,
        most: FILES - 1,
    },
    Kind {
        name: "removed names of the data",
        add: |session, _, number| session.unlink(&format!("lower-{number}")),
        refusal: NO_SPACE,
        most: FILES,
    },
    Kind {
        name: "links over removed names of the data",
        add: |session, _, number| {
            let name = format!("lower-{}", number + 1);
            session.unlink(&name)?;
            session.link("lower-0", &name)
        },
        refusal: NO_SPACE,
        most: FILES - 1,
    },
    Kind {
        name: "renamed names of the data",
        add: |session, _, number| session.rename(&format!("lower-{number}"), &long(number)),
        refusal: NO_SPACE,
        most: FILES / 2,
    },
    Kind {
        name: "changed files of the data",
        add: |session, _, number| {
            let file = session.open(&format!("lower-{number}"), EDIT)?;
            file.write(Some(0), b"x").map(drop)
        },
        refusal: NO_SPACE,
        most: FILES,
    },
    Kind {
        name: "pages of one byte",
        add: |session, _, number| {
            let file = session.open(
                "sparse",
                OpenOptions {
                    truncate: false,
                    ..PUT
                },
            )?;
            file.write(Some(number << 16), b"x").map(drop)
        },
        refusal: NO_SPACE,
        most: (1 << 20 >> 16) + 1,
    },
    Kind {
        name: "handles on one file",
        add: |session, held, _| hold(session, held, "lower-1", READ),
        refusal: ErrorCode::Quota,
        most: HANDLES,
    },
    Kind {
        name: "handles on files far down the data",
        add: |session, held, number| hold(session, held, &deep(number), READ),
        refusal: ErrorCode::Quota,
        // Each pins sixty directories with a path and a name.
        most: HANDLES * HANDLE_MEMORY / (60 * NODE_MEMORY),
    },
    Kind {
        name: "files removed while they are open",
        add: |session, held, _| {
            hold(session, held, "gone", PUT)?;
            session.unlink("gone")
        },
        refusal: ErrorCode::Quota,
        most: HANDLES,
    },
    Kind {
        name: "files of the data removed while they are open",
        add: |session, held, number| {
            let path = format!("lower-{number}");
            hold(session, held, &path, EDIT)?;
            session.unlink(&path)
        },
        refusal: ErrorCode::Quota,
        most: HANDLES,
    },
    Kind {
        name: "open files replaced by a rename",
        add: |session, held, _| {
            hold(session, held, "target", PUT)?;
            session.write("source", b"x")?;
            session.rename("source", "target")
        },
        refusal: ErrorCode::Quota,
        most: HANDLES,
    },
    Kind {
        name: "open listings",
        add: |session, held, _| {
            held.push(session.data.reopen_dir()?);
            DirectoryReader::open_blocking(&session.data).map(drop)
        },
        refusal: ErrorCode::Quota,
        most: HANDLES,
    },
    Kind {
        name: "root directories, opened again",
        add: |session, held, _| {
            let roots = session.overlay.preopens()?;
            held.extend(roots.into_iter().map(|(root, _)| root));
            Ok(())
        },
        refusal: ErrorCode::Quota,
        most: HANDLES / 2,
    },
];

/// A data directory with many files, and deep trees.
fn data() -> Data {
    let data = Data::with(&[]);
    for number in 0..200 {
        std::fs::write(data.at(&format!("lower-{number}")), "l").unwrap();
    }
    for tree in 0..HANDLES {
        std::fs::create_dir_all(data.at(&deep(tree))).unwrap();
    }
    data
}

#[test]
fn all_that_a_guest_makes_the_host_hold_is_charged_and_bounded() {
    let data = data();
    for kind in &KINDS {
        let limits = FileLimits {
            bytes: 1 << 20,
            files: FILES,
            handles: HANDLES,
        };
        let session = Session::on(&data.lower(), false, limits);
        let mut held = Vec::new();
        let mut reached = 0;
        let refusal = loop {
            match (kind.add)(&session, &mut held, reached) {
                Ok(()) => reached += 1,
                Err(error) => break error,
            }
            assert!(reached <= 10_000, "{}: no limit", kind.name);
        };
        assert_eq!(refusal, kind.refusal, "{} after {reached}", kind.name);
        assert!(
            0 < reached && reached <= kind.most,
            "{}: {reached}",
            kind.name
        );
        assert_eq!(session.used(), session.counted(), "{}", kind.name);
        let (bytes, files) = session.used();
        let layer = session.overlay.layer.lock();
        let pinned = layer.quota.pinned();
        assert!(pinned <= HANDLES * HANDLE_MEMORY, "{}", kind.name);
        // What lies in the maps is within what is charged for it.
        let held_bytes = held_by(&layer);
        let charged = bytes + files * FILE_MEMORY + pinned + 2 * NODE_MEMORY;
        assert!(
            held_bytes <= charged,
            "{}: {held_bytes} > {charged}",
            kind.name
        );
        drop(layer);
        drop(held);
        assert_eq!(
            session.overlay.layer.lock().quota.pinned(),
            0,
            "{}",
            kind.name
        );
    }
}

/// Returns the bytes of the nodes and maps of an upper layer, contents of files
/// excepted: half-filled hash tables and tree nodes as at their worst.
fn held_by(layer: &crate::upper::layer::UpperLayer) -> u64 {
    let mut bytes = 0;
    for (_, node) in layer.nodes() {
        bytes += 2 * (size_of::<Node>() as u64 + 16);
        if let Origin::Lower(path) = &node.origin {
            bytes += path.len() as u64 + 16;
        }
        if let Some(home) = &node.home {
            bytes += home.name.capacity() as u64;
        }
        match &node.body {
            Body::Link(target) => bytes += target.capacity() as u64,
            Body::File(_) => {}
            Body::Dir(folder) => {
                for name in folder.entries.keys() {
                    bytes += 2 * (size_of::<String>() + size_of::<Entry>()) as u64;
                    bytes += name.capacity() as u64;
                }
            }
        }
    }
    bytes
}

#[test]
fn no_path_takes_more_than_a_bounded_number_of_steps() {
    let data = Data::with(&[("b/x", b"")]);
    let session = data.session();
    let detour = format!("{}b/x", "b/../".repeat(200));
    assert_eq!(session.text(&detour), "");
    let detour = format!("{}b/x", "b/../".repeat(300));
    assert_eq!(session.text(&detour), "name-too-long");
    // Forty links in a row, each a long way round.
    for number in 0..39 {
        let target = format!("{}link-{}", "b/../".repeat(100), number + 1);
        session.symlink(&target, &format!("link-{number}")).unwrap();
    }
    session.write("link-39", b"end").unwrap();
    assert_eq!(session.text("link-0"), "name-too-long");
    assert_eq!(session.text("link-38"), "end");
}

#[test]
fn readers_of_one_directory_share_its_names() {
    let data = Data::with(&[("d/a", b""), ("d/b", b"")]);
    let lower = data.lower();
    let one = lower.list("d").unwrap();
    // It was just changed, so it is read again; the names are the same.
    let two = lower.list("d").unwrap();
    assert!(std::sync::Arc::ptr_eq(&one, &two));
    std::fs::write(data.at("d/c"), "").unwrap();
    let three = lower.list("d").unwrap();
    assert_eq!((one.names.len(), three.names.len()), (2, 3));
}
