//! The randomness of a session: `wasi:random`, made of the session's seed.
//!
//! Each interface reads a stream of bytes of its own, one byte after another:
//! BLAKE3's extended output, keyed with the interface's name and the seed. The
//! function is specified to the byte, so a seed gives the same numbers on every
//! machine and with every version of the crates; a test pins them. It is also
//! a good generator, but what it gives is known to whoever knows the seed: a
//! guest has no secrets from its host, and makes no keys.

use blake3::{Hasher, OutputReader};
use wasmtime::Result;
use wasmtime::component::HasData;
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use orwd_model::Seed;

/// Bytes of randomness that a guest may ask for at once; more is a trap.
const AT_ONCE: u64 = 64 * 1024;

/// The streams of one session.
#[derive(Clone, Debug)]
pub struct Chance {
    seed: Seed,
    secure: OutputReader,
    insecure: OutputReader,
}

/// Marks [`Chance`] as what the interfaces work on.
pub(super) struct HasChance;

impl HasData for HasChance {
    type Data<'a> = &'a mut Chance;
}

/// A guest asked for more random bytes at once than it may.
#[derive(Debug, thiserror::Error)]
#[error("{0} random bytes asked for at once, and {AT_ONCE} may be")]
pub struct TooMuchChance(u64);

/// The stream of a seed under a name. The names are for ever.
fn stream(name: &str, seed: Seed) -> OutputReader {
    let mut hasher = Hasher::new_derive_key(name);
    hasher.update(&seed.get().to_le_bytes()).finalize_xof()
}

fn bytes(stream: &mut OutputReader, count: u64) -> Result<Vec<u8>> {
    if count > AT_ONCE {
        return Err(TooMuchChance(count).into());
    }
    // At most `AT_ONCE`.
    let mut bytes = vec![0; count as usize];
    stream.fill(&mut bytes);
    Ok(bytes)
}

fn number(stream: &mut OutputReader) -> u64 {
    let mut bytes = [0; 8];
    stream.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

impl Chance {
    pub fn new(seed: Seed) -> Chance {
        Chance {
            seed,
            secure: stream("orwd session randomness 1: wasi:random/random", seed),
            insecure: stream("orwd session randomness 1: wasi:random/insecure", seed),
        }
    }

    /// Begins all streams anew.
    pub fn restart(&mut self) {
        *self = Chance::new(self.seed);
    }
}

impl random::Host for Chance {
    fn get_random_bytes(&mut self, count: u64) -> Result<Vec<u8>> {
        bytes(&mut self.secure, count)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        Ok(number(&mut self.secure))
    }
}

impl insecure::Host for Chance {
    fn get_insecure_random_bytes(&mut self, count: u64) -> Result<Vec<u8>> {
        bytes(&mut self.insecure, count)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        Ok(number(&mut self.insecure))
    }
}

impl insecure_seed::Host for Chance {
    /// The same two numbers whenever it is asked, as the interface has it.
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
        let mut chance = Chance::new(Seed::new(seed));
        let (one, two) = chance.insecure_seed().unwrap();
        assert_eq!(chance.insecure_seed().unwrap(), (one, two));
        [
            chance.get_random_u64().unwrap(),
            chance.get_random_u64().unwrap(),
            chance.get_insecure_random_u64().unwrap(),
            chance.get_insecure_random_u64().unwrap(),
            one,
            two,
        ]
    }

    /// These numbers stand in journals. They never change.
    #[test]
    fn a_seed_gives_the_same_for_ever() {
        for (seed, expected) in GOLDEN {
            assert_eq!(drawn(seed), expected, "{seed}");
        }
    }

    /// By another implementation of BLAKE3.
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
    fn bytes_and_numbers_are_read_off_one_stream() {
        let mut by_bytes = Chance::new(Seed::new(9));
        let mut bytes = by_bytes.get_random_bytes(3).unwrap();
        bytes.extend(by_bytes.get_random_bytes(0).unwrap());
        bytes.extend(by_bytes.get_random_bytes(13).unwrap());
        let mut by_numbers = Chance::new(Seed::new(9));
        let mut numbers = by_numbers.get_random_u64().unwrap().to_le_bytes().to_vec();
        numbers.extend(by_numbers.get_random_u64().unwrap().to_le_bytes());
        assert_eq!(bytes, numbers);
        // The streams do not disturb each other, and can begin anew.
        let next = by_numbers.clone().get_random_u64().unwrap();
        by_numbers.get_insecure_random_bytes(100).unwrap();
        assert_eq!(by_numbers.get_random_u64().unwrap(), next);
        by_numbers.restart();
        assert_eq!(by_numbers.get_random_bytes(16).unwrap(), bytes);
    }

    #[test]
    fn nobody_gets_too_much_at_once() {
        let mut chance = Chance::new(Seed::new(0));
        assert_eq!(chance.get_random_bytes(AT_ONCE).unwrap().len(), 65536);
        assert!(chance.get_random_bytes(AT_ONCE + 1).is_err());
        assert!(chance.get_insecure_random_bytes(u64::MAX).is_err());
    }
}
