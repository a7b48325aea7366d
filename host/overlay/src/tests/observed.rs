//! What a guest has seen of its data: only a change of that shows.

use std::fs;

use super::*;

type Look = fn(&Session);

/// Returns the digest of what a guest sees that looks in this way.
fn seen(data: &Data, look: Look) -> [u8; 32] {
    let session = data.session();
    session.overlay.observe();
    look(&session);
    session.overlay.observed().unwrap()
}

/// Like a mounted configuration map: names lead through a link whose target
/// changes with each version.
fn data() -> Data {
    let data = Data::with(&[
        ("..version-1/config", b"one"),
        ("folder/a", b"first"),
        ("folder/b", b"second"),
        ("other/c", b"third"),
    ]);
    data.link("..version-1", "..data");
    data.link("..data/config", "config");
    data
}

const READ_CONFIG: Look = |session| drop(session.text("config"));
const LIST_FOLDER: Look = |session| drop(session.names("folder"));
const LOOK_FOR_NEW: Look = |session| {
    let _ = session.size("folder/new");
};
const READ_HEAD: Look = |session| drop(session.open("folder/a", READ).unwrap().read(0, 2));

#[test]
fn only_a_change_that_the_guest_sees_shows() {
    type Change = fn(&Data);
    let swap_version: Change = |data| {
        fs::create_dir(data.at("..version-2")).unwrap();
        fs::write(data.at("..version-2/config"), "one").unwrap();
        fs::remove_file(data.at("..data")).unwrap();
        data.link("..version-2", "..data");
        fs::remove_dir_all(data.at("..version-1")).unwrap();
    };
    let new_config: Change = |data| fs::write(data.at("..version-1/config"), "two").unwrap();
    let add_elsewhere: Change = |data| fs::write(data.at(".x.swp"), "").unwrap();
    let add_in_folder: Change = |data| fs::write(data.at("folder/new"), "").unwrap();
    let remove_in_folder: Change = |data| fs::remove_file(data.at("folder/b")).unwrap();
    let rewrite: Change = |data| {
        fs::remove_file(data.at("folder/a")).unwrap();
        fs::write(data.at("folder/a"), "first").unwrap();
    };
    let change_tail: Change = |data| fs::write(data.at("folder/a"), "fixed").unwrap();
    for (name, look, change, shows) in [
        (
            "equal bytes in a new version",
            READ_CONFIG,
            swap_version,
            false,
        ),
        ("other bytes", READ_CONFIG, new_config, true),
        ("a file elsewhere", READ_CONFIG, add_elsewhere, false),
        (
            "a file elsewhere than listed",
            LIST_FOLDER,
            add_elsewhere,
            false,
        ),
        ("a file where it listed", LIST_FOLDER, add_in_folder, true),
        (
            "a file less where it listed",
            LIST_FOLDER,
            remove_in_folder,
            true,
        ),
        ("equal bytes in a new file", LIST_FOLDER, rewrite, false),
        (
            "other bytes in what it listed",
            LIST_FOLDER,
            change_tail,
            false,
        ),
        (
            "the file that it looked for",
            LOOK_FOR_NEW,
            add_in_folder,
            true,
        ),
        (
            "another file than it looked for",
            LOOK_FOR_NEW,
            remove_in_folder,
            false,
        ),
        ("equal bytes in a file it read", READ_HEAD, rewrite, false),
        ("bytes behind those it read", READ_HEAD, change_tail, false),
        ("a file beside it", READ_HEAD, remove_in_folder, false),
    ] {
        let data = data();
        let before = seen(&data, look);
        assert_eq!(seen(&data, look), before, "{name}");
        change(&data);
        assert_eq!(seen(&data, look) != before, shows, "{name}");
    }
}

#[test]
fn a_changed_file_of_the_data_shows_what_is_left_of_it() {
    let look: Look = |session| {
        let file = session.open("folder/a", EDIT).unwrap();
        file.write(Some(0), b"F").unwrap();
        read_all(&file).unwrap();
    };
    let data = data();
    let before = seen(&data, look);
    fs::write(data.at("folder/a"), "Xirst").unwrap();
    // The byte that differs was overwritten.
    assert_eq!(seen(&data, look), before);
    fs::write(data.at("folder/a"), "fixed").unwrap();
    assert_ne!(seen(&data, look), before);
}

#[test]
fn without_data_nothing_is_observed() {
    let overlay = crate::Overlay::new(
        None,
        &["/tmp"],
        false,
        LARGE_LIMITS,
        data().session().clock.clone(),
    );
    overlay.observe();
    assert_eq!(overlay.observed(), None);
}
