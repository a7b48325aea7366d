//! Numbers from a seed: SplitMix64.
//!
//! A task with a seed is a promise of the same board in every version of this
//! environment, so the generator is a named algorithm that is written out
//! here, and a test holds it to its published output. It is neither secret
//! nor meant to be.

/// A generator that yields the same numbers for the same seed, everywhere.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound; 0 for a bound of 0.
    ///
    /// The high half of a product: even to one part in 2^64 / bound, which no
    /// player of a board will ever notice.
    fn below(&mut self, bound: usize) -> usize {
        let product = u128::from(self.next()) * bound as u128;
        (product >> 64) as usize
    }

    /// Brings the first `count` of the items into a random order, drawn from
    /// all of them.
    pub(crate) fn draw<T>(&mut self, items: &mut [T], count: usize) {
        for place in 0..count.min(items.len()) {
            let from = place + self.below(items.len() - place);
            items.swap(place, from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_algorithm() {
        let mut rng = Rng::from_seed(1_234_567);
        let drawn: Vec<u64> = (0..5).map(|_| rng.next()).collect();
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
    }

    #[test]
    fn a_draw_takes_each_item_as_often_as_any_other() {
        let mut rng = Rng::from_seed(1);
        let mut taken = [0_u32; 10];
        for _ in 0..10_000 {
            let mut items: Vec<usize> = (0..10).collect();
            rng.draw(&mut items, 3);
            for item in &items[..3] {
                taken[*item] += 1;
            }
        }
        assert!(
            taken.iter().all(|n| (2_800..3_200).contains(n)),
            "{taken:?}"
        );
    }

    #[test]
    fn a_draw_of_more_than_there_is_shuffles_all() {
        let mut items = vec![1, 2, 3];
        Rng::from_seed(0).draw(&mut items, 9);
        items.sort_unstable();
        assert_eq!(items, [1, 2, 3]);
    }
}
