//! Quotas, SCRAM credentials, access control entries and delegation tokens.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::metadata_records::access_control_entry_record::AccessControlEntryRecord;
use ottla_protocol::metadata_records::client_quota_record::{ClientQuotaRecord, EntityData};
use ottla_protocol::metadata_records::delegation_token_record::DelegationTokenRecord;
use ottla_protocol::metadata_records::user_scram_credential_record::UserScramCredentialRecord;

use super::map::SharedMap;

/// Whom a client quota limits: entity types (`user`, `client-id`, `ip`) with a name, or with none for the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuotaEntity(pub BTreeMap<String, Option<String>>);

impl QuotaEntity {
    /// The entity a record names.
    pub fn from_record(record: &ClientQuotaRecord) -> QuotaEntity {
        QuotaEntity(record.entity.iter().map(|e| (e.entity_type.clone(), e.entity_name.clone())).collect())
    }

    /// The entity as records name it.
    pub fn to_record(&self) -> Vec<EntityData> {
        let entity = |(kind, name): (&String, &Option<String>)| EntityData {
            entity_type: kind.clone(),
            entity_name: name.clone(),
        };
        self.0.iter().map(entity).collect()
    }
}

/// An access control entry, kept as its record: nothing is lost on the way to a snapshot.
pub type Acl = AccessControlEntryRecord;
/// A delegation token, kept as its record.
pub type Token = DelegationTokenRecord;

/// What verifies a SCRAM client.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    /// Salt of the password hash.
    pub salt: Bytes,
    /// Hash of the client key.
    pub stored_key: Bytes,
    /// The server's own key.
    pub server_key: Bytes,
    /// Rounds of the password hash.
    pub iterations: i32,
}

impl std::fmt::Debug for ScramCredential {
    /// Secrets stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScramCredential([hidden])")
    }
}

impl ScramCredential {
    /// The credential a record stores.
    pub fn from_record(record: &UserScramCredentialRecord) -> ScramCredential {
        ScramCredential {
            salt: record.salt.clone(),
            stored_key: record.stored_key.clone(),
            server_key: record.server_key.clone(),
            iterations: record.iterations,
        }
    }

    /// The record that stores it.
    pub fn to_record(&self, mechanism: i8, user: &str) -> UserScramCredentialRecord {
        UserScramCredentialRecord {
            name: user.to_owned(),
            mechanism,
            salt: self.salt.clone(),
            stored_key: self.stored_key.clone(),
            server_key: self.server_key.clone(),
            iterations: self.iterations,
        }
    }
}

/// SCRAM credentials by mechanism (1 SCRAM-SHA-256, 2 SCRAM-SHA-512) and user.
pub type Scram = SharedMap<(i8, String), Arc<ScramCredential>>;
