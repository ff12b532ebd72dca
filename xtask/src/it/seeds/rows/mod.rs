//! The acceptance list: what the five tutorials type, and the troubles their authors met. A row's number is the list's;
//! its text says in short what a person who types it must meet.

mod s0;
mod s1;
mod s2;
mod s3;
mod s4;
mod troubles;

/// How much depends on a row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Weight {
    /// The tutorial breaks without it.
    P0,
    /// A user notices.
    P1,
    /// Nice to have.
    P2,
    /// A note, without anything to expect.
    Note,
}

impl Weight {
    pub fn name(self) -> &'static str {
        match self {
            Weight::P0 => "P0",
            Weight::P1 => "P1",
            Weight::P2 => "P2",
            Weight::Note => "-",
        }
    }
}

/// (number, weight, what is expected)
pub type Row = (&'static str, Weight, &'static str);

/// Every row, in the list's order.
pub fn all() -> impl Iterator<Item = &'static Row> {
    [s0::ROWS, s1::ROWS, s2::ROWS, s3::ROWS, s4::ROWS, troubles::ROWS].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_and_every_trouble_is_there_once() {
        let of = |prefix: &str| all().filter(|(id, ..)| id.starts_with(prefix)).count();
        assert_eq!(["S0-", "S1-", "S2-", "S3-", "S4-", "T-"].map(of), [34, 28, 11, 39, 17, 20]);
        let mut ids: Vec<&str> = all().map(|(id, ..)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 149);
    }
}
