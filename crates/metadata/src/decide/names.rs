//! Rules for topic names.

/// Longest allowed name, in UTF-16 units as Java counts.
const MAX_LENGTH: usize = 249;

/// Why a topic cannot have this name, in Kafka's wording.
pub fn validate_topic_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let reason = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if name == "." || name == ".." {
        format!("'{name}' is not allowed")
    } else if name.encode_utf16().count() > MAX_LENGTH {
        format!("the length of '{name}' is longer than the max allowed length {MAX_LENGTH}")
    } else if !name.chars().all(allowed) {
        format!("'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
    } else {
        return Ok(());
    };
    Err(format!("Topic name is invalid: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::validate_topic_name;

    #[test]
    fn names_are_refused_in_kafkas_words() {
        let message = |name: &str| validate_topic_name(name).unwrap_err();
        assert_eq!(message(""), "Topic name is invalid: the empty string is not allowed");
        assert_eq!(message(".."), "Topic name is invalid: '..' is not allowed");
        assert_eq!(
            message("토픽명"),
            "Topic name is invalid: '토픽명' contains one or more characters other than ASCII alphanumerics, \
             '.', '_' and '-'"
        );
        assert!(message(&"x".repeat(250)).contains("longer than the max allowed length 249"));
        assert_eq!(validate_topic_name(&"x".repeat(249)), Ok(()));
        assert_eq!(validate_topic_name("a.B_c-9"), Ok(()));
    }
}
