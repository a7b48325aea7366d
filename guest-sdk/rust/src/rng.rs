//! A random number generator with a stable sequence.
//!
//! An episode can be replayed only if its random numbers depend on its seed
//! alone: not on the machine, the build or the version of a crate. The
//! general-purpose crates may change their sampling in any release. So this
//! generator is small, documented and pinned by tests. It is not
//! cryptographically secure.

use std::ops::Range;

/// xoshiro256++, its state filled from the seed by SplitMix64.
///
/// Take the session's generator from
/// [`SessionParams::rng`](crate::SessionParams::rng), or create one
/// [from a seed](Rng::from_seed), such as that of a task. The sequence of a seed
/// and the results of every method are part of the stable API.
///
/// ```
/// use orwd_sdk::Rng;
///
/// let mut rng = Rng::from_seed(7);
/// let mut cards: Vec<u32> = (0..5).collect();
/// rng.shuffle(&mut cards);
/// assert_eq!(cards, [1, 3, 2, 4, 0]);
/// assert_eq!(rng.range(1..7), 6);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// Creates a generator from a seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut next = seed;
        let mut split_mix = || {
            next = next.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = next;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        Self {
            state: [split_mix(), split_mix(), split_mix(), split_mix()],
        }
    }

    /// Returns 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        let (b_next, a_next) = (b ^ c, a ^ d);
        self.state = [a_next, b_next, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// Returns a uniformly distributed integer below `bound`, or 0 if `bound` is
    /// 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // The high half of the product is uniform, except for the lowest few
        // values of the low half; those are rejected.
        let uneven = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            let (high, low) = ((product >> 64) as u64, product as u64);
            if low >= uneven {
                return high;
            }
        }
    }

    /// Returns a uniformly distributed integer of the range, or the start of an
    /// empty range.
    pub fn range(&mut self, range: Range<i64>) -> i64 {
        let width = if range.is_empty() {
            0
        } else {
            range.end.wrapping_sub(range.start) as u64
        };
        range.start.wrapping_add(self.below(width) as i64)
    }

    /// Returns a random index below `len`, or 0 if `len` is 0.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Returns a number in [0, 1) from 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns true with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Returns a random item, or `None` if there are no items.
    pub fn choose<'i, T>(&mut self, items: &'i [T]) -> Option<&'i T> {
        items.get(self.index(items.len()))
    }

    /// Shuffles the items.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    fn drawn<T>(seed: u64, mut draw: impl FnMut(&mut Rng) -> T) -> Vec<T> {
        let mut rng = Rng::from_seed(seed);
        (0..4).map(|_| draw(&mut rng)).collect()
    }

    /// xoshiro256++ after the published definition, step by step.
    #[test]
    fn numbers_are_those_of_the_definition() {
        let mut rng = Rng {
            state: [1, 2, 3, 4],
        };
        let numbers: Vec<u64> = (0..4).map(|_| rng.next_u64()).collect();
        assert_eq!(
            numbers,
            [41943041, 58720359, 3588806011781223, 3591011842654386]
        );
    }

    #[test]
    fn a_seed_gives_the_same_for_ever() {
        assert_eq!(
            drawn(0, Rng::next_u64),
            [
                5987356902031041503,
                7051070477665621255,
                6633766593972829180,
                211316841551650330
            ]
        );
        assert_eq!(drawn(42, |rng| rng.range(-3..4)), [2, -1, 3, 1]);
        assert_eq!(drawn(42, |rng| rng.below(1000)), [814, 318, 983, 701]);
    }

    #[test]
    fn draws_stay_in_their_range_and_reach_its_ends() {
        let mut rng = Rng::from_seed(1);
        let dice: Vec<i64> = (0..1000).map(|_| rng.range(1..7)).collect();
        assert_eq!((dice.iter().min(), dice.iter().max()), (Some(&1), Some(&6)));
        let all = rng.range(i64::MIN..i64::MAX);
        assert!(all < i64::MAX);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&rng.unit())));
    }

    #[test]
    fn nothing_to_draw_from_is_no_panic() {
        let mut rng = Rng::from_seed(1);
        assert_eq!(rng.below(0), 0);
        let (five, four) = (5, 4);
        assert_eq!(rng.range(five..four), 5);
        assert_eq!(rng.choose::<u8>(&[]), None);
        rng.shuffle::<u8>(&mut []);
    }

    #[test]
    fn chance_is_never_at_zero_and_always_at_one() {
        let mut rng = Rng::from_seed(3);
        assert!((0..100).all(|_| !rng.chance(0.0)));
        assert!((0..100).all(|_| rng.chance(1.0)));
    }
}
