//! Every limit applies, with its own error, and freed space can be used again.

use std::sync::Arc;

use orwd_model::DiskBudget;

use super::*;
use crate::error::HOST_FAILED;

fn session(data: &Data, bytes: u64, files: u64, handles: u64) -> Session {
    let limits = FileLimits {
        bytes,
        files,
        handles,
    };
    Session::on(&data.lower(), false, limits)
}

#[test]
fn bytes_are_filled_to_the_last() {
    let data = Data::with(&[("base", &pattern(300_000))]);
    let session = session(&data, 100_000, 100, 100);
    let file = session.open("x", PUT).unwrap();
    assert_eq!(file.write(Some(0), &[1; 90_000]), Ok(90_000));
    assert_eq!(file.write(None, &[1; 90_000]), Ok(9_999));
    assert_eq!(file.write(None, b"x"), Err(ErrorCode::InsufficientSpace));
    // Overwriting needs no space; nothing else fits, not even a name.
    assert_eq!(file.write(Some(5), b"yes"), Ok(3));
    assert_eq!(session.create_dir("d"), Err(ErrorCode::InsufficientSpace));
    assert_eq!(session.unlink("base"), Err(ErrorCode::InsufficientSpace));
    let lower = session.open("base", EDIT).unwrap();
    assert_eq!(
        lower.write(Some(0), b"x"),
        Err(ErrorCode::InsufficientSpace)
    );
    assert_eq!(session.read("base").unwrap(), pattern(300_000));
    drop((file, lower));
    session.unlink("x").unwrap();
    assert_eq!(session.used(), (0, 0));
    assert_eq!(session.write("y", &[1; 90_000]), Ok(90_000));
}

/// A disk without space.
#[derive(Debug)]
struct FullDisk;

impl DiskBudget for FullDisk {
    fn take(&self, _bytes: u64) -> bool {
        false
    }

    fn give_back(&self, _bytes: u64) {}
}

#[test]
fn a_failure_of_the_host_in_the_middle_of_a_write_is_no_short_write() {
    let data = Data::with(&[]);
    let session = session(&data, 100 << 20, 100, 100);
    session.overlay.charge_disk_to(Arc::new(FullDisk));
    let bytes = vec![1; 2 << 20];
    assert_eq!(session.write("x", &bytes), Err(HOST_FAILED));
}

#[test]
fn holes_are_charged_as_if_dense() {
    let data = Data::with(&[]);
    let session = session(&data, 1 << 20, 100, 100);
    let file = session.open("x", PUT).unwrap();
    let set = |size| session.overlay.layer.lock().set_size(file.node(), size);
    assert_eq!(set(1 << 63), Err(ErrorCode::FileTooLarge));
    assert_eq!(set(1 << 40), Err(ErrorCode::InsufficientSpace));
    assert_eq!(set(1 << 19), Ok(()));
    assert_eq!(session.used(), ((1 << 19) + 1, 1));
    assert_eq!(
        file.write(Some(2 << 20), b"x"),
        Err(ErrorCode::InsufficientSpace)
    );
    assert_eq!(
        file.write(Some(u64::MAX), b"x"),
        Err(ErrorCode::FileTooLarge)
    );
    assert_eq!(set(0), Ok(()));
    assert_eq!(session.used(), (1, 1));
}

#[test]
fn files_of_every_kind_count() {
    let data = Data::with(&[("d/base", b""), ("e", b"")]);
    let session = session(&data, 1 << 20, 5, 100);
    session.create_dir("one").unwrap();
    session.write("one/two", b"").unwrap();
    session.symlink("one", "three").unwrap();
    session.unlink("e").unwrap();
    // Removing this takes a whiteout, and a node for the directory.
    assert_eq!(session.unlink("d/base"), Err(ErrorCode::InsufficientSpace));
    session.write("e", b"again").unwrap();
    assert_eq!(session.used().1, 4);
    session.write("five", b"").unwrap();
    assert_eq!(session.write("six", b""), Err(ErrorCode::InsufficientSpace));
    assert_eq!(session.create_dir("six"), Err(ErrorCode::InsufficientSpace));
    assert_eq!(
        session.symlink("one", "six"),
        Err(ErrorCode::InsufficientSpace)
    );
    session.unlink("three").unwrap();
    assert_eq!(session.create_dir("six"), Ok(()));
    // Removing the session's own file over a lower one always works.
    assert_eq!(session.unlink("e"), Ok(()));
    assert_eq!(session.used(), session.counted());
}

#[test]
fn handles_are_counted() {
    let data = Data::with(&[("x", b"")]);
    let session = session(&data, 1 << 20, 100, 5);
    let one = session.open("x", READ).unwrap();
    let two = session.open("y", PUT).unwrap();
    let listing = DirectoryReader::open_blocking(&session.data).unwrap();
    assert_eq!(session.open("x", READ).err(), Some(ErrorCode::Quota));
    assert_eq!(session.open("z", PUT).err(), Some(ErrorCode::Quota));
    assert!(DirectoryReader::open_blocking(&session.data).is_err());
    drop((listing, one));
    // The file that could not be opened was not created either.
    assert_eq!(session.names("."), "x y");
    drop(two);
    assert_eq!(session.text("x"), "");
}

#[test]
fn depth_and_names_are_bounded() {
    let data = Data::with(&[]);
    let session = data.session();
    let mut path = String::from("d");
    session.create_dir(&path).unwrap();
    for _ in 1..64 {
        path.push_str("/d");
        session.create_dir(&path).unwrap();
    }
    let deeper = format!("{path}/d");
    assert_eq!(session.create_dir(&deeper), Err(ErrorCode::NameTooLong));
    // Neither through a handle further down, nor by moving things together.
    let half = session.open(&path[..path.len() / 2], READ).unwrap();
    let node = half.node();
    let more = "d/".repeat(33);
    assert_eq!(
        session.overlay.layer.lock().create_dir(node, &more),
        Err(ErrorCode::NameTooLong)
    );
    session.create_dir("a").unwrap();
    session.create_dir("a/b").unwrap();
    assert_eq!(
        session.rename("a", &format!("{}/a", &path[..path.len() - 2])),
        Err(ErrorCode::NameTooLong)
    );
    let long = "n".repeat(255);
    assert_eq!(session.create_dir(&long), Ok(()));
    assert_eq!(
        session.create_dir(&format!("{long}n")),
        Err(ErrorCode::NameTooLong)
    );
    assert_eq!(session.text(&"a/".repeat(3000)), "name-too-long");
}

#[test]
fn every_change_is_refused_when_read_only() {
    let data = Data::with(&[("x", b"x"), ("d/y", b"y")]);
    let before = data.snapshot();
    let session = Session::on(&data.lower(), true, LARGE_LIMITS);
    assert_eq!(session.text("x"), "x");
    let no = Some(ErrorCode::ReadOnly);
    assert_eq!(session.open("x", EDIT).err(), no);
    assert_eq!(session.open("new", PUT).err(), no);
    let truncate = OpenOptions {
        truncate: true,
        ..READ
    };
    assert_eq!(session.open("x", truncate).err(), no);
    assert_eq!(session.create_dir("new").err(), no);
    assert_eq!(session.unlink("x").err(), no);
    assert_eq!(session.remove_dir("d").err(), no);
    assert_eq!(session.rename("x", "z").err(), no);
    assert_eq!(session.link("x", "z").err(), no);
    assert_eq!(session.symlink("x", "z").err(), no);
    let file = session.open("x", READ).unwrap();
    assert_eq!(file.write(Some(0), b"y").err(), no);
    assert_eq!(
        session.overlay.layer.lock().set_size(file.node(), 0).err(),
        no
    );
    assert!(session.tmp.is_none());
    assert_eq!(data.snapshot(), before);
}
