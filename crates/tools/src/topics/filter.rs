//! Which topics a pattern means: Kafka's `IncludeList`.

use regex_lite::Regex;

use crate::runtime::Thrown;

/// Topics that Kafka itself keeps.
const INTERNAL: [&str; 3] = ["__consumer_offsets", "__share_group_state", "__transaction_state"];

/// A pattern, or several separated by commas; a topic must match one as a whole.
#[derive(Debug, Clone)]
pub(crate) struct TopicPattern(Regex);

impl TopicPattern {
    /// Reads a pattern as Kafka does: commas are alternatives, blanks and quotes around it do not count.
    pub(crate) fn new(text: &str) -> Result<TopicPattern, Thrown> {
        let pattern = text.trim().replace(',', "|").replace(' ', "");
        let pattern = pattern.trim_matches(['"', '\'']);
        Regex::new(&format!("^(?:{pattern})$"))
            .map(TopicPattern)
            .map_err(|_| Thrown::new("java.lang.RuntimeException", format!("{pattern} is an invalid regex.")))
    }

    /// Whether a topic is meant.
    pub(crate) fn allows(&self, topic: &str, exclude_internal: bool) -> bool {
        self.0.is_match(topic) && !(exclude_internal && is_internal(topic))
    }
}

/// Whether Kafka keeps this topic for itself.
pub(crate) fn is_internal(topic: &str) -> bool {
    INTERNAL.contains(&topic)
}

/// Whether a topic of this name may exist (Kafka's `Topic.validate`).
pub(crate) fn validate(topic: &str) -> Result<(), Thrown> {
    const LONGEST: usize = 249;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let why = if topic.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if topic == "." {
        "'.' is not allowed".to_owned()
    } else if topic == ".." {
        "'..' is not allowed".to_owned()
    } else if topic.len() > LONGEST {
        format!("the length of '{topic}' is longer than the max allowed length {LONGEST}")
    } else if !topic.chars().all(legal) {
        format!("'{topic}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
    } else {
        return Ok(());
    };
    let class = "org.apache.kafka.common.errors.InvalidTopicException";
    Err(Thrown::new(class, format!("Topic name is invalid: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_as_kafka_reads_them() {
        let pattern = TopicPattern::new("\"a.*, b\"").expect("a pattern");
        assert!(pattern.allows("abc", false) && pattern.allows("b", false));
        assert!(!pattern.allows("xa", false) && !pattern.allows("bb", false));
        let all = TopicPattern::new(".*").expect("a pattern");
        assert!(all.allows("__consumer_offsets", false) && !all.allows("__consumer_offsets", true));
        assert_eq!(TopicPattern::new("a(").expect_err("open").message, "a( is an invalid regex.");
    }

    #[test]
    fn names_are_checked_as_kafka_checks_them() {
        assert!(validate("a.b_c-9").is_ok());
        for name in ["", ".", "..", "a b", "토픽명", &"x".repeat(250)] {
            assert!(validate(name).is_err(), "{name}");
        }
    }
}
