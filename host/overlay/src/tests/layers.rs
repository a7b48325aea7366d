//! How the upper layer covers the lower layer.

use std::fs;

use super::*;
use crate::upper::stat::SetTime;
use orwd_model::Timestamp;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

#[test]
fn writes_are_private_to_the_session() {
    let data = Data::with(&[("a/x", b"base"), ("y", b"other")]);
    let before = data.snapshot();
    let lower = data.lower();
    let one = Session::on(&lower, false, LARGE_LIMITS);
    let two = Session::on(&lower, false, LARGE_LIMITS);
    one.write("a/x", b"mine").unwrap();
    one.write("new", b"made").unwrap();
    one.unlink("y").unwrap();
    assert_eq!(one.text("a/x"), "mine");
    assert_eq!(one.names("."), "a new");
    assert_eq!(two.text("a/x"), "base");
    assert_eq!(two.names("."), "a y");
    assert_eq!(two.used(), (0, 0));
    assert_eq!(data.snapshot(), before);
}

#[test]
fn reading_leaves_no_nodes_behind() {
    let data = Data::with(&[("a/b/c/x", b"deep"), ("a/y", b"")]);
    let session = data.session();
    assert_eq!(session.text("a/b/c/x"), "deep");
    assert_eq!(session.names("a/b"), "c");
    assert_eq!(session.size("a/b/c/x"), Ok(4));
    assert_eq!((session.nodes(), session.used()), (0, (0, 0)));
    let open = session.open("a/b/c/x", READ).unwrap();
    assert_eq!(session.nodes(), 4);
    drop(open);
    assert_eq!(session.nodes(), 0);
}

#[test]
fn a_large_lower_file_is_copied_page_by_page() {
    let page = 64 * 1024;
    let lower = pattern(10 * page + 5);
    let data = Data::with(&[("big", &lower)]);
    let session = data.session();
    let file = session.open("big", EDIT).unwrap();
    let reader = session.open("big", READ).unwrap();
    file.write(Some(3 * page as u64 + 9), b"XY").unwrap();
    // One page, one file, its name and the path it came from.
    assert_eq!(session.used(), (page as u64 + 6, 1));
    let mut expected = lower.clone();
    expected[3 * page + 9..][..2].copy_from_slice(b"XY");
    assert_eq!(read_all(&reader).unwrap(), expected);
    file.write(None, b"end").unwrap();
    expected.extend(b"end");
    // The last page is short: five lower bytes and three more.
    assert_eq!(session.used(), (page as u64 + 8 + 6, 1));
    assert_eq!(read_all(&file).unwrap(), expected);
    drop((file, reader));
    // Closed and opened again it reads the same.
    assert_eq!(session.read("big").unwrap(), expected);
    assert_eq!(fs::read(data.at("big")).unwrap(), lower);
}

#[test]
fn a_truncated_lower_file_stays_truncated() {
    let page = 64 * 1024;
    let data = Data::with(&[("big", &pattern(3 * page))]);
    let session = data.session();
    let file = session.open("big", EDIT).unwrap();
    let node = file.node();
    let set = |size: usize| session.overlay.layer.lock().set_size(node, size as u64);
    set(page + 10).unwrap();
    assert_eq!(session.used(), (6, 1));
    set(2 * page).unwrap();
    let mut expected = pattern(page + 10);
    expected.resize(2 * page, 0);
    assert_eq!(read_all(&file).unwrap(), expected);
    assert_eq!(session.used(), (6 + page as u64 - 10, 1));
    assert_eq!(session.used(), session.counted());
}

#[test]
fn a_replaced_lower_file_is_not_mixed_with_copied_pages() {
    let page = 64 * 1024;
    let data = Data::with(&[("big", &pattern(2 * page)), ("new", b"?")]);
    let session = data.session();
    let file = session.open("big", EDIT).unwrap();
    file.write(Some(0), b"mine").unwrap();
    drop(file);
    fs::rename(data.at("new"), data.at("big")).unwrap();
    assert_eq!(session.read("big"), Err(ErrorCode::Io));
    // A file that was not written is simply the new one.
    assert_eq!(data.session().text("big"), "?");
}

#[test]
fn whiteouts_hide_lower_entries() {
    let data = Data::with(&[("d/one", b"1"), ("d/two", b"2"), ("f", b"f")]);
    let session = data.session();
    assert_eq!(session.remove_dir("d"), Err(ErrorCode::NotEmpty));
    session.unlink("d/one").unwrap();
    assert_eq!(session.names("d"), "two");
    assert_eq!(session.text("d/one"), "no-entry");
    assert_eq!(session.unlink("d/one"), Err(ErrorCode::NoEntry));
    session.unlink("d/two").unwrap();
    session.remove_dir("d").unwrap();
    assert_eq!(session.names("."), "f");
    // The directory is gone with its whiteouts; one whiteout for itself is
    // left.
    assert_eq!(session.used(), (1, 1));
    session.create_dir("d").unwrap();
    assert_eq!(session.names("d"), "");
    assert_eq!(session.text("d/one"), "no-entry");
    session.write("f", b"g").unwrap();
    session.unlink("f").unwrap();
    assert_eq!(session.names("."), "d");
    session.write("f", b"h").unwrap();
    assert_eq!(session.text("f"), "h");
    assert_eq!(session.used(), session.counted());
}

#[test]
fn renames_cross_the_layers() {
    let data = Data::with(&[("d/e/x", b"x"), ("f", b"f"), ("g", b"g")]);
    let before = data.snapshot();
    let session = data.session();
    let open = session.open("d/e/x", EDIT).unwrap();
    session.rename("d/e", "moved").unwrap();
    assert_eq!(session.text("moved/x"), "x");
    assert_eq!(session.names("d"), "");
    // What was open before moves along.
    open.write(Some(0), b"X").unwrap();
    assert_eq!(session.text("moved/x"), "X");
    session.rename("f", "g").unwrap();
    assert_eq!(session.text("g"), "f");
    assert_eq!(session.names("."), "d g moved");
    session.rename("moved/x", "d/x").unwrap();
    session.rename("g", "moved/g").unwrap();
    assert_eq!(session.names("."), "d moved");
    assert_eq!(session.names("moved"), "g");
    for (old, new, expected) in [
        ("d", "d/below", ErrorCode::Invalid),
        ("d", "moved", ErrorCode::NotEmpty),
        ("d", "moved/g", ErrorCode::NotDirectory),
        ("moved/g", "d", ErrorCode::IsDirectory),
        ("none", "x", ErrorCode::NoEntry),
        (".", "x", ErrorCode::Busy),
        ("moved/g/", "x", ErrorCode::NotDirectory),
        ("moved/g", "x/", ErrorCode::NotDirectory),
    ] {
        assert_eq!(session.rename(old, new), Err(expected), "{old} {new}");
    }
    assert_eq!(session.rename("d", "d"), Ok(()));
    assert_eq!(session.used(), session.counted());
    assert_eq!(data.snapshot(), before);
}

#[test]
fn hard_links_share_and_outlive() {
    let data = Data::with(&[("d/x", b"base")]);
    let session = data.session();
    session.link("d/x", "y").unwrap();
    session
        .open("y", EDIT)
        .unwrap()
        .write(Some(0), b"B")
        .unwrap();
    assert_eq!(session.text("d/x"), "Base");
    assert_eq!(session.hash("d/x"), session.hash("y"));
    // Both names, the directory above one of them, and the paths of the two.
    assert_eq!(session.used().1, 3);
    session.unlink("d/x").unwrap();
    assert_eq!(session.text("y"), "Base");
    assert_eq!(session.link("d", "e"), Err(ErrorCode::NotPermitted));
    assert_eq!(session.link("y", "y"), Err(ErrorCode::Exist));
    assert_eq!(session.used(), session.counted());
    session.unlink("y").unwrap();
    assert_eq!(session.used(), session.counted());
}

#[test]
fn a_file_removed_while_open_stays_until_closed() {
    let data = Data::with(&[("x", b"base")]);
    let session = data.session();
    let created = session.open("made", PUT).unwrap();
    created.write(Some(0), &[1; 1000]).unwrap();
    let lower = session.open("x", EDIT).unwrap();
    session.unlink("made").unwrap();
    session.unlink("x").unwrap();
    assert_eq!(session.names("."), "");
    // A thousand bytes, its node, and the whiteout of the other.
    assert_eq!(session.used(), (1001, 2));
    lower.write(Some(0), b"BA").unwrap();
    assert_eq!(read_all(&lower).unwrap(), b"BAse");
    assert_eq!(session.used(), session.counted());
    drop((created, lower));
    assert_eq!(session.used(), (1, 1));
}

#[test]
fn two_sessions_that_do_the_same_see_the_same() {
    let files: Vec<(String, &[u8])> = ["b", "a", "Z", "\u{e9}", "10", "9"]
        .map(|name| (name.to_owned(), &b"-"[..]))
        .to_vec();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, b)| (name.as_str(), *b)).collect();
    let (one, two) = (Data::with(&files), Data::with(&files));
    std::thread::sleep(std::time::Duration::from_millis(20));
    let seen = [one, two].map(|data| {
        let session = data.session();
        session.write("c", b"").unwrap();
        session.create_dir("B").unwrap();
        let layer = session.overlay.layer.lock();
        let found = layer.find(session.data.node(), "a", true).unwrap();
        let time = layer.stat(&found.location).unwrap().modified;
        drop(layer);
        let hashes = ["a", "c", "B"].map(|name| session.hash(name));
        (session.names("."), hashes, time.seconds)
    });
    assert_eq!(seen[0].0, "10 9 B Z a b c \u{e9}");
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn written_files_have_the_session_time() {
    let data = Data::with(&[("old", b"12345"), ("other", b"")]);
    let session = data.session();
    let times = |path: &str| {
        let layer = session.overlay.layer.lock();
        let found = layer.find(session.data.node(), path, true).unwrap();
        let stat = layer.stat(&found.location).unwrap();
        [stat.accessed, stat.modified].map(|time| time.seconds)
    };
    let at = |second: u64| {
        session
            .clock
            .set(Timestamp::from_nanos(second * 1_000_000_000));
    };
    session.write("new", b"x").unwrap();
    assert_eq!(times("new"), [1000, 1000]);
    at(2000);
    let file = session.open("new", EDIT).unwrap();
    file.write(Some(0), b"y").unwrap();
    session.create_dir("below").unwrap();
    assert_eq!(times("new"), [1000, 2000]);
    assert_eq!(times("below"), [2000, 2000]);
    at(3000);
    session
        .overlay
        .layer
        .lock()
        .set_size(file.node(), 0)
        .unwrap();
    assert_eq!(times("new"), [1000, 3000]);
    // Lower files have the constant timestamp until they are written.
    assert_eq!(times("old"), times("other"));
    let old = session.open("old", EDIT).unwrap();
    assert_eq!(times("old"), times("other"));
    old.write(Some(0), b"!").unwrap();
    assert_eq!(times("old"), [times("other")[0], 3000]);
    at(4000);
    let mut layer = session.overlay.layer.lock();
    layer
        .set_times(old.node(), SetTime::Now, SetTime::Keep)
        .unwrap();
    drop(layer);
    assert_eq!(times("old"), [4000, 3000]);
}

#[test]
fn times_are_constant_until_they_are_set() {
    let data = Data::with(&[("x", b"")]);
    let session = data.session();
    let file = session.open("x", READ).unwrap();
    let plain = |time: Datetime| (time.seconds, time.nanoseconds);
    let stat = |at: &Handle| {
        session
            .overlay
            .layer
            .lock()
            .stat(&Location::Upper(at.node()))
            .unwrap()
    };
    let constant = plain(stat(&session.data).modified);
    assert_eq!(plain(stat(&file).modified), constant);
    let then = Datetime {
        seconds: 5,
        nanoseconds: 6,
    };
    let set = |time| {
        let mut layer = session.overlay.layer.lock();
        layer.set_times(file.node(), SetTime::Keep, SetTime::To(time))
    };
    set(then).unwrap();
    assert_eq!(plain(stat(&file).modified), (5, 6));
    assert_eq!(plain(stat(&file).accessed), constant);
    let wrong = Datetime {
        seconds: 0,
        nanoseconds: 1_000_000_000,
    };
    assert_eq!(set(wrong), Err(ErrorCode::Invalid));
}

#[test]
fn sessions_share_one_descriptor_per_file() {
    let data = Data::with(&[("x", b"x")]);
    let lower = data.lower();
    let open = || {
        fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter(|entry| {
                let link = fs::read_link(entry.as_ref().unwrap().path());
                link.is_ok_and(|link| link == data.at("x"))
            })
            .count()
    };
    let sessions: Vec<Session> = (0..50)
        .map(|_| Session::on(&lower, false, LARGE_LIMITS))
        .collect();
    assert_eq!(open(), 0);
    let files: Vec<Handle> = sessions
        .iter()
        .map(|session| session.open("x", READ).unwrap())
        .collect();
    assert_eq!(open(), 1);
    drop(files);
    assert_eq!(open(), 0);
}

#[test]
fn large_writes_go_to_disk_and_read_back() {
    let data = Data::with(&[]);
    let session = data.session();
    let bytes = pattern(3 << 20);
    let file = session.open("x", PUT).unwrap();
    assert_eq!(file.write(Some(0), &bytes), Ok(bytes.len()));
    assert!(session.overlay.layer.lock().store.has_spilled());
    assert_eq!(read_all(&file).unwrap(), bytes);
    file.write(Some((2 << 20) + 5), b"hello").unwrap();
    let mut expected = bytes;
    expected[(2 << 20) + 5..][..5].copy_from_slice(b"hello");
    assert_eq!(read_all(&file).unwrap(), expected);
}

/// The file system below decides which reads are cached; the bytes are always
/// the same.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn uncached_data_is_prefetched() {
    let bytes = pattern(300_000);
    let data = Data::with(&[("large", &bytes)]);
    let on_disk = fs::File::open(data.at("large")).unwrap();
    on_disk.sync_all().unwrap();
    rustix::fs::fadvise(&on_disk, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let session = data.session();
    let file = session.open("large", READ).unwrap();
    let at_hand = |offset| {
        let mut layer = file.layer();
        let (content, ..) = layer.content(file.node()).unwrap();
        content.uncached_lower(offset, 65_536).is_none()
    };
    for offset in [0, 131_072, 262_144, 1 << 40] {
        file.prefetch(offset, 65_536).await;
        assert!(at_hand(offset), "at {offset}");
    }
    assert_eq!(read_all(&file).unwrap(), bytes);
    // What the session wrote needs no fetching.
    let own = session.open("own", PUT).unwrap();
    own.write(Some(0), b"x").unwrap();
    own.prefetch(0, 1).await;
}
