//! The random numbers of a session (`wasi:random`), derived from its seed.
//!
//! Each interface reads its own byte stream in order: BLAKE3's extended output,
//! keyed with the interface's name and the seed. BLAKE3 is specified to the
//! byte, so a seed gives the same numbers on every machine and with every
//! version of the crates; a test pins them. The stream is a good generator, but
//! anyone who knows the seed knows its output. That is acceptable: a guest has
//! no secrets from its host, and creates no keys.

use blake3::{Hasher, OutputReader};
use wasmtime::Result;
use wasmtime::component::HasData;
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use orwd_model::Seed;

/// Random bytes that a guest may request at once; more is a trap.
const MAX_REQUEST: u64 = 64 * 1024;

/// The random streams of one session.
#[derive(Clone, Debug)]
pub struct RandomStreams {
    seed: Seed,
    secure: OutputReader,
    insecure: OutputReader,
}

/// Gives the `wasi:random` interfaces access to [`RandomStreams`].
pub(crate) struct HasRandom;

impl HasData for HasRandom {
    type Data<'a> = &'a mut RandomStreams;
}

/// A guest requested more random bytes at once than allowed.
#[derive(Debug, thiserror::Error)]
#[error("{0} random bytes requested at once; the limit is {MAX_REQUEST}")]
pub struct RandomRequestTooLarge(u64);

/// Returns the stream of a seed under a name. The names must never change.
fn stream(name: &str, seed: Seed) -> OutputReader {
    let mut hasher = Hasher::new_derive_key(name);
    hasher.update(&seed.get().to_le_bytes()).finalize_xof()
}

fn bytes(stream: &mut OutputReader, count: u64) -> Result<Vec<u8>> {
    if count > MAX_REQUEST {
        return Err(RandomRequestTooLarge(count).into());
    }
    // At most `MAX_REQUEST`.
    let mut bytes = vec![0; count as usize];
    stream.fill(&mut bytes);
    Ok(bytes)
}

fn number(stream: &mut OutputReader) -> u64 {
    let mut bytes = [0; 8];
    stream.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

impl RandomStreams {
    pub fn new(seed: Seed) -> RandomStreams {
        RandomStreams {
            seed,
            secure: stream("orwd session randomness 1: wasi:random/random", seed),
            insecure: stream("orwd session randomness 1: wasi:random/insecure", seed),
        }
    }

    /// Restarts all streams.
    pub fn restart(&mut self) {
        *self = RandomStreams::new(self.seed);
    }
}

impl random::Host for RandomStreams {
    fn get_random_bytes(&mut self, count: u64) -> Result<Vec<u8>> {
        bytes(&mut self.secure, count)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        Ok(number(&mut self.secure))
    }
}

impl insecure::Host for RandomStreams {
    fn get_insecure_random_bytes(&mut self, count: u64) -> Result<Vec<u8>> {
        bytes(&mut self.insecure, count)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        Ok(number(&mut self.insecure))
    }
}

impl insecure_seed::Host for RandomStreams {
    /// Returns the same two numbers on every call, as the interface requires.
    fn insecure_seed(&mut self) -> Result<(u64, u64)> {
        let mut seed = stream(
            "orwd session randomness 1: wasi:random/insecure-seed",
            self.seed,
        );
        Ok((number(&mut seed), number(&mut seed)))
    }
}

#[cfg(test)]
mod tests {
    use super::insecure::Host as _;
    use super::insecure_seed::Host as _;
    use super::random::Host as _;
    use super::*;

    fn drawn(seed: u64) -> [u64; 6] {
        let mut random = RandomStreams::new(Seed::new(seed));
        let (one, two) = random.insecure_seed().unwrap();
        assert_eq!(random.insecure_seed().unwrap(), (one, two));
        [
            random.get_random_u64().unwrap(),
            random.get_random_u64().unwrap(),
            random.get_insecure_random_u64().unwrap(),
            random.get_insecure_random_u64().unwrap(),
            one,
            two,
        ]
    }

    /// Journals depend on these numbers. They must never change.
    #[test]
    fn a_seed_gives_the_same_numbers_forever() {
        for (seed, expected) in GOLDEN {
            assert_eq!(drawn(seed), expected, "{seed}");
        }
    }

    /// Computed by another implementation of BLAKE3.
    const GOLDEN: [(u64, [u64; 6]); 3] = [
        (
            0,
            [
                5527865453210674734,
                17720136300628501576,
                18006059816087226993,
                13207176696335226583,
                3975369584807373970,
                16597926565230729104,
            ],
        ),
        (
            42,
            [
                15246519367086315761,
                337819766290165312,
                11316786821439235508,
                2419420311679345914,
                3827481818142616327,
                4017127556767596909,
            ],
        ),
        (
            u64::MAX,
            [
                5859174650558886498,
                1179433948897780149,
                10318952320028067274,
                16516319761235364040,
                860547555158011253,
                10673315855850196411,
            ],
        ),
    ];

    #[test]
    fn bytes_and_numbers_share_one_stream() {
        let mut by_bytes = RandomStreams::new(Seed::new(9));
        let mut bytes = by_bytes.get_random_bytes(3).unwrap();
        bytes.extend(by_bytes.get_random_bytes(0).unwrap());
        bytes.extend(by_bytes.get_random_bytes(13).unwrap());
        let mut by_numbers = RandomStreams::new(Seed::new(9));
        let mut numbers = by_numbers.get_random_u64().unwrap().to_le_bytes().to_vec();
        numbers.extend(by_numbers.get_random_u64().unwrap().to_le_bytes());
        assert_eq!(bytes, numbers);
        // The streams are independent, and can be restarted.
        let next = by_numbers.clone().get_random_u64().unwrap();
        by_numbers.get_insecure_random_bytes(100).unwrap();
        assert_eq!(by_numbers.get_random_u64().unwrap(), next);
        by_numbers.restart();
        assert_eq!(by_numbers.get_random_bytes(16).unwrap(), bytes);
    }

    #[test]
    fn a_too_large_request_is_refused() {
        let mut random = RandomStreams::new(Seed::new(0));
        assert_eq!(random.get_random_bytes(MAX_REQUEST).unwrap().len(), 65536);
        assert!(random.get_random_bytes(MAX_REQUEST + 1).is_err());
        assert!(random.get_insecure_random_bytes(u64::MAX).is_err());
    }
}
