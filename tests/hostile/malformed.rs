//! Results that are none: every field of every type of a result, made wrong by
//! hand in the guest's memory.

use crate::guests::{Guest, guest};

/// Where the images of results lie, and how far apart.
const IMAGES: usize = 16_384;
const STRIDE: usize = 64;

/// Where bytes for results to point to lie.
const BYTES: usize = 32_768;

/// The result of a call as it lies in memory; good, until it is changed.
#[derive(Clone)]
pub struct Image([u8; STRIDE]);

impl Image {
    fn good() -> Self {
        Self([0; STRIDE]).blocks(3200, 1)
    }

    fn byte(mut self, at: usize, byte: u8) -> Self {
        self.0[at] = byte;
        self
    }

    fn word(mut self, at: usize, word: u32) -> Self {
        self.0[at..at + 4].copy_from_slice(&word.to_le_bytes());
        self
    }

    fn blocks(self, place: u32, count: u32) -> Self {
        self.word(8, place).word(12, count)
    }

    fn metadata(self, place: u32, length: u32) -> Self {
        self.byte(16, 1).word(20, place).word(24, length)
    }

    fn reward(mut self, reward: f64) -> Self {
        self.0[40..48].copy_from_slice(&reward.to_le_bytes());
        self.byte(32, 1)
    }

    /// An error of this kind with this text.
    fn error(kind: u8, place: u32, length: u32) -> Self {
        Self([0; STRIDE])
            .byte(0, 1)
            .byte(8, kind)
            .word(12, place)
            .word(16, length)
    }
}

/// A block as it lies in memory.
fn block(kind: u8, words: [u32; 6]) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bytes.resize(32, 0);
    bytes
}

/// What comes of a result.
#[derive(Clone, Copy, PartialEq)]
pub enum Fate {
    /// No value at all: the session is over.
    NoValue,
    /// A value that is no answer: the call is told, and the session goes on.
    Unfit,
    /// There is nothing wrong with it.
    Fine,
}

use Fate::{Fine, NoValue, Unfit};

/// Bytes that results point to, with their places.
struct Bytes {
    data: Vec<u8>,
}

impl Bytes {
    /// Adds bytes, at a multiple of eight.
    fn add(&mut self, bytes: &[u8]) -> (u32, u32) {
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        let place = BYTES + self.data.len();
        self.data.extend_from_slice(bytes);
        (place as u32, bytes.len() as u32)
    }
}

/// Every malformed result, and the guest that gives it for its number.
pub fn malformed() -> (Vec<(String, Image, Fate)>, Guest) {
    let mut bytes = Bytes { data: Vec::new() };
    let mut rows: Vec<(String, Image, Fate)> = vec![
        ("a good result".into(), Image::good(), Fine),
        ("no blocks".into(), Image::good().blocks(0, 0), Fine),
    ];
    let mut row = |name: &str, image: Image, fate| rows.push((name.into(), image, fate));
    for value in [2, 0x7f, 0xff] {
        row(
            "neither result nor error",
            Image::good().byte(0, value),
            NoValue,
        );
        row(
            "neither some nor none",
            Image::good().byte(16, value),
            NoValue,
        );
        row(
            "a reward neither some nor none",
            Image::good().byte(32, value),
            NoValue,
        );
        row(
            "finished, more than once",
            Image::good().byte(48, value),
            Fine,
        );
    }
    let end = 2 * 65_536;
    for (name, place, count) in [
        ("blocks beyond the memory", 0xffff_ff00, 1),
        ("blocks half beyond the memory", end - 8, 1),
        ("blocks at no multiple of four", 3201, 1),
        ("blocks without number", 0, u32::MAX),
        ("blocks whose size overflows", 8, 0x0800_0001),
        ("blocks from the end of memory on", end, 1),
        ("no blocks, beyond the memory", 0xffff_fff0, 0),
    ] {
        row(name, Image::good().blocks(place, count), NoValue);
    }
    for (name, place, length) in [
        ("a text of two gibibytes", 0, i32::MAX as u32),
        ("a text of four gibibytes", 0, u32::MAX),
        ("a text that wraps around", 0xffff_fff0, 0x20),
        ("a text half beyond the memory", end - 1, 2),
        ("an empty text beyond the memory", 0xffff_fff0, 0),
    ] {
        row(name, Image::good().metadata(place, length), NoValue);
        row(
            &format!("as an error: {name}"),
            Image::error(3, place, length),
            NoValue,
        );
        let (at, _) = bytes.add(&block(0, [place, length, 0, 0, 0, 0]));
        row(
            &format!("in a block: {name}"),
            Image::good().blocks(at, 1),
            NoValue,
        );
        let (at, _) = bytes.add(&block(1, [place, length, 1024, 3, 0, 0]));
        row(
            &format!("as a picture: {name}"),
            Image::good().blocks(at, 1),
            NoValue,
        );
    }
    for (name, text) in [
        ("a byte that begins nothing", &[0xff_u8][..]),
        ("a byte that goes on with nothing", &[b'a', 0x80]),
        ("a character that is cut", &[0xe2, 0x82]),
        ("two bytes for a NUL", &[0xc0, 0x80]),
        ("three bytes for a slash", &[0xe0, 0x80, 0xaf]),
        ("half of a surrogate pair", &[0xed, 0xa0, 0x80]),
        (
            "both halves of a pair",
            &[0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80],
        ),
        ("a character beyond the last", &[0xf4, 0x90, 0x80, 0x80]),
        ("five bytes for one", &[0xf8, 0x88, 0x80, 0x80, 0x80]),
    ] {
        let (place, length) = bytes.add(text);
        row(name, Image::good().metadata(place, length), NoValue);
        let (at, _) = bytes.add(&block(0, [place, length, 0, 0, 0, 0]));
        row(
            &format!("in a block: {name}"),
            Image::good().blocks(at, 1),
            NoValue,
        );
        row(
            &format!("as an error: {name}"),
            Image::error(3, place, length),
            NoValue,
        );
    }
    for kind in [2, 0xff] {
        let (at, _) = bytes.add(&block(kind, [1024, 3, 0, 0, 0, 0]));
        row(
            "neither text nor picture",
            Image::good().blocks(at, 1),
            NoValue,
        );
    }
    for kind in [4, 0xff] {
        row("no kind of error", Image::error(kind, 1024, 3), NoValue);
    }
    let (at, _) = bytes.add(&block(0, [1024, 3, 2, 0, 0, 0]));
    row(
        "a detail neither some nor none",
        Image::good().blocks(at, 1),
        NoValue,
    );
    let (at, _) = bytes.add(&block(0, [1024, 3, 1, 1024, 3, 0]));
    row(
        "a detail that is no JSON",
        Image::good().blocks(at, 1),
        Unfit,
    );
    for (name, text) in [
        ("metadata that is no JSON", "act"),
        ("metadata that is empty", ""),
        ("metadata that is a list", "[]"),
        ("metadata that is null", "null"),
        ("metadata that is two objects", "{}{}"),
        ("metadata that does not end", "{\"a\":"),
        ("metadata with a comment", "{/**/}"),
        ("metadata with half of a pair", "{\"a\":\"\\ud800\"}"),
        ("metadata with NaN", "{\"a\":NaN}"),
    ] {
        let (place, length) = bytes.add(text.as_bytes());
        row(name, Image::good().metadata(place, length), Unfit);
    }
    for (name, reward) in [
        ("a reward that is not a number", f64::NAN),
        ("one with a payload", f64::from_bits(0x7ff4_dead_beef_0001)),
        ("an infinite reward", f64::INFINITY),
        ("one without end below", f64::NEG_INFINITY),
    ] {
        row(name, Image::good().reward(reward), Unfit);
    }
    let (place, length) = bytes.add(&block(0, [1024, 3, 0, 0, 0, 0]).repeat(400));
    row(
        "a few hundred blocks",
        Image::good().blocks(place, length / 32),
        Fine,
    );

    let text =
        |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("\\{byte:02x}")).collect() };
    let images: Vec<u8> = rows.iter().flat_map(|(_, image, _)| image.0).collect();
    assert!(IMAGES + images.len() <= BYTES, "too many images");
    assert!(BYTES + bytes.data.len() <= 65_536, "too many bytes");
    let made = guest("malformed")
        .with(
            "data",
            format!("(data (i32.const {IMAGES}) \"{}\")", text(&images)),
        )
        .with(
            "data",
            format!("(data (i32.const {BYTES}) \"{}\")", text(&bytes.data)),
        )
        .act(format!(
            "(return (i32.add (i32.const {IMAGES})
               (i32.mul (local.get $n) (i32.const {STRIDE}))))"
        ));
    (rows, made)
}
