//! What the files of the tree say: the text forms of Kafka's own classes.

use std::fmt::Write as _;

use ottla_metadata::image::{Acl, Broker, Controller, Partition, Provenance, ScramCredential, Token};
use ottla_records::uuid_text;
use uuid::Uuid;

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}

fn ids(ids: &[Uuid]) -> String {
    list(ids.iter().map(uuid_text::encode))
}

/// Where the image stands, with the time in UTC.
pub(super) fn provenance(p: &Provenance) -> String {
    format!("offset {}, epoch {}, time {}", p.offset, p.epoch, utc(p.timestamp_ms))
}

/// `DateTimeFormatter.ISO_ZONED_DATE_TIME` in UTC: as many digits of the fraction as there are.
fn utc(ms: i64) -> String {
    let (days, in_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (seconds, fraction) = (in_day / 1000, in_day % 1000);
    let mut text = format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    if fraction > 0 {
        let digits = format!("{fraction:03}");
        let _ = write!(text, ".{}", digits.trim_end_matches('0'));
    }
    text + "Z[UTC]"
}

/// Year, month and day of a count of days since 1970-01-01 (the proleptic Gregorian calendar).
fn civil(days: i64) -> (i64, i64, i64) {
    // Years that begin in March put the leap day at their end.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn endpoints(endpoints: &[ottla_metadata::image::Endpoint]) -> String {
    let mut sorted: Vec<_> = endpoints.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    list(sorted.into_iter().map(|e| {
        let protocol = match e.security_protocol {
            0 => "PLAINTEXT",
            1 => "SSL",
            2 => "SASL_PLAINTEXT",
            3 => "SASL_SSL",
            _ => "null",
        };
        format!(
            "Endpoint(listenerName='{}', securityProtocol={protocol}, host='{}', port={})",
            e.name, e.host, e.port
        )
    }))
}

fn features(features: &std::collections::BTreeMap<String, ottla_metadata::features::LevelRange>) -> String {
    let items: Vec<String> = features
        .iter()
        .map(|(name, range)| match (range.min, range.max) {
            (min, max) if min == max => format!("{name}: {min}"),
            (min, i16::MAX) => format!("{name}: {min}+"),
            (min, max) => format!("{name}: {min}-{max}"),
        })
        .collect();
    format!("{{{}}}", items.join(", "))
}

pub(super) fn broker(b: &Broker) -> String {
    let rack = b.rack.as_ref().map_or("Optional.empty".to_owned(), |rack| format!("Optional[{rack}]"));
    let cordoned = b.cordoned.as_ref().map_or("null".to_owned(), |dirs| ids(dirs));
    format!(
        "BrokerRegistration(id={}, epoch={}, incarnationId={}, listeners={}, supportedFeatures={}, rack={rack}, \
         fenced={}, inControlledShutdown={}, isMigratingZkBroker={}, directories={}, cordonedDirectories={cordoned})",
        b.id,
        b.epoch,
        uuid_text::encode(&b.incarnation_id),
        endpoints(&b.endpoints),
        features(&b.features),
        b.fenced,
        b.in_controlled_shutdown,
        b.is_migrating_zk_broker,
        ids(&b.directories)
    )
}

pub(super) fn controller(c: &Controller) -> String {
    format!(
        "ControllerRegistration(id={}, incarnationId={}, zkMigrationReady={}, listeners={}, supportedFeatures={})",
        c.id,
        uuid_text::encode(&c.incarnation_id),
        c.zk_migration_ready,
        endpoints(&c.endpoints),
        features(&c.features)
    )
}

pub(super) fn partition(p: &Partition) -> String {
    let recovery = if p.recovery.code() == 0 { "RECOVERED" } else { "RECOVERING" };
    format!(
        "PartitionRegistration(replicas={}, directories={}, isr={}, removingReplicas={}, addingReplicas={}, elr={}, \
         lastKnownElr={}, leader={}, leaderRecoveryState={recovery}, leaderEpoch={}, partitionEpoch={})",
        list(p.replicas.iter()),
        ids(&p.directories),
        list(p.isr.iter()),
        list(p.removing()),
        list(p.adding()),
        list(p.elr()),
        list(p.last_known_elr()),
        p.leader,
        p.leader_epoch,
        p.partition_epoch
    )
}

pub(super) fn acl(a: &Acl) -> String {
    let name = |names: &[&'static str], code: i8| {
        usize::try_from(code).ok().and_then(|code| names.get(code)).copied().unwrap_or("UNKNOWN")
    };
    let resource = name(
        &["UNKNOWN", "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER"],
        a.resource_type,
    );
    let pattern = name(&["UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED"], a.pattern_type);
    let operation = name(
        &[
            "UNKNOWN",
            "ANY",
            "ALL",
            "READ",
            "WRITE",
            "CREATE",
            "DELETE",
            "ALTER",
            "DESCRIBE",
            "CLUSTER_ACTION",
            "DESCRIBE_CONFIGS",
            "ALTER_CONFIGS",
            "IDEMPOTENT_WRITE",
            "CREATE_TOKENS",
            "DESCRIBE_TOKENS",
            "TWO_PHASE_COMMIT",
        ],
        a.operation,
    );
    let permission = name(&["UNKNOWN", "ANY", "DENY", "ALLOW"], a.permission_type);
    format!(
        "StandardAcl[resourceType={resource}, resourceName={}, patternType={pattern}, principal={}, host={}, \
         operation={operation}, permissionType={permission}]",
        a.resource_name, a.principal, a.host
    )
}

pub(super) fn scram(c: &ScramCredential) -> String {
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    format!(
        "ScramCredentialData(salt={}, storedKey={}, serverKey={}, iterations={})",
        hex(&c.salt),
        hex(&c.stored_key),
        hex(&c.server_key),
        c.iterations
    )
}

/// Unbalanced parentheses and all, as Kafka prints it.
pub(super) fn token(t: &Token) -> String {
    format!(
        "DelegationTokenDatatokenId={}(owner={}(tokenRequester={}(renewers={}, issueTimestamp={}, maxTimestamp={}), \
         expiryTimestamp={}",
        t.token_id,
        t.owner,
        t.requester,
        t.renewers.join(" "),
        t.issue_timestamp,
        t.max_timestamp,
        t.expiration_timestamp
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_javas() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z[UTC]");
        assert_eq!(utc(-1), "1969-12-31T23:59:59.999Z[UTC]");
        assert_eq!(utc(951_782_400_000), "2000-02-29T00:00:00Z[UTC]");
        assert_eq!(utc(1_763_715_045_120), "2025-11-21T08:50:45.12Z[UTC]");
    }
}
