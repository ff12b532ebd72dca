//! Repeatable randomness: the caller gives a seed, the machine draws from it.

/// SplitMix64. Used only to spread election timeouts and to pick a bootstrap server; nothing secret.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 when the bound is not positive.
    pub(crate) fn below(&mut self, bound: i64) -> i64 {
        if bound <= 0 { 0 } else { (self.next() % bound as u64) as i64 }
    }
}
