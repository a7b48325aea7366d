//! Secrets on their way to the disk and back.

use zeroize::Zeroizing;

use crate::journal::{EpisodeId, Journal, SealKey, SealedSecrets};
use crate::model::{Secret, Secrets};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn secrets() -> Secrets {
    let secret =
        |name: &str, value: &str| Secret::new(name.to_owned(), Zeroizing::new(value.to_owned()));
    Secrets::new(vec![secret("TOKEN", "hunter2"), secret("EMPTY", "")])
}

fn pairs(secrets: Secrets) -> Vec<(String, String)> {
    let all = secrets.iter();
    all.map(|secret| (secret.name.clone(), secret.expose().to_owned()))
        .collect()
}

fn journal(key: Option<&str>) -> Journal {
    Journal::in_memory(key.map(|key| SealKey::parse(key).unwrap())).unwrap()
}

fn sealed(journal: &Journal, episode: EpisodeId) -> Vec<u8> {
    match journal.seal(&secrets(), episode).unwrap() {
        SealedSecrets::Sealed(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_sealed_opens_with_the_key_and_shows_nothing_without() {
    let (journal, id) = (journal(Some(KEY)), EpisodeId::new());
    let bytes = sealed(&journal, id);
    let shows = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(!shows(b"hunter2") && !shows(b"TOKEN"));
    assert_ne!(sealed(&journal, id), bytes, "a nonce was used twice");
    let opened = journal.unseal(&SealedSecrets::Sealed(bytes), id).unwrap();
    assert_eq!(pairs(opened), pairs(secrets()));
    let none = journal.seal(&Secrets::default(), id).unwrap();
    assert_eq!(none, SealedSecrets::None);
    assert!(journal.unseal(&none, id).unwrap().is_empty());
}

#[test]
fn without_a_key_secrets_are_withheld() {
    let (journal, id) = (journal(None), EpisodeId::new());
    let withheld = journal.seal(&secrets(), id).unwrap();
    assert_eq!(withheld, SealedSecrets::Withheld);
    let error = journal.unseal(&withheld, id).unwrap_err().to_string();
    assert!(error.contains("there was no key"), "{error}");
}

#[test]
fn what_cannot_be_opened_says_why() {
    let id = EpisodeId::new();
    let bytes = sealed(&journal(Some(KEY)), id);
    let open = |key: Option<&str>, bytes: &[u8], id| {
        let sealed = SealedSecrets::Sealed(bytes.to_vec());
        journal(key).unseal(&sealed, id).unwrap_err().to_string()
    };
    assert!(open(Some(OTHER), &bytes, id).contains("another key"));
    assert!(open(None, &bytes, id).contains("no key to open them"));
    let elsewhere = open(Some(KEY), &bytes, EpisodeId::new());
    assert!(elsewhere.contains("damaged"), "{elsewhere}");
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        open(Some(KEY), &flipped, id);
        open(Some(KEY), &bytes[..at], id);
    }
}

#[test]
fn keys() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, format!(" {KEY}\n")).unwrap();
    let key = SealKey::read(&path).unwrap();
    assert_eq!(format!("{key:?}"), "SealKey(…)");
    for text in [
        "",
        "00",
        &KEY[1..],
        &format!("{KEY}0"),
        &KEY.replace('0', "+"),
        &"é".repeat(32),
    ] {
        let error = SealKey::parse(text).unwrap_err().to_string();
        assert!(error.contains("64 hexadecimal digits"), "{error}");
    }
    let missing = SealKey::read(&dir.path().join("none")).unwrap_err();
    assert!(missing.to_string().contains("none"), "{missing}");
}
