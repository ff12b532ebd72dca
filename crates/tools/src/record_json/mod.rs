//! The records of Kafka's internal topics and of the metadata log as the JSON that Kafka's tools print.

mod schema;
mod value;
mod walk;

pub use schema::Family;
pub use value::{Json, java_double};

/// A coordinator's record: the type of its key, its data, and the value unless the record is a tombstone.
#[derive(Debug, PartialEq)]
pub struct Coordinated {
    /// The record's type: the first two bytes of its key.
    pub record_type: i16,
    /// The key's fields.
    pub key: Json,
    /// The value's version and fields; `None` for a tombstone.
    pub value: Option<(i16, Json)>,
}

/// Why a coordinator's record cannot be shown.
#[derive(Debug, PartialEq, Eq)]
pub enum CoordinatorError {
    /// A type that this release does not know.
    UnknownType(i16),
    /// Anything else, in one line.
    Broken(String),
}

/// Reads a record of `__consumer_offsets`, `__transaction_state` or `__share_group_state` (Kafka's
/// `CoordinatorRecordSerde`).
pub fn coordinator(
    family: Family,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<Coordinated, CoordinatorError> {
    let broken = CoordinatorError::Broken;
    let (record_type, rest) = prefix(key, "key").map_err(broken)?;
    let message =
        family.keyed("coordinator-key", record_type).ok_or(CoordinatorError::UnknownType(record_type))?;
    let due = |version: i16, name: &str, cause: String| {
        CoordinatorError::Broken(format!(
            "Could not read record with version {version} from {name}'s buffer due to: {cause}."
        ))
    };
    // Every key has version 0; what is behind it is kept out of sight, as Kafka does.
    let (key, _) = walk::read(message, rest, 0).map_err(|cause| due(record_type, "key", cause))?;
    let Some(value) = value else { return Ok(Coordinated { record_type, key, value: None }) };
    let message =
        family.keyed("coordinator-value", record_type).ok_or(CoordinatorError::UnknownType(record_type))?;
    let (version, rest) = prefix(value, "value").map_err(broken)?;
    if !message.versions.has(version) {
        return Err(broken(format!("Found an unknown record version {version} for {record_type} type")));
    }
    let (value, _) = walk::read(message, rest, version).map_err(|cause| due(version, "value", cause))?;
    Ok(Coordinated { record_type, key, value: Some((version, value)) })
}

fn prefix<'a>(bytes: &'a [u8], name: &str) -> Result<(i16, &'a [u8]), String> {
    match bytes.split_first_chunk::<2>() {
        Some((version, rest)) => Ok((i16::from_be_bytes(*version), rest)),
        None => Err(format!("Could not read version from {name}'s buffer.")),
    }
}

/// The type of the record of a classic group's members in `__consumer_offsets`.
pub const GROUP_METADATA: i16 = 2;

/// Replaces the members' subscriptions and assignments of a classic consumer group by what they say; what cannot be
/// read stays in base64.
pub fn open_group_metadata(value: &mut Json) {
    if value.get("protocolType") != Some(&Json::text("consumer")) {
        return;
    }
    let Some(Json::Array(members)) = value.get_mut("members") else { return };
    for member in members {
        for (field, name) in
            [("subscription", "ConsumerProtocolSubscription"), ("assignment", "ConsumerProtocolAssignment")]
        {
            let Some(slot) = member.get_mut(field) else { continue };
            let Json::Bytes(bytes) = &*slot else { continue };
            let message = Family::Consumer.named(name).expect("T-2: the schema has the consumer's protocol");
            let Ok((version, rest)) = prefix(bytes, field) else { continue };
            if version < 0 {
                continue;
            }
            if let Ok((open, _)) = walk::read(message, rest, version) {
                *slot = open;
            }
        }
    }
}

/// A control record's value by its message's name (`LeaderChangeMessage` ...); the version is the value's first field.
pub fn control(name: &str, value: &[u8]) -> Result<Json, String> {
    let message = Family::Control.named(name).ok_or_else(|| format!("no control record is called {name}"))?;
    let (version, _) = prefix(value, "value")?;
    if !message.versions.has(version) {
        return Err(format!("version {version} of {name} is not supported"));
    }
    walk::read(message, value, version).map(|(json, _)| json)
}

/// A record of the metadata log: `{"type":...,"version":...,"data":{...}}`, or why not, in Kafka's words.
pub fn metadata(value: &[u8]) -> Result<Json, String> {
    let mut rest = value;
    let mut next = |entity: &str| -> Result<i16, String> {
        let number = uvarint(&mut rest).ok_or_else(|| format!("Error while reading {entity}"))?;
        i16::try_from(number).map_err(|_| format!("Value for {entity} was too large."))
    };
    match next("frame version")? {
        0 => {
            return Err(
                "Could not deserialize metadata record with frame version 0. Note that upgrades from the \
                        preview release of KRaft in 2.8 to newer versions are not supported."
                    .to_owned(),
            );
        }
        1 => {}
        other => {
            return Err(format!(
                "Could not deserialize metadata record due to unknown frame version {other}(only frame version 1 \
                 is supported)"
            ));
        }
    }
    let (key, version) = (next("type")?, next("version")?);
    let message = Family::Metadata.keyed("metadata", key).ok_or_else(|| {
        format!("org.apache.kafka.common.errors.UnsupportedVersionException: Unknown metadata id {key}")
    })?;
    let failed = || format!("Failed to deserialize record with type {key}");
    if !message.versions.has(version) {
        return Err(failed());
    }
    let (data, left) = walk::read(message, rest, version).map_err(|_| failed())?;
    if left > 0 {
        return Err(format!("Found {left} byte(s) of garbage after {key}"));
    }
    Ok(Json::object([
        ("type", Json::Text(constant_name(message.name))),
        ("version", Json::Int(version.into())),
        ("data", data),
    ]))
}

fn uvarint(bytes: &mut &[u8]) -> Option<u32> {
    let mut value = 0u32;
    for shift in (0..35).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// `RegisterBrokerRecord` as `REGISTER_BROKER_RECORD`: the names of Kafka's `MetadataRecordType`.
fn constant_name(name: &str) -> String {
    let mut out = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 && !name.as_bytes()[i - 1].is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}

#[cfg(test)]
mod tests;
