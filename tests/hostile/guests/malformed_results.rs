//! Malformed results: every field of every type of a result, corrupted in the
//! guest's memory.

use super::wat_guest::{WatGuest, wat_guest};

/// The address of the result images, and their distance.
const IMAGES: usize = 16_384;
const STRIDE: usize = 64;

/// The address of the data that results point to.
const DATA: usize = 32_768;

/// The result of a call in its memory layout; valid until it is changed.
#[derive(Clone)]
pub(crate) struct ResultImage([u8; STRIDE]);

impl ResultImage {
    fn valid() -> Self {
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

    fn blocks(self, address: u32, count: u32) -> Self {
        self.word(8, address).word(12, count)
    }

    fn metadata(self, address: u32, length: u32) -> Self {
        self.byte(16, 1).word(20, address).word(24, length)
    }

    fn reward(mut self, reward: f64) -> Self {
        self.0[40..48].copy_from_slice(&reward.to_le_bytes());
        self.byte(32, 1)
    }

    /// Creates an error of this kind with this text.
    fn error(kind: u8, address: u32, length: u32) -> Self {
        Self([0; STRIDE])
            .byte(0, 1)
            .byte(8, kind)
            .word(12, address)
            .word(16, length)
    }
}

/// Returns a block in its memory layout.
fn block(kind: u8, words: [u32; 6]) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bytes.resize(32, 0);
    bytes
}

/// The expected outcome of a result.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum ResultKind {
    /// Not a value of the type: the session ends.
    NoValue,
    /// A value that is not a valid result: the call fails, the session continues.
    InvalidOutput,
    /// Accepted.
    Valid,
}

use ResultKind::{InvalidOutput, NoValue, Valid};

/// The data that results point to.
struct DataSegment {
    data: Vec<u8>,
}

impl DataSegment {
    /// Appends bytes at a multiple of eight; returns their address and length.
    fn add(&mut self, bytes: &[u8]) -> (u32, u32) {
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        let address = DATA + self.data.len();
        self.data.extend_from_slice(bytes);
        (address as u32, bytes.len() as u32)
    }
}

/// Returns every malformed result, and the guest that returns it by number.
pub(crate) fn malformed_results() -> (Vec<(String, ResultImage, ResultKind)>, WatGuest) {
    let mut bytes = DataSegment { data: Vec::new() };
    let mut rows: Vec<(String, ResultImage, ResultKind)> = vec![
        ("a valid result".into(), ResultImage::valid(), Valid),
        ("no blocks".into(), ResultImage::valid().blocks(0, 0), Valid),
    ];
    let mut row = |name: &str, image: ResultImage, fate| rows.push((name.into(), image, fate));
    for value in [2, 0x7f, 0xff] {
        row(
            "neither ok nor error",
            ResultImage::valid().byte(0, value),
            NoValue,
        );
        row(
            "an option that is neither some nor none",
            ResultImage::valid().byte(16, value),
            NoValue,
        );
        row(
            "a reward that is neither some nor none",
            ResultImage::valid().byte(32, value),
            NoValue,
        );
        row(
            "a bool that is not 0 or 1",
            ResultImage::valid().byte(48, value),
            Valid,
        );
    }
    let memory_end = 2 * 65_536;
    for (name, address, count) in [
        ("blocks out of bounds", 0xffff_ff00, 1),
        ("blocks partly out of bounds", memory_end - 8, 1),
        ("unaligned blocks", 3201, 1),
        ("four billion blocks", 0, u32::MAX),
        ("blocks whose size overflows", 8, 0x0800_0001),
        ("blocks from the end of memory", memory_end, 1),
        ("no blocks, out of bounds", 0xffff_fff0, 0),
    ] {
        row(name, ResultImage::valid().blocks(address, count), NoValue);
    }
    for (name, address, length) in [
        ("a text of two gibibytes", 0, i32::MAX as u32),
        ("a text of four gibibytes", 0, u32::MAX),
        ("a text that wraps around", 0xffff_fff0, 0x20),
        ("a text partly out of bounds", memory_end - 1, 2),
        ("an empty text out of bounds", 0xffff_fff0, 0),
    ] {
        row(
            name,
            ResultImage::valid().metadata(address, length),
            NoValue,
        );
        row(
            &format!("as an error: {name}"),
            ResultImage::error(3, address, length),
            NoValue,
        );
        let (at, _) = bytes.add(&block(0, [address, length, 0, 0, 0, 0]));
        row(
            &format!("in a block: {name}"),
            ResultImage::valid().blocks(at, 1),
            NoValue,
        );
        let (at, _) = bytes.add(&block(1, [address, length, 1024, 3, 0, 0]));
        row(
            &format!("as an image: {name}"),
            ResultImage::valid().blocks(at, 1),
            NoValue,
        );
    }
    for (name, text) in [
        ("an invalid UTF-8 start byte", &[0xff_u8][..]),
        ("a stray continuation byte", &[b'a', 0x80]),
        ("a truncated character", &[0xe2, 0x82]),
        ("an overlong NUL", &[0xc0, 0x80]),
        ("an overlong slash", &[0xe0, 0x80, 0xaf]),
        ("a lone surrogate", &[0xed, 0xa0, 0x80]),
        (
            "an encoded surrogate pair",
            &[0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80],
        ),
        ("a character above U+10FFFF", &[0xf4, 0x90, 0x80, 0x80]),
        ("a five-byte sequence", &[0xf8, 0x88, 0x80, 0x80, 0x80]),
    ] {
        let (address, length) = bytes.add(text);
        row(
            name,
            ResultImage::valid().metadata(address, length),
            NoValue,
        );
        let (at, _) = bytes.add(&block(0, [address, length, 0, 0, 0, 0]));
        row(
            &format!("in a block: {name}"),
            ResultImage::valid().blocks(at, 1),
            NoValue,
        );
        row(
            &format!("as an error: {name}"),
            ResultImage::error(3, address, length),
            NoValue,
        );
    }
    for kind in [2, 0xff] {
        let (at, _) = bytes.add(&block(kind, [1024, 3, 0, 0, 0, 0]));
        row(
            "a block that is neither text nor image",
            ResultImage::valid().blocks(at, 1),
            NoValue,
        );
    }
    for kind in [4, 0xff] {
        row(
            "an unknown error kind",
            ResultImage::error(kind, 1024, 3),
            NoValue,
        );
    }
    let (at, _) = bytes.add(&block(0, [1024, 3, 2, 0, 0, 0]));
    row(
        "a detail that is neither some nor none",
        ResultImage::valid().blocks(at, 1),
        NoValue,
    );
    let (at, _) = bytes.add(&block(0, [1024, 3, 1, 1024, 3, 0]));
    row(
        "a detail that is not JSON",
        ResultImage::valid().blocks(at, 1),
        InvalidOutput,
    );
    for (name, text) in [
        ("metadata that is not JSON", "act"),
        ("metadata that is empty", ""),
        ("metadata that is a list", "[]"),
        ("metadata that is null", "null"),
        ("metadata of two objects", "{}{}"),
        ("truncated metadata", "{\"a\":"),
        ("metadata with a comment", "{/**/}"),
        ("metadata with a lone surrogate", "{\"a\":\"\\ud800\"}"),
        ("metadata with NaN", "{\"a\":NaN}"),
    ] {
        let (address, length) = bytes.add(text.as_bytes());
        row(
            name,
            ResultImage::valid().metadata(address, length),
            InvalidOutput,
        );
    }
    for (name, reward) in [
        ("a NaN reward", f64::NAN),
        (
            "a NaN reward with a payload",
            f64::from_bits(0x7ff4_dead_beef_0001),
        ),
        ("a reward of infinity", f64::INFINITY),
        ("a reward of minus infinity", f64::NEG_INFINITY),
    ] {
        row(name, ResultImage::valid().reward(reward), InvalidOutput);
    }
    let (address, length) = bytes.add(&block(0, [1024, 3, 0, 0, 0, 0]).repeat(400));
    row(
        "a few hundred blocks",
        ResultImage::valid().blocks(address, length / 32),
        Valid,
    );

    let text =
        |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("\\{byte:02x}")).collect() };
    let images: Vec<u8> = rows.iter().flat_map(|(_, image, _)| image.0).collect();
    assert!(IMAGES + images.len() <= DATA, "too many images");
    assert!(DATA + bytes.data.len() <= 65_536, "too many bytes");
    let made = wat_guest("malformed")
        .with(
            "data",
            format!("(data (i32.const {IMAGES}) \"{}\")", text(&images)),
        )
        .with(
            "data",
            format!("(data (i32.const {DATA}) \"{}\")", text(&bytes.data)),
        )
        .act(format!(
            "(return (i32.add (i32.const {IMAGES})
               (i32.mul (local.get $n) (i32.const {STRIDE}))))"
        ));
    (rows, made)
}
