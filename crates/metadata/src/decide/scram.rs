//! SCRAM credentials (AlterUserScramCredentials, KIP-554).

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_user_scram_credentials_request::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use ottla_protocol::messages::alter_user_scram_credentials_response::{
    AlterUserScramCredentialsResponse, AlterUserScramCredentialsResult,
};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::metadata_records::remove_user_scram_credential_record::RemoveUserScramCredentialRecord;
use ottla_protocol::metadata_records::user_scram_credential_record::UserScramCredentialRecord;

use super::{Decision, Record, Refusal, View, outcome};

/// Fewest and most rounds of the password hash, for both mechanisms (RFC 5802 asks for 4096).
const ITERATIONS: std::ops::RangeInclusive<i32> = 4_096..=16_384;

/// What the server keeps of a salted password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedKeys {
    /// Hash of the client key.
    pub stored_key: Bytes,
    /// The server's own key.
    pub server_key: Bytes,
}

/// Turns a mechanism (1 SCRAM-SHA-256, 2 SCRAM-SHA-512) and a salted password into the keys to keep. Hashing lives
/// with the other mechanisms of authentication, not here.
pub type DeriveKeys<'a> = &'a dyn Fn(i8, &[u8]) -> DerivedKeys;

impl View<'_> {
    /// Sets and deletes credentials; each user at most once per request.
    pub fn alter_scram_credentials(
        &self,
        request: &AlterUserScramCredentialsRequest,
        derive: DeriveKeys<'_>,
    ) -> Decision<AlterUserScramCredentialsResponse> {
        let mut results: BTreeMap<&str, Result<Record, Refusal>> = BTreeMap::new();
        let deletions = request.deletions.iter().map(|d| (d.name.as_str(), self.delete_scram(d)));
        let upsertions = request.upsertions.iter().map(|u| (u.name.as_str(), self.upsert_scram(u, derive)));
        for (user, result) in deletions.chain(upsertions) {
            let twice = || {
                Err(Refusal::new(
                    ErrorCode::DuplicateResource,
                    "A user credential cannot be altered twice in the same request",
                ))
            };
            results.entry(user).and_modify(|known| *known = twice()).or_insert(result);
        }
        let mut records = Vec::new();
        let mut response = AlterUserScramCredentialsResponse::default();
        for (user, result) in results {
            let (error_code, error_message) = outcome(result.map(|record| records.push(record)));
            let user = user.to_owned();
            response.results.push(AlterUserScramCredentialsResult { user, error_code, error_message });
        }
        Decision::atomic(records, response)
    }

    fn check_scram(&self, user: &str, mechanism: i8) -> Result<(), Refusal> {
        let refuse = |code, message: &str| Err(Refusal::new(code, message));
        if !self.image.metadata_version().has_scram() {
            return refuse(
                ErrorCode::UnsupportedVersion,
                "The current metadata.version does not support SCRAM",
            );
        }
        if user.is_empty() {
            return refuse(ErrorCode::UnacceptableCredential, "Username must not be empty");
        }
        if !matches!(mechanism, 1 | 2) {
            return refuse(ErrorCode::UnsupportedSaslMechanism, "Unknown SCRAM mechanism");
        }
        Ok(())
    }

    fn delete_scram(&self, deletion: &ScramCredentialDeletion) -> Result<Record, Refusal> {
        self.check_scram(&deletion.name, deletion.mechanism)?;
        if !self.image.scram.contains_key(&(deletion.mechanism, deletion.name.clone())) {
            return Err(Refusal::new(
                ErrorCode::ResourceNotFound,
                "Attempt to delete a user credential that does not exist",
            ));
        }
        let record =
            RemoveUserScramCredentialRecord { name: deletion.name.clone(), mechanism: deletion.mechanism };
        Ok((MetadataRecord::RemoveUserScramCredentialRecord(record), 0))
    }

    fn upsert_scram(
        &self,
        upsertion: &ScramCredentialUpsertion,
        derive: DeriveKeys<'_>,
    ) -> Result<Record, Refusal> {
        self.check_scram(&upsertion.name, upsertion.mechanism)?;
        if !ITERATIONS.contains(&upsertion.iterations) {
            let few = upsertion.iterations < *ITERATIONS.start();
            let message = if few { "Too few iterations" } else { "Too many iterations" };
            return Err(Refusal::new(ErrorCode::UnacceptableCredential, message));
        }
        let keys = derive(upsertion.mechanism, &upsertion.salted_password);
        let record = UserScramCredentialRecord {
            name: upsertion.name.clone(),
            mechanism: upsertion.mechanism,
            salt: upsertion.salt.clone(),
            stored_key: keys.stored_key,
            server_key: keys.server_key,
            iterations: upsertion.iterations,
        };
        Ok((MetadataRecord::UserScramCredentialRecord(record), 0))
    }
}
