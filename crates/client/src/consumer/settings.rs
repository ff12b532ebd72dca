//! A consumer's configuration (`ConsumerConfig`).

use std::time::Duration;

use super::ConsumerError;
use super::assignor::Strategy;
use crate::Isolation;
use crate::properties::{Properties, PropertiesError, Role};

/// Where to begin when there is no offset (`auto.offset.reset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reset {
    Earliest,
    Latest,
    /// The first record that is not older than this (KIP-1106).
    Ago(Duration),
    None,
}

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) group: Option<GroupSettings>,
    pub(super) reset: Reset,
    pub(super) auto_commit: Option<Duration>,
    pub(super) isolation: Isolation,
    pub(super) min_bytes: i32,
    pub(super) max_bytes: i32,
    pub(super) partition_bytes: i32,
    pub(super) max_wait: Duration,
    pub(super) max_records: i64,
    pub(super) rack: String,
    pub(super) check_crcs: bool,
    pub(super) create_topics: bool,
    pub(super) metadata_max_age: Duration,
    pub(super) request_timeout: Duration,
}

/// What of it a group's member needs.
#[derive(Debug, Clone)]
pub(super) struct GroupSettings {
    pub(super) id: String,
    pub(super) instance: Option<String>,
    pub(super) session: Duration,
    pub(super) heartbeat: Duration,
    pub(super) max_poll: Duration,
    pub(super) strategies: Vec<Strategy>,
    pub(super) rack: Option<String>,
}

impl GroupSettings {
    /// Partitions are given up one by one only when every strategy can do that.
    pub(super) fn cooperative(&self) -> bool {
        self.strategies.iter().all(|strategy| *strategy == Strategy::CooperativeSticky)
    }
}

impl Settings {
    pub(super) fn new(properties: &Properties) -> Result<Settings, ConsumerError> {
        properties.check(Role::Consumer)?;
        if properties.text("group.protocol").eq_ignore_ascii_case("consumer") {
            let text = "group.protocol=consumer (KIP-848) is not served by this client yet: use classic";
            return Err(ConsumerError::NotServed(text.to_owned()));
        }
        let reset = properties.text("auto.offset.reset");
        let reset = reset_of(reset).ok_or_else(|| PropertiesError::Value {
            key: "auto.offset.reset",
            value: reset.to_owned(),
            why: "the value must be either 'earliest', 'latest', 'none' or of the format 'by_duration:<PnDTnHnMn.nS>'"
                .to_owned(),
        })?;
        let auto = properties.bool("enable.auto.commit")? && properties.optional("group.id").is_some();
        let committed = properties.text("isolation.level") == "read_committed";
        Ok(Settings {
            group: group(properties)?,
            reset,
            auto_commit: if auto { Some(properties.millis_of_int("auto.commit.interval.ms")?) } else { None },
            isolation: if committed { Isolation::ReadCommitted } else { Isolation::ReadUncommitted },
            min_bytes: properties.int("fetch.min.bytes")?,
            max_bytes: properties.int("fetch.max.bytes")?,
            partition_bytes: properties.int("max.partition.fetch.bytes")?,
            max_wait: properties.millis_of_int("fetch.max.wait.ms")?,
            max_records: properties.int("max.poll.records")?.into(),
            rack: properties.text("client.rack").to_owned(),
            check_crcs: properties.bool("check.crcs")?,
            create_topics: properties.bool("allow.auto.create.topics")?,
            metadata_max_age: properties.millis("metadata.max.age.ms")?,
            request_timeout: properties.millis_of_int("request.timeout.ms")?,
        })
    }
}

fn group(properties: &Properties) -> Result<Option<GroupSettings>, ConsumerError> {
    let Some(id) = properties.optional("group.id") else { return Ok(None) };
    let (session, heartbeat) =
        (properties.millis_of_int("session.timeout.ms")?, properties.millis_of_int("heartbeat.interval.ms")?);
    if heartbeat >= session {
        let text = "Heartbeat must be set lower than the session timeout";
        return Err(PropertiesError::Conflict(text.to_owned()).into());
    }
    let names = properties.text("partition.assignment.strategy");
    let mut strategies = Vec::new();
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        strategies.push(Strategy::named(name).ok_or_else(|| {
            PropertiesError::Conflict(format!(
                "{name}: this client has range, roundrobin, sticky and cooperative-sticky (Kafka's class names work too)"
            ))
        })?);
    }
    if strategies.is_empty() {
        let text = "Must configure at least one partition assigner class name to partition.assignment.strategy \
                    configuration property";
        return Err(PropertiesError::Conflict(text.to_owned()).into());
    }
    Ok(Some(GroupSettings {
        id: id.to_owned(),
        instance: properties.optional("group.instance.id").map(str::to_owned),
        session,
        heartbeat,
        max_poll: properties.millis_of_int("max.poll.interval.ms")?,
        strategies,
        rack: properties.optional("client.rack").map(str::to_owned),
    }))
}

fn reset_of(text: &str) -> Option<Reset> {
    match text.to_ascii_lowercase().as_str() {
        "earliest" => Some(Reset::Earliest),
        "latest" => Some(Reset::Latest),
        "none" => Some(Reset::None),
        other => iso_duration(other.strip_prefix("by_duration:")?).map(Reset::Ago),
    }
}

/// An ISO-8601 duration of days, hours, minutes and seconds, as `java.time.Duration` reads it: `p1dt2h3m4.5s`.
fn iso_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('p')?;
    let (mut seconds, mut timed, mut any) = (0.0, false, false);
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix('t').filter(|_| !timed) {
            (rest, timed) = (behind, true);
            continue;
        }
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = match (timed, rest.as_bytes()[digits]) {
            (false, b'd') => 86_400.0,
            (true, b'h') => 3_600.0,
            (true, b'm') => 60.0,
            (true, b's') => 1.0,
            _ => return None,
        };
        seconds += number * unit;
        any = true;
        rest = &rest[digits + 1..];
    }
    if any { Duration::try_from_secs_f64(seconds).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_begin_at() {
        assert_eq!(reset_of("Earliest"), Some(Reset::Earliest));
        assert_eq!(reset_of("by_duration:P1DT2H3M4.5S"), Some(Reset::Ago(Duration::from_millis(93_784_500))));
        assert_eq!(reset_of("by_duration:PT"), None);
        assert_eq!(reset_of("somewhere"), None);
    }

    #[test]
    fn rules_of_a_group() {
        let properties = Properties::new().with("group.id", "g");
        let group = Settings::new(&properties).unwrap().group.unwrap();
        assert_eq!(group.strategies, [Strategy::Range, Strategy::CooperativeSticky]);
        assert!(!group.cooperative(), "range cannot give up partitions one by one");
        let alone = properties.clone().with(
            "partition.assignment.strategy",
            "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
        );
        assert!(Settings::new(&alone).unwrap().group.unwrap().cooperative());
        let beats = properties.clone().with("session.timeout.ms", "3000");
        assert!(Settings::new(&beats).unwrap_err().to_string().starts_with("Heartbeat must be set lower"));
        let newer = properties.with("group.protocol", "consumer");
        assert!(Settings::new(&newer).unwrap_err().to_string().contains("not served"));
    }
}
