//! Client quotas (AlterClientQuotas, KIP-546).

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_client_quotas_request::{AlterClientQuotasRequest, EntryData as Wished};
use ottla_protocol::messages::alter_client_quotas_response::{
    AlterClientQuotasResponse, EntityData, EntryData,
};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::metadata_records::client_quota_record::ClientQuotaRecord;

use super::{Decision, MAX_RECORDS_PER_REQUEST, Record, Refusal, View, outcome};
use crate::image::QuotaEntity;

/// What a quota key's value must be.
#[derive(Clone, Copy)]
enum Kind {
    Any,
    Whole { max: f64, name: &'static str },
}

const LONG: Kind = Kind::Whole { max: i64::MAX as f64, name: "a LONG" };
const INT: Kind = Kind::Whole { max: i32::MAX as f64, name: "an INT" };

/// Keys for users and client ids, and for addresses.
const CLIENT_KEYS: [(&str, Kind); 4] = [
    ("producer_byte_rate", LONG),
    ("consumer_byte_rate", LONG),
    ("request_percentage", Kind::Any),
    ("controller_mutation_rate", Kind::Any),
];
const IP_KEYS: [(&str, Kind); 1] = [("connection_creation_rate", INT)];

fn invalid(message: String) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, message)
}

impl View<'_> {
    /// Sets and removes quotas. `is_host` says whether a name is an address or resolves to one: looking that up is
    /// the caller's business.
    pub fn alter_client_quotas(
        &self,
        request: &AlterClientQuotasRequest,
        is_host: &dyn Fn(&str) -> bool,
    ) -> Decision<AlterClientQuotasResponse> {
        let mut records = Vec::new();
        let mut entries: Vec<EntryData> = Vec::new();
        let mut seen = BTreeSet::new();
        for wished in &request.entries {
            let entity = QuotaEntity(
                wished.entity.iter().map(|e| (e.entity_type.clone(), e.entity_name.clone())).collect(),
            );
            let result = if seen.contains(&entity) {
                Err(invalid(format!("Ignoring duplicate entity {entity:?}")))
            } else {
                self.alter_quotas(wished, &entity, is_host).map(|new| records.extend(new))
            };
            seen.insert(entity);
            let (error_code, error_message) = outcome(result);
            let named = |e: &ottla_protocol::messages::alter_client_quotas_request::EntityData| EntityData {
                entity_type: e.entity_type.clone(),
                entity_name: e.entity_name.clone(),
            };
            let entity = wished.entity.iter().map(named).collect();
            entries.push(EntryData { error_code, error_message, entity });
        }
        if records.len() > MAX_RECORDS_PER_REQUEST {
            records.clear();
            for entry in &mut entries {
                (entry.error_code, entry.error_message) = outcome::<()>(Err(Refusal::too_large()));
            }
        }
        let response = AlterClientQuotasResponse { throttle_time_ms: 0, entries };
        Decision::atomic(records, response).only_validated(request.validate_only)
    }

    fn alter_quotas(
        &self,
        wished: &Wished,
        entity: &QuotaEntity,
        is_host: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<Record>, Refusal> {
        let keys = keys_of(entity, wished.entity.len(), is_host)?;
        let mut wishes = BTreeMap::new();
        for op in &wished.ops {
            let value = (!op.remove).then_some(op.value);
            if wishes.insert(op.key.as_str(), value).is_some() {
                return Err(invalid(format!(
                    "Duplicate quota key {} not updating quota for this entity {entity:?}",
                    op.key
                )));
            }
        }
        let nothing = BTreeMap::new();
        let current = self.image.quotas.get(entity).map_or(&nothing, |quotas| quotas);
        let mut records = Vec::new();
        for (key, value) in wishes {
            if let Some(value) = value {
                validate(keys, key, value)?;
            }
            // Only what changes is written.
            if current.get(key).copied() != value {
                let record = ClientQuotaRecord {
                    entity: entity.to_record(),
                    key: key.to_owned(),
                    value: value.unwrap_or(0.0),
                    remove: value.is_none(),
                };
                records.push((MetadataRecord::ClientQuotaRecord(record), 0));
            }
        }
        Ok(records)
    }
}

/// The keys an entity can have, if its combination of types is one that there is.
fn keys_of(
    entity: &QuotaEntity,
    named: usize,
    is_host: &dyn Fn(&str) -> bool,
) -> Result<&'static [(&'static str, Kind)], Refusal> {
    if entity.0.is_empty() {
        return Err(invalid("Invalid empty client quota entity".to_owned()));
    }
    if entity.0.len() != named {
        return Err(invalid("Invalid client quota entity, duplicate entity entry".to_owned()));
    }
    for (kind, name) in &entity.0 {
        if !matches!(kind.as_str(), "user" | "client-id" | "ip") {
            return Err(invalid(format!("Unhandled client quota entity type: {kind}")));
        }
        if name.as_deref() == Some("") {
            return Err(invalid(format!("Empty {kind} not supported")));
        }
    }
    match entity.0.get("ip") {
        None => Ok(&CLIENT_KEYS),
        Some(_) if entity.0.len() > 1 => Err(invalid(
            "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId"
                .to_owned(),
        )),
        Some(Some(host)) if !is_host(host) => {
            Err(invalid(format!("{host} is not a valid IP or resolvable host.")))
        }
        Some(_) => Ok(&IP_KEYS),
    }
}

fn validate(keys: &[(&str, Kind)], key: &str, value: f64) -> Result<(), Refusal> {
    let Some(&(_, kind)) = keys.iter().find(|(name, _)| *name == key) else {
        return Err(invalid(format!("Invalid configuration key {key}")));
    };
    // Also refuses what is no number.
    if value.is_nan() || value <= 0.0 {
        return Err(invalid(format!("Quota {key} must be greater than 0")));
    }
    match kind {
        Kind::Any => Ok(()),
        Kind::Whole { max, name } if value > max => {
            Err(invalid(format!("Proposed value for {key} is too large for {name}.")))
        }
        Kind::Whole { .. } if (value % 1.0).abs() > 1e-6 => {
            Err(invalid(format!("{key} cannot be a fractional value.")))
        }
        Kind::Whole { .. } => Ok(()),
    }
}
