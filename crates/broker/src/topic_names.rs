//! Which topic names are legal, and which belong to the cluster itself (Kafka's `Topic`).

/// The offsets of consumer groups.
pub(crate) const OFFSETS: &str = "__consumer_offsets";
/// The state of transactions.
pub(crate) const TRANSACTIONS: &str = "__transaction_state";
/// The state of share groups.
pub(crate) const SHARE: &str = "__share_group_state";

const MAX_BYTES: usize = 249;

/// Whether clients see the topic as internal.
pub(crate) fn is_internal(name: &str) -> bool {
    [OFFSETS, TRANSACTIONS, SHARE].contains(&name)
}

/// `Err` says why the name is illegal, in Kafka's words.
pub(crate) fn check(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("Topic name is invalid: the empty string is not allowed".into());
    }
    if name == "." || name == ".." {
        return Err("Topic name is invalid: '.' or '..' is not allowed".into());
    }
    if name.len() > MAX_BYTES {
        return Err(format!(
            "Topic name is invalid: the length of '{name}' is longer than the max allowed length {MAX_BYTES}"
        ));
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        return Err(format!(
            "Topic name is invalid: '{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert!(check("a.B_c-9").is_ok() && check(&"a".repeat(249)).is_ok());
        for bad in ["", ".", "..", "a/b", "토픽명", &"a".repeat(250)] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(is_internal(OFFSETS) && !is_internal("__cluster_metadata"));
    }
}
