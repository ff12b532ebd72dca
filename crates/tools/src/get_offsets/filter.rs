//! Which partitions are meant: Kafka's `TopicPartitionFilter`.

use crate::runtime::Thrown;
use crate::topics::filter::TopicPattern;

/// Rules of which one must hold.
pub(super) struct PartitionFilter(Vec<Rule>);

struct Rule {
    topic: TopicPattern,
    partitions: Partitions,
}

enum Partitions {
    /// These; all if there are none.
    Set(Vec<i32>),
    /// From the first, below the second.
    Range(i32, i32),
}

impl PartitionFilter {
    /// `topic1:1,topic2:0-3,topic3,topic4:5-,topic5:-3`.
    pub(super) fn of_patterns(patterns: &str) -> Result<PartitionFilter, Thrown> {
        patterns
            .trim_end_matches(',')
            .split(',')
            .map(Rule::new)
            .collect::<Result<_, _>>()
            .map(PartitionFilter)
    }

    /// A pattern of topics (all without one) and a list of ids (all without one).
    pub(super) fn of_topic_and_partitions(
        topic: Option<&str>,
        partitions: Option<&str>,
    ) -> Result<PartitionFilter, Thrown> {
        let text = partitions.unwrap_or_default();
        let ids = text.split(',').filter(|_| !text.is_empty()).map(str::parse).collect::<Result<_, _>>();
        let ids = ids.map_err(|_| {
            Thrown::illegal_argument(format!(
                "--partitions expects a comma separated list of numeric partition ids, but received: {text}"
            ))
        })?;
        let topic = TopicPattern::new(topic.unwrap_or(".*"))?;
        Ok(PartitionFilter(vec![Rule { topic, partitions: Partitions::Set(ids) }]))
    }

    pub(super) fn allows(&self, topic: &str, partition: i32) -> bool {
        self.0.iter().any(|rule| {
            rule.topic.allows(topic, false)
                && match &rule.partitions {
                    Partitions::Set(ids) => ids.is_empty() || ids.contains(&partition),
                    Partitions::Range(from, to) => (*from..*to).contains(&partition),
                }
        })
    }
}

impl Rule {
    fn new(text: &str) -> Result<Rule, Thrown> {
        let invalid = || {
            let why = format!("org.apache.kafka.tools.TerseException: Invalid rule specification: {text}");
            Thrown::new("java.lang.RuntimeException", why)
        };
        let (topic, partitions) = text.split_once(':').unwrap_or((text, ""));
        let number = |text: &str, none: i32| match text {
            "" => Ok(none),
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().map_err(|_| {
                Thrown::new("java.lang.NumberFormatException", format!("For input string: \"{digits}\""))
            }),
            _ => Err(invalid()),
        };
        let partitions = match partitions.split_once('-') {
            Some((from, to)) => Partitions::Range(number(from, 0)?, number(to, i32::MAX)?),
            None if partitions.is_empty() => Partitions::Range(0, i32::MAX),
            None => Partitions::Set(vec![number(partitions, 0)?]),
        };
        let topic = TopicPattern::new(if topic.is_empty() { ".*" } else { topic })?;
        Ok(Rule { topic, partitions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_the_help_says() {
        let filter = PartitionFilter::of_patterns("a:1,b:0-3,c,d:5-,e:-3,:9").expect("patterns");
        for (topic, partition, allowed) in [
            ("a", 1, true),
            ("a", 2, false),
            ("b", 2, true),
            ("b", 3, false),
            ("c", 7, true),
            ("d", 5, true),
            ("d", 4, false),
            ("e", 2, true),
            ("e", 3, false),
            ("anything", 9, true),
        ] {
            assert_eq!(filter.allows(topic, partition), allowed, "{topic}:{partition}");
        }
        assert!(PartitionFilter::of_patterns("a:x").is_err());
        let filter = PartitionFilter::of_topic_and_partitions(Some("a|b"), Some("0,2")).expect("ids");
        assert!(filter.allows("b", 2) && !filter.allows("b", 1) && !filter.allows("c", 0));
        assert!(PartitionFilter::of_topic_and_partitions(None, Some("x")).is_err());
    }
}
