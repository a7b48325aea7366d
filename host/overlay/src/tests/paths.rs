//! Paths that try to escape.

use super::*;

/// A lower layer with links of every kind, and a secret outside of it.
fn data() -> Data {
    let data = Data::with(&[
        ("a/b/file", b"deep"),
        ("file", b"top"),
        ("sp ace\\x", b"odd"),
    ]);
    std::fs::write(data.outside().join("secret"), "secret").unwrap();
    for (target, path) in [
        ("file", "honest"),
        ("a/b", "folder"),
        ("../../file", "a/b/up"),
        ("../secret", "out"),
        ("a/../../secret", "detour"),
        ("/etc/passwd", "absolute"),
        ("..", "parent"),
        ("loop2", "loop1"),
        ("loop1", "loop2"),
        ("nowhere", "dangling"),
        (".", "self"),
        ("file/", "slashed"),
    ] {
        data.link(target, path);
    }
    data
}

#[test]
fn reading() {
    let data = data();
    let session = data.session();
    for (path, expected) in [
        ("file", "top"),
        ("./file", "top"),
        ("a//b/./file", "deep"),
        ("a/b/../../file", "top"),
        ("a/../a/b/file", "deep"),
        ("honest", "top"),
        ("folder/file", "deep"),
        ("a/b/up", "top"),
        ("folder/up", "top"),
        ("folder/../b/file", "deep"),
        ("self/self/self/file", "top"),
        ("sp ace\\x", "odd"),
        ("", "no-entry"),
        ("/", "not-permitted"),
        ("/file", "not-permitted"),
        ("//file", "not-permitted"),
        ("..", "not-permitted"),
        ("../data/file", "not-permitted"),
        ("a/../../data/file", "not-permitted"),
        ("a/b/../../../secret", "not-permitted"),
        ("out", "not-permitted"),
        ("detour", "not-permitted"),
        ("parent", "not-permitted"),
        ("parent/secret", "not-permitted"),
        ("absolute", "not-permitted"),
        ("loop1", "loop"),
        ("dangling", "no-entry"),
        ("fi\0le", "illegal-byte-sequence"),
        ("\0", "illegal-byte-sequence"),
        ("file/", "not-directory"),
        ("file/.", "not-directory"),
        ("file/..", "not-directory"),
        ("file/x", "not-directory"),
        ("slashed", "not-directory"),
        ("none/file", "no-entry"),
        ("none/../file", "no-entry"),
        ("a", "is-directory"),
        (".", "is-directory"),
        ("a\\b\\file", "no-entry"),
        ("C:", "no-entry"),
        ("FILE", "no-entry"),
        ("...", "no-entry"),
        ("file ", "no-entry"),
    ] {
        assert_eq!(session.text(path), expected, "{path:?}");
    }
    assert_eq!((session.nodes(), session.used()), (0, (0, 0)));
}

#[test]
fn changing() {
    let exist = Err(ErrorCode::Exist);
    type Change = fn(&Session, &str) -> Result<()>;
    let put: Change = |session, path| session.open(path, PUT).map(drop);
    let new: Change = |session, path| {
        let options = OpenOptions {
            exclusive: true,
            ..PUT
        };
        session.open(path, options).map(drop)
    };
    let make: Change = Session::create_dir;
    let unlink: Change = Session::unlink;
    let rmdir: Change = Session::remove_dir;
    let link: Change = |session, path| session.symlink("file", path);
    for (what, change, path, expected) in [
        ("put", put, "new", Ok(())),
        ("put", put, "new/", Err(ErrorCode::IsDirectory)),
        ("put", put, "a", Err(ErrorCode::IsDirectory)),
        ("put", put, ".", Err(ErrorCode::IsDirectory)),
        ("put", put, "none/new", Err(ErrorCode::NoEntry)),
        ("put", put, "out", Err(ErrorCode::NotPermitted)),
        ("put", put, "../new", Err(ErrorCode::NotPermitted)),
        ("put", put, "dangling", Ok(())),
        ("put", put, "loop1", Err(ErrorCode::Loop)),
        ("new", new, "file", exist),
        ("new", new, "dangling", exist),
        ("new", new, "out", exist),
        ("new", new, "a", exist),
        ("make", make, "new", Ok(())),
        ("make", make, "new/", Ok(())),
        ("make", make, "new/.", Ok(())),
        ("make", make, "file", exist),
        ("make", make, "a", exist),
        ("make", make, ".", exist),
        ("make", make, "a/..", exist),
        ("make", make, "dangling", exist),
        ("make", make, "..", Err(ErrorCode::NotPermitted)),
        ("make", make, "file/new", Err(ErrorCode::NotDirectory)),
        ("make", make, "/new", Err(ErrorCode::NotPermitted)),
        ("unlink", unlink, "file", Ok(())),
        ("unlink", unlink, "out", Ok(())),
        ("unlink", unlink, "loop1", Ok(())),
        ("unlink", unlink, "file/", Err(ErrorCode::NotDirectory)),
        ("unlink", unlink, "folder/", Err(ErrorCode::IsDirectory)),
        ("unlink", unlink, "a", Err(ErrorCode::IsDirectory)),
        ("unlink", unlink, ".", Err(ErrorCode::IsDirectory)),
        ("unlink", unlink, "none", Err(ErrorCode::NoEntry)),
        ("rmdir", rmdir, "a", Err(ErrorCode::NotEmpty)),
        ("rmdir", rmdir, "a/", Err(ErrorCode::NotEmpty)),
        ("rmdir", rmdir, "file", Err(ErrorCode::NotDirectory)),
        ("rmdir", rmdir, "folder", Err(ErrorCode::NotDirectory)),
        ("rmdir", rmdir, ".", Err(ErrorCode::Invalid)),
        ("rmdir", rmdir, "a/..", Err(ErrorCode::Invalid)),
        ("link", link, "new", Ok(())),
        ("link", link, "new/", Err(ErrorCode::NoEntry)),
        ("link", link, "file", exist),
    ] {
        let data = data();
        let before = data.snapshot();
        let session = data.session();
        assert_eq!(change(&session, path), expected, "{what} {path:?}");
        assert_eq!(session.used(), session.counted(), "{what} {path:?}");
        assert_eq!(data.snapshot(), before, "{what} {path:?}");
    }
}

#[test]
fn links_created_by_a_session_cannot_escape() {
    let data = data();
    let session = data.session();
    for (target, path, expected) in [
        ("/etc/passwd", "l1", Err(ErrorCode::NotPermitted)),
        ("../secret", "l1", Err(ErrorCode::NotPermitted)),
        ("a/../../secret", "l1", Err(ErrorCode::NotPermitted)),
        ("../../file", "a/l1", Err(ErrorCode::NotPermitted)),
        ("", "l1", Err(ErrorCode::NoEntry)),
        ("x\0", "l1", Err(ErrorCode::IllegalByteSequence)),
        ("../file", "a/l1", Ok(())),
        ("a/b/file", "l2", Ok(())),
        ("nothing", "l3", Ok(())),
    ] {
        assert_eq!(session.symlink(target, path), expected, "{target}");
    }
    assert_eq!(session.text("a/l1"), "top");
    assert_eq!(session.text("l2"), "deep");
    // Moved up, the link points outside, and cannot be followed.
    session.rename("a/l1", "l1").unwrap();
    assert_eq!(session.text("l1"), "not-permitted");
    // From a handle on a folder nothing above it can be reached.
    session.symlink("../../file", "a/b/climb").unwrap();
    assert_eq!(session.text("a/b/climb"), "top");
    let folder = session.open("a/b", READ).unwrap();
    let climb = folder.open_at("climb", true, READ, true);
    assert_eq!(climb.err(), Some(ErrorCode::NotPermitted));
}

#[test]
fn special_files_are_hidden() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let data = Data::with(&[("file", b""), (".orwd-publish-1", b"half")]);
    mknodat(CWD, data.at("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let session = data.session();
    assert_eq!(session.names("."), "file");
    for path in ["pipe", ".orwd-publish-1"] {
        assert_eq!(session.text(path), "no-entry");
        assert_eq!(session.size(path), Err(ErrorCode::NoEntry));
    }
    session.write("pipe", b"mine").unwrap();
    assert_eq!(session.text("pipe"), "mine");
}

#[test]
fn the_two_directories_share_one_overlay() {
    let data = Data::with(&[("file", b"f")]);
    let session = data.session();
    let tmp = session.tmp.as_ref().unwrap();
    let (root, tmp_root) = (session.data.node(), tmp.node());
    session
        .overlay
        .layer
        .lock()
        .rename(root, "file", tmp_root, "moved")
        .unwrap();
    let moved = tmp.open_at("moved", true, READ, true).unwrap();
    assert_eq!(read_all(&moved).unwrap(), b"f");
    assert_eq!(session.names("."), "");
    assert_eq!(
        tmp.open_at("../file", true, READ, true).err(),
        Some(ErrorCode::NotPermitted)
    );
}
