//! Numbers that a seed decides: what draws from them can be repeated.
//!
//! Histories that tests and simulations are known by depend on the sequence: it must stay what it is.

/// SplitMix64: the next 64 bits after `state`, which moves on. Nothing secret.
#[inline]
pub fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A generator: the seed it is made of decides what is drawn. Numbers below a bound are remainders, whose bias nobody who
/// draws here could notice.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator for a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        splitmix64(&mut self.0)
    }

    /// A number in `0..bound`; 0, without a draw, when the bound is not positive.
    pub fn below(&mut self, bound: i64) -> i64 {
        if bound <= 0 { 0 } else { (self.bits() % bound as u64) as i64 }
    }

    /// An index into something of this length; 0 for nothing.
    pub fn index(&mut self, len: usize) -> usize {
        (self.bits() % len.max(1) as u64) as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: i64) -> bool {
        self.below(n) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_of_a_seed_is_splitmix64s() {
        // The first numbers of the reference implementation for the seed 1234567.
        let mut random = Random::new(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn numbers_are_remainders_of_the_sequence() {
        let (mut random, mut bits) = (Random::new(9), Random::new(9));
        assert_eq!(random.below(1_000), (bits.bits() % 1_000) as i64);
        assert_eq!((random.below(0), random.below(-5)), (0, 0));
        assert_eq!(random.index(7), (bits.bits() % 7) as usize, "no bound, no draw");
        assert_eq!(random.index(0), 0);
        bits.bits();
        assert_eq!(random.one_in(2), bits.bits() % 2 == 0);
    }
}
