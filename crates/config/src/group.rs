//! The configuration of one group: the node's values with the group's own on top, held within the node's bounds.

use crate::keys::{group_key, group_keys, group_synonym};
use crate::problem::Problem;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::topic::Overrides;
use crate::value::Value;

/// The node keys that bound a group key: the least and the most it may be.
fn bounds(name: &str) -> (Option<String>, Option<String>) {
    let Some((group, what)) = name.split_once('.') else { return (None, None) };
    let bound = |which: &str, what: &str| Some(format!("group.{group}.{which}.{what}"));
    match what {
        "session.timeout.ms"
        | "heartbeat.interval.ms"
        | "assignment.interval.ms"
        | "record.lock.duration.ms"
        | "delivery.count.limit"
        | "partition.max.record.locks" => (bound("min", what), bound("max", what)),
        "num.standby.replicas" => (None, bound("max", "standby.replicas")),
        _ => (None, None),
    }
}

/// The value of a group key on a node where the group sets nothing itself.
#[must_use]
pub fn group_default(settings: &Settings, name: &str) -> Option<Value> {
    match group_synonym(name) {
        Some(node_key) => settings.value(node_key.name).ok().flatten(),
        None => group_key(name)?.default_value(),
    }
}

/// Checks the values a group shall have (Kafka's `GroupConfig.validate`).
///
/// # Errors
/// The first thing that is wrong, in Kafka's words.
pub fn validate_group(settings: &Settings, after: &Overrides) -> Result<(), Refusal> {
    for name in after.keys() {
        if group_key(name).is_none() {
            return Err(Refusal::config(format!("Unknown group config name: {name}")));
        }
    }
    for (name, text) in after {
        let key = group_key(name).expect("CONFIG-10: the names were checked above");
        key.parse(text).map_err(|error| Refusal::config(error.to_string()))?;
    }
    let value = |name: &str| match after.get(name) {
        Some(text) => group_key(name).and_then(|key| key.parse(text).ok()),
        None => group_default(settings, name),
    };
    for key in group_keys() {
        let (least, most) = bounds(key.name);
        let Some(Value::Integer(number)) = value(key.name) else { continue };
        for (bound, wrong, relation) in [
            (
                &least,
                least.as_ref().is_some_and(|least| number < settings.long(least)),
                "greater than or equal to",
            ),
            (&most, most.as_ref().is_some_and(|most| number > settings.long(most)), "less than or equal to"),
        ] {
            if let (Some(bound), true) = (bound, wrong) {
                return Err(Refusal::config(format!("{} must be {relation} {bound}", key.name)));
            }
        }
    }
    for group in ["consumer", "share", "streams"] {
        let (session, heartbeat) =
            (format!("{group}.session.timeout.ms"), format!("{group}.heartbeat.interval.ms"));
        if let (Some(Value::Integer(timeout)), Some(Value::Integer(interval))) =
            (value(&session), value(&heartbeat))
            && timeout <= interval
        {
            return Err(Refusal::config(format!("{session} must be greater than {heartbeat}")));
        }
    }
    Ok(())
}

/// The value of a group key that counts: the group's own, brought within the node's bounds, else the node's. What
/// was brought within bounds is said in `problems`.
#[must_use]
pub fn group_value(
    settings: &Settings,
    own: &Overrides,
    name: &str,
    problems: &mut Vec<Problem>,
) -> Option<Value> {
    let parsed = own.get(name).and_then(|text| group_key(name)?.parse(text).ok());
    let Some(Value::Integer(number)) = parsed else {
        return parsed.or_else(|| group_default(settings, name));
    };
    let (least, most) = bounds(name);
    let least = least.map_or(i64::MIN, |key| settings.long(&key));
    let most = most.map_or(i64::MAX, |key| settings.long(&key));
    let held = number.clamp(least, most.max(least));
    if held != number {
        problems.push(Problem {
            key: Some(name.to_owned()),
            value: Some(number.to_string()),
            ..Problem::new(format!(
                "{name}={number} of the group lies outside the node's bounds; {held} counts"
            ))
        });
    }
    Some(Value::Integer(held))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Place;

    fn checked(settings: &Settings, pairs: &[(&str, &str)]) -> Result<(), String> {
        validate_group(settings, &map(pairs)).map_err(|refusal| refusal.to_string())
    }

    fn map(pairs: &[(&str, &str)]) -> Overrides {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_are_checked_against_the_nodes_bounds() {
        let mut settings = Settings::default();
        assert_eq!(checked(&settings, &[]), Ok(()));
        assert_eq!(checked(&settings, &[("consumer.session.timeout.ms", "50000")]), Ok(()));
        assert_eq!(
            checked(&settings, &[("consumer.session.timeout.ms", "1000")]).unwrap_err(),
            "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms"
        );
        assert_eq!(
            checked(&settings, &[("streams.num.standby.replicas", "3")]).unwrap_err(),
            "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas"
        );
        assert_eq!(
            checked(&settings, &[("nothing", "3")]).unwrap_err(),
            "Unknown group config name: nothing"
        );
        assert_eq!(
            checked(&settings, &[("share.isolation.level", "x")]).unwrap_err(),
            "Invalid value x for configuration share.isolation.level: String must be one of: read_committed, \
             read_uncommitted"
        );
        settings.set("group.consumer.min.session.timeout.ms", "1", Place::Override);
        settings.set("group.consumer.min.heartbeat.interval.ms", "1", Place::Override);
        assert_eq!(
            checked(&settings, &[("consumer.session.timeout.ms", "5000")]).unwrap_err(),
            "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms"
        );
    }

    #[test]
    fn values_count_within_bounds() {
        let settings = Settings::default();
        let mut problems = Vec::new();
        let own = map(&[("share.delivery.count.limit", "99")]);
        let value = group_value(&settings, &own, "share.delivery.count.limit", &mut problems);
        assert_eq!((value, problems.len()), (Some(Value::Integer(10)), 1));
        let value = group_value(&settings, &own, "consumer.session.timeout.ms", &mut problems);
        assert_eq!((value, problems.len()), (Some(Value::Integer(45_000)), 1));
    }
}
