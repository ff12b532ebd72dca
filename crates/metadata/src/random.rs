//! Randomness as an input.

use ottla_records::random::splitmix64;
use uuid::Uuid;

/// A source of random numbers, handed in by the caller so that a run can be repeated.
pub trait Random {
    /// The next 64 random bits.
    fn next_u64(&mut self) -> u64;

    /// A number in `0..bound`. `bound` must be above zero.
    fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "a random number below zero was asked for");
        // Multiply-shift; the bias of 2^-64 times the bound is far below what placement could notice.
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    /// A random (version 4) id that is none of the reserved ones and whose base64 text does not begin with a
    /// dash, so that it can follow a command line option (Kafka's `Uuid.randomUuid`).
    fn uuid(&mut self) -> Uuid {
        loop {
            let bits = (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64());
            let id = uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid();
            // The first base64 digit is the top six bits; 62 is '-' in the URL-safe alphabet.
            if id.as_bytes()[0] >> 2 != 62 {
                return id;
            }
        }
    }
}

/// Shuffles a list in place (Fisher and Yates).
pub fn shuffle<T>(list: &mut [T], random: &mut dyn Random) {
    for at in (1..list.len()).rev() {
        let other = random.below(at + 1);
        list.swap(at, other);
    }
}

/// A repeatable generator (SplitMix64). As random as its seed: a server seeds it from the system once.
#[derive(Debug, Clone)]
pub struct Seeded(pub u64);

impl Random for Seeded {
    fn next_u64(&mut self) -> u64 {
        splitmix64(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_4_and_never_begin_with_a_dash() {
        let mut random = Seeded(7);
        for _ in 0..2_000 {
            let id = random.uuid();
            assert_eq!(id.get_version_num(), 4);
            assert_ne!(id.as_bytes()[0] >> 2, 62);
        }
    }

    #[test]
    fn below_reaches_every_number_and_shuffle_loses_none() {
        let mut random = Seeded(1);
        let mut seen = [false; 7];
        (0..500).for_each(|_| seen[random.below(7)] = true);
        assert_eq!(seen, [true; 7]);
        let mut list: Vec<u32> = (0..50).collect();
        shuffle(&mut list, &mut random);
        assert_ne!(list, (0..50).collect::<Vec<_>>());
        list.sort_unstable();
        assert_eq!(list, (0..50).collect::<Vec<_>>());
    }
}
