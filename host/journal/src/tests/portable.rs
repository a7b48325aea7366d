//! Episodes that are carried away and brought in, and files that claim to be
//! some.

use crate::testing as sample;
use crate::{EpisodeId, Filter, Imported, MemoryStore, Portable, PortableError, Record, Store};
use orwd_model::Digest;

fn store_with(id: EpisodeId, records: &[Record]) -> MemoryStore {
    let store = MemoryStore::new();
    store.append(&sample::entries(id, records)).unwrap();
    store
}

fn exported(calls: u64, component: bool) -> (EpisodeId, Vec<u8>) {
    let id = EpisodeId::new();
    let store = store_with(id, &sample::episode(Some("alice"), "s", calls));
    let mut portable = Portable::export(&store, id).unwrap();
    if component {
        portable = portable.with_component(b"component".to_vec()).unwrap();
    }
    let mut file = Vec::new();
    portable.write(&mut file).unwrap();
    (id, file)
}

#[test]
fn an_episode_arrives_as_it_left() {
    for component in [false, true] {
        let (id, file) = exported(3, component);
        let portable = Portable::read(&file[..]).unwrap();
        assert_eq!(portable.component().is_some(), component);
        assert_eq!(portable.history().steps().len(), 3);
        assert_eq!(portable.history_of(3).unwrap().unwrap().steps().len(), 1);
        assert!(portable.history_of(8).is_none());
        let store = MemoryStore::new();
        assert_eq!(portable.import(&store).unwrap(), Imported::New);
        assert_eq!(portable.import(&store).unwrap(), Imported::Already);
        let again = Portable::export(&store, id).unwrap();
        assert_eq!(again.history(), portable.history());
        assert_eq!(store.list(&Filter::default()).unwrap().len(), 1);
    }
}

#[test]
fn another_component_is_not_passed_off_as_the_one() {
    let id = EpisodeId::new();
    let store = store_with(id, &sample::episode(None, "s", 1));
    let portable = Portable::export(&store, id).unwrap();
    assert_ne!(Digest::of(b"other"), portable.history().created().component);
    let refused = portable.with_component(b"other".to_vec()).unwrap_err();
    assert!(refused.to_string().contains("not the one"), "{refused}");
}

#[test]
fn what_is_there_is_never_changed() {
    let (id, file) = exported(2, false);
    let portable = Portable::read(&file[..]).unwrap();
    let shorter = store_with(id, &sample::episode(Some("alice"), "s", 1));
    let refused = portable.import(&shorter).unwrap_err();
    assert!(
        matches!(refused, PortableError::Differs(of) if of == id),
        "{refused}"
    );
    assert_eq!(shorter.read(id, 0).unwrap().len(), 3);
    let namesake = store_with(EpisodeId::new(), &sample::episode(Some("alice"), "s", 0));
    let refused = portable.import(&namesake).unwrap_err();
    assert!(matches!(refused, PortableError::Exists { .. }), "{refused}");
    assert!(
        namesake.episode(id).unwrap().is_none(),
        "a half of it was brought in"
    );
}

#[test]
fn a_file_that_is_none_is_refused_and_costs_no_memory() {
    let (_, file) = exported(1, false);
    let magic = b"orwd episode\n";
    let with = |rest: &[u8]| [&magic[..], &[1], rest].concat();
    let giant = [&[b'r'][..], &u64::MAX.to_be_bytes()].concat();
    let liar = [&[b'h'][..], &4000u64.to_be_bytes(), b"short"].concat();
    let mut headless = file[..14].to_vec();
    headless.extend_from_slice(&[b'e', 0, 0, 0, 0, 0, 0, 0, 0]);
    let longer = [&file[..], b"x"].concat();
    for (file, expected) in [
        (b"".to_vec(), "this is no exported episode"),
        (
            b"\x7fELF and so on and on".to_vec(),
            "this is no exported episode",
        ),
        ([&magic[..], &[2]].concat(), "the file is of version 2"),
        (with(b""), "the file is damaged: it has no head"),
        (
            with(&giant),
            "the file is damaged: Record of 18446744073709551615 bytes is more than",
        ),
        (with(&liar), "the file is damaged: it breaks off"),
        (
            with(b"z\0\0\0\0\0\0\0\0"),
            "the file is damaged: there is no frame 0x7a",
        ),
        (headless, "the file is damaged: it has no head"),
        (longer, "the file is damaged: something follows its end"),
    ] {
        let error = Portable::read(&file[..]).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error:?} is not {expected:?}");
    }
}

#[test]
fn a_file_with_any_bit_flipped_or_any_end_missing_is_refused_or_the_same() {
    let (_, file) = exported(1, true);
    let whole = Portable::read(&file[..]).unwrap();
    let mut told = 0;
    for at in 0..file.len() {
        assert!(Portable::read(&file[..at]).is_err(), "{at} bytes of it");
        let mut flipped = file.clone();
        flipped[at] ^= 1 << (at % 8);
        match Portable::read(&flipped[..]) {
            Err(PortableError::Journal(error)) => {
                told += usize::from(error.to_string().contains("record "));
            }
            Err(_) => {}
            // Only what the head says of the host that wrote it.
            Ok(other) => assert_eq!(other.history(), whole.history(), "byte {at}"),
        }
    }
    assert!(told > 100, "{told} refusals name a record");
}
