//! Access control entries (CreateAcls, DeleteAcls).

use std::collections::BTreeSet;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_acls_request::{AclCreation, CreateAclsRequest};
use ottla_protocol::messages::create_acls_response::{AclCreationResult, CreateAclsResponse};
use ottla_protocol::messages::delete_acls_request::{DeleteAclsFilter, DeleteAclsRequest};
use ottla_protocol::messages::delete_acls_response::{
    DeleteAclsFilterResult, DeleteAclsMatchingAcl, DeleteAclsResponse,
};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::metadata_records::access_control_entry_record::AccessControlEntryRecord;
use ottla_protocol::metadata_records::remove_access_control_entry_record::RemoveAccessControlEntryRecord;
use uuid::Uuid;

use super::{Decision, MAX_RECORDS_PER_REQUEST, Refusal, View, outcome};
use crate::image::Acl;
use crate::random::Random;

const ANY: i8 = 1;
const CLUSTER: i8 = 4;
const USER: i8 = 7;
const MATCH: i8 = 2;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;
/// Highest operation: two-phase commit.
const LAST_OPERATION: i8 = 15;
const DENY: i8 = 2;
const ALLOW: i8 = 3;

fn invalid(message: String) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, message)
}

impl View<'_> {
    /// Adds entries. One that exists already is granted again without a record.
    pub fn create_acls(
        &self,
        request: &CreateAclsRequest,
        random: &mut dyn Random,
    ) -> Decision<CreateAclsResponse> {
        let key = |acl: &Acl| {
            let Acl { resource_type, resource_name, pattern_type, .. } = acl;
            let whom = (acl.principal.clone(), acl.host.clone());
            (*resource_type, resource_name.clone(), *pattern_type, whom, acl.operation, acl.permission_type)
        };
        let mut existing: BTreeSet<_> = self.image.acls.values().map(|acl| key(acl)).collect();
        let mut records = Vec::new();
        let mut results = Vec::new();
        for creation in &request.creations {
            let result = validate_creation(creation);
            if result.is_ok() {
                let record = AccessControlEntryRecord {
                    id: self.new_acl_id(random),
                    resource_type: creation.resource_type,
                    resource_name: creation.resource_name.clone(),
                    pattern_type: creation.resource_pattern_type,
                    principal: creation.principal.clone(),
                    host: creation.host.clone(),
                    operation: creation.operation,
                    permission_type: creation.permission_type,
                };
                if existing.insert(key(&record)) {
                    records.push((MetadataRecord::AccessControlEntryRecord(record), 0));
                }
            }
            let (error_code, error_message) = outcome(result);
            results.push(AclCreationResult { error_code, error_message });
        }
        if records.len() > MAX_RECORDS_PER_REQUEST {
            records.clear();
            for result in &mut results {
                (result.error_code, result.error_message) = outcome::<()>(Err(Refusal::too_large()));
            }
        }
        Decision::atomic(records, CreateAclsResponse { throttle_time_ms: 0, results })
    }

    fn new_acl_id(&self, random: &mut dyn Random) -> Uuid {
        loop {
            let id = random.uuid();
            if !self.image.acls.contains_key(&id) {
                return id;
            }
        }
    }

    /// Deletes every entry that some filter matches, and answers for each filter with what it matched.
    pub fn delete_acls(&self, request: &DeleteAclsRequest) -> Decision<DeleteAclsResponse> {
        let mut gone: BTreeSet<Uuid> = BTreeSet::new();
        let mut filter_results = Vec::new();
        for filter in &request.filters {
            let mut result = DeleteAclsFilterResult { error_message: None, ..Default::default() };
            match validate_filter(filter) {
                Err(refusal) => (result.error_code, result.error_message) = outcome::<()>(Err(refusal)),
                Ok(()) => {
                    for acl in self.image.acls.values().filter(|acl| matches(filter, acl)) {
                        gone.insert(acl.id);
                        result.matching_acls.push(matching(acl));
                    }
                }
            }
            filter_results.push(result);
        }
        if gone.len() > MAX_RECORDS_PER_REQUEST {
            let refusal = invalid(format!(
                "Cannot remove more than {MAX_RECORDS_PER_REQUEST} acls in a single delete operation."
            ));
            for result in &mut filter_results {
                (result.error_code, result.error_message) = outcome::<()>(Err(refusal.clone()));
                result.matching_acls.clear();
            }
            gone.clear();
        }
        let remove = |id| {
            let record = RemoveAccessControlEntryRecord { id };
            (MetadataRecord::RemoveAccessControlEntryRecord(record), 0)
        };
        let records = gone.into_iter().map(remove).collect();
        Decision::atomic(records, DeleteAclsResponse { throttle_time_ms: 0, filter_results })
    }
}

fn validate_creation(acl: &AclCreation) -> Result<(), Refusal> {
    if !(ANY + 1..=USER).contains(&acl.resource_type) {
        return Err(invalid(format!("Invalid resourceType {}", acl.resource_type)));
    }
    if !matches!(acl.resource_pattern_type, LITERAL | PREFIXED) {
        return Err(invalid(format!("Invalid patternType {}", acl.resource_pattern_type)));
    }
    if !(ANY + 1..=LAST_OPERATION).contains(&acl.operation) {
        return Err(invalid(format!("Invalid operation {}", acl.operation)));
    }
    if !matches!(acl.permission_type, DENY | ALLOW) {
        return Err(invalid(format!("Invalid permissionType {}", acl.permission_type)));
    }
    if acl.resource_type == CLUSTER && acl.resource_name != "kafka-cluster" {
        return Err(invalid("The only valid name for the CLUSTER resource is kafka-cluster".to_owned()));
    }
    if acl.resource_name.is_empty() {
        return Err(invalid("Invalid empty resource name".to_owned()));
    }
    if !acl.principal.contains(':') {
        return Err(invalid(format!(
            "Could not parse principal from `{}` (no colon is present separating the principal type from the \
             principal name)",
            acl.principal
        )));
    }
    Ok(())
}

fn validate_filter(filter: &DeleteAclsFilter) -> Result<(), Refusal> {
    let pattern = (ANY..=USER).contains(&filter.resource_type_filter)
        && (ANY..=PREFIXED).contains(&filter.pattern_type_filter);
    if !pattern {
        return Err(invalid("Unknown patternFilter.".to_owned()));
    }
    let entry =
        (ANY..=LAST_OPERATION).contains(&filter.operation) && (ANY..=ALLOW).contains(&filter.permission_type);
    if entry { Ok(()) } else { Err(invalid("Unknown entryFilter.".to_owned())) }
}

/// Whether a filter means an entry. Pattern type MATCH asks which entries apply to a resource of that name.
fn matches(filter: &DeleteAclsFilter, acl: &Acl) -> bool {
    let any_or = |wished: i8, is: i8| wished == ANY || wished == is;
    let unset_or = |wished: &Option<String>, is: &str| wished.as_deref().is_none_or(|wished| wished == is);
    let pattern = match (&filter.resource_name_filter, filter.pattern_type_filter) {
        (None, MATCH) => true,
        (None, wished) => any_or(wished, acl.pattern_type),
        (Some(name), MATCH) if acl.pattern_type == PREFIXED => name.starts_with(&acl.resource_name),
        (Some(name), MATCH) => *name == acl.resource_name || acl.resource_name == "*",
        (Some(name), wished) => any_or(wished, acl.pattern_type) && *name == acl.resource_name,
    };
    pattern
        && any_or(filter.resource_type_filter, acl.resource_type)
        && unset_or(&filter.principal_filter, &acl.principal)
        && unset_or(&filter.host_filter, &acl.host)
        && any_or(filter.operation, acl.operation)
        && any_or(filter.permission_type, acl.permission_type)
}

fn matching(acl: &Acl) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl {
        error_code: 0,
        error_message: None,
        resource_type: acl.resource_type,
        resource_name: acl.resource_name.clone(),
        pattern_type: acl.pattern_type,
        principal: acl.principal.clone(),
        host: acl.host.clone(),
        operation: acl.operation,
        permission_type: acl.permission_type,
    }
}
