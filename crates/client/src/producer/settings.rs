//! A producer's configuration, with Kafka's rules for what goes together (`ProducerConfig`).

use std::time::Duration;

use ottla_records::Compression;

use super::ProducerError;
use crate::Backoff;
use crate::properties::{Properties, PropertiesError, Role};

/// Batches of one partition that a broker remembers for an idempotent producer.
const IDEMPOTENT_IN_FLIGHT: i32 = 5;

pub(super) struct Settings {
    pub(super) acks: i16,
    pub(super) idempotent: bool,
    pub(super) linger: Duration,
    pub(super) batch_size: usize,
    pub(super) memory: usize,
    pub(super) max_request_size: usize,
    pub(super) max_block: Duration,
    pub(super) delivery_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) metadata_max_age: Duration,
    pub(super) retries: u32,
    pub(super) retry: Backoff,
    pub(super) in_flight: usize,
    pub(super) compression: Compression,
    pub(super) level: Option<i32>,
    pub(super) ignore_keys: bool,
    pub(super) adaptive: bool,
    pub(super) round_robin: bool,
    pub(super) transactional_id: Option<String>,
    pub(super) transaction_timeout_ms: i32,
}

impl Settings {
    pub(super) fn new(properties: &Properties) -> Result<Settings, ProducerError> {
        properties.check(Role::Producer)?;
        let acks = match properties.text("acks") {
            "all" | "-1" => -1,
            "0" => 0,
            _ => 1,
        };
        let retries = properties.int("retries")?;
        let in_flight = properties.int("max.in.flight.requests.per.connection")?;
        let request_timeout = properties.millis_of_int("request.timeout.ms")?;
        let linger = properties.millis("linger.ms")?;
        let (compression, level) = compression(properties)?;
        let round_robin = match properties.optional("partitioner.class") {
            None => false,
            Some(class) if class.ends_with("RoundRobinPartitioner") => true,
            Some(class) => {
                let text = format!(
                    "partitioner.class={class}: this client has the default one and RoundRobinPartitioner"
                );
                return Err(conflict(text));
            }
        };
        let transactional_id = properties.optional("transactional.id").map(str::to_owned);
        let idempotent = idempotent(properties, acks, retries, in_flight)?;
        if transactional_id.is_some() && !idempotent {
            return Err(conflict("Cannot set a transactional.id without also enabling idempotence."));
        }
        Ok(Settings {
            acks,
            idempotent,
            transactional_id,
            transaction_timeout_ms: properties.int("transaction.timeout.ms")?,
            linger,
            batch_size: properties.int("batch.size")?.max(1) as usize,
            memory: usize::try_from(properties.long("buffer.memory")?).unwrap_or(usize::MAX),
            max_request_size: properties.int("max.request.size")? as usize,
            max_block: properties.millis("max.block.ms")?,
            delivery_timeout: delivery_timeout(properties, linger + request_timeout)?,
            request_timeout,
            metadata_max_age: properties.millis("metadata.max.age.ms")?,
            retries: retries as u32,
            retry: Backoff {
                first: properties.millis("retry.backoff.ms")?,
                most: properties.millis("retry.backoff.max.ms")?,
            },
            in_flight: in_flight as usize,
            compression,
            level,
            ignore_keys: properties.bool("partitioner.ignore.keys")?,
            adaptive: properties.bool("partitioner.adaptive.partitioning.enable")?,
            round_robin,
        })
    }
}

fn conflict(text: impl Into<String>) -> ProducerError {
    PropertiesError::Conflict(text.into()).into()
}

/// Idempotence is the default where the rest allows it; asked for by name it must be possible.
fn idempotent(
    properties: &Properties,
    acks: i16,
    retries: i32,
    in_flight: i32,
) -> Result<bool, ProducerError> {
    let asked = properties.get("enable.idempotence").is_some();
    if !properties.bool("enable.idempotence")? {
        return Ok(false);
    }
    let hindrance = if in_flight > IDEMPOTENT_IN_FLIGHT {
        Some("Must set max.in.flight.requests.per.connection to at most 5 to use the idempotent producer.")
    } else if retries == 0 {
        Some("Must set retries to non-zero when using the idempotent producer.")
    } else if acks != -1 {
        Some(
            "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence.",
        )
    } else {
        None
    };
    match hindrance {
        None => Ok(true),
        Some(text) if asked => Err(conflict(text)),
        Some(_) => Ok(false),
    }
}

fn delivery_timeout(properties: &Properties, least: Duration) -> Result<Duration, ProducerError> {
    let timeout = properties.millis_of_int("delivery.timeout.ms")?;
    if timeout >= least {
        return Ok(timeout);
    }
    if properties.get("delivery.timeout.ms").is_some() {
        return Err(conflict(
            "delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms",
        ));
    }
    Ok(least)
}

fn compression(properties: &Properties) -> Result<(Compression, Option<i32>), ProducerError> {
    Ok(match properties.text("compression.type") {
        "gzip" => (Compression::Gzip, Some(properties.int("compression.gzip.level")?)),
        "snappy" => (Compression::Snappy, None),
        "lz4" => (Compression::Lz4, None),
        "zstd" => (Compression::Zstd, Some(properties.int("compression.zstd.level")?)),
        _ => (Compression::None, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let mut properties = Properties::new();
        pairs.iter().for_each(|(key, value)| properties.set(key, value));
        Settings::new(&properties).map_err(|error| error.to_string())
    }

    #[test]
    fn idempotence_gives_way_unless_it_was_asked_for() {
        assert!(with(&[]).unwrap().idempotent);
        assert!(!with(&[("acks", "1")]).unwrap().idempotent);
        assert!(!with(&[("max.in.flight.requests.per.connection", "9")]).unwrap().idempotent);
        let error = with(&[("acks", "1"), ("enable.idempotence", "true")]).err().unwrap();
        assert!(
            error.starts_with("Must set acks to all in order to use the idempotent producer."),
            "{error}"
        );
    }

    #[test]
    fn the_delivery_timeout_holds_a_request_and_the_linger() {
        let longer = with(&[("request.timeout.ms", "200000")]).unwrap();
        assert_eq!(longer.delivery_timeout, Duration::from_millis(200_005));
        assert!(
            with(&[("delivery.timeout.ms", "10")])
                .err()
                .unwrap()
                .starts_with("delivery.timeout.ms should be")
        );
    }

    #[test]
    fn transactions_need_idempotence() {
        let settings = with(&[("transactional.id", "t"), ("transaction.timeout.ms", "7")]).unwrap();
        assert_eq!((settings.transactional_id.as_deref(), settings.transaction_timeout_ms), (Some("t"), 7));
        let error = with(&[("transactional.id", "t"), ("acks", "1")]).err().unwrap();
        assert_eq!(error, "Cannot set a transactional.id without also enabling idempotence.");
    }
}
