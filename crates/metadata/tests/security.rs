//! Quotas, SCRAM credentials and access control entries.

mod support;

use bytes::Bytes;
use ottla_metadata::decide::DerivedKeys;
use ottla_metadata::random::Seeded;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_client_quotas_request::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};
use ottla_protocol::messages::alter_user_scram_credentials_request::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use ottla_protocol::messages::create_acls_request::{AclCreation, CreateAclsRequest};
use ottla_protocol::messages::delete_acls_request::{DeleteAclsFilter, DeleteAclsRequest};
use support::Cluster;

fn quota(
    cluster: &mut Cluster,
    entity: &[(&str, Option<&str>)],
    ops: &[(&str, Option<f64>)],
) -> (i16, String) {
    let entity = entity
        .iter()
        .map(|&(kind, name)| EntityData { entity_type: kind.into(), entity_name: name.map(str::to_owned) })
        .collect();
    let ops = ops
        .iter()
        .map(|&(key, value)| OpData { key: key.into(), value: value.unwrap_or(0.0), remove: value.is_none() })
        .collect();
    let request = AlterClientQuotasRequest { entries: vec![EntryData { entity, ops }], validate_only: false };
    let decision = cluster.controller.view().alter_client_quotas(&request, &|host| host == "10.0.0.1");
    let entry = cluster.run(decision).entries.remove(0);
    (entry.error_code, entry.error_message.unwrap_or_default())
}

#[test]
fn quotas_are_set_changed_and_removed() {
    let mut cluster = Cluster::latest();
    let user = [("user", Some("ann"))];
    let done = (0, String::new());
    assert_eq!(quota(&mut cluster, &user, &[("producer_byte_rate", Some(1024.0))]), done);
    let before = cluster.log.len();
    assert_eq!(quota(&mut cluster, &user, &[("producer_byte_rate", Some(1024.0))]), done);
    assert_eq!(cluster.log.len(), before, "what stays is not written");
    assert_eq!(
        quota(&mut cluster, &[("user", None), ("client-id", None)], &[("request_percentage", Some(0.5))]),
        done
    );
    assert_eq!(
        quota(&mut cluster, &[("ip", Some("10.0.0.1"))], &[("connection_creation_rate", Some(5.0))]),
        done
    );
    assert_eq!(cluster.image().quotas.len(), 3);
    assert_eq!(quota(&mut cluster, &user, &[("producer_byte_rate", None)]), done);
    assert_eq!(cluster.image().quotas.len(), 2);
    let mut refused = |entity: &[(&str, Option<&str>)], key, value| {
        let (code, text) = quota(&mut cluster, entity, &[(key, Some(value))]);
        assert_eq!(code, ErrorCode::InvalidRequest.code());
        text
    };
    assert_eq!(refused(&user, "speed", 1.0), "Invalid configuration key speed");
    assert_eq!(refused(&user, "producer_byte_rate", 0.0), "Quota producer_byte_rate must be greater than 0");
    assert_eq!(refused(&user, "producer_byte_rate", 1.5), "producer_byte_rate cannot be a fractional value.");
    assert_eq!(refused(&[], "producer_byte_rate", 1.0), "Invalid empty client quota entity");
    assert_eq!(refused(&[("user", Some(""))], "producer_byte_rate", 1.0), "Empty user not supported");
    assert_eq!(
        refused(&[("team", None)], "producer_byte_rate", 1.0),
        "Unhandled client quota entity type: team"
    );
    let ip = [("ip", Some("10.0.0.1"))];
    let too_large = "Proposed value for connection_creation_rate is too large for an INT.";
    assert_eq!(refused(&ip, "connection_creation_rate", 1e10), too_large);
    let host = "nowhere is not a valid IP or resolvable host.";
    assert_eq!(refused(&[("ip", Some("nowhere"))], "connection_creation_rate", 1.0), host);
    cluster.check();
}

#[test]
fn credentials_are_derived_stored_and_deleted() {
    let mut cluster = Cluster::latest();
    let upsert = |name: &str, iterations| ScramCredentialUpsertion {
        name: name.into(),
        mechanism: 1,
        iterations,
        salt: Bytes::from_static(b"salt"),
        salted_password: Bytes::from_static(b"salted"),
    };
    let delete = |name: &str| ScramCredentialDeletion { name: name.into(), mechanism: 1 };
    let mut alter = |deletions, upsertions| {
        let request = AlterUserScramCredentialsRequest { deletions, upsertions };
        let derive = |mechanism: i8, salted: &[u8]| {
            assert_eq!((mechanism, salted), (1, &b"salted"[..]));
            DerivedKeys {
                stored_key: Bytes::from_static(b"stored"),
                server_key: Bytes::from_static(b"server"),
            }
        };
        let decision = cluster.controller.view().alter_scram_credentials(&request, &derive);
        let results = cluster.run(decision).results;
        cluster.check();
        let codes = results.into_iter().map(|r| (r.user, ErrorCode::from_i16(r.error_code).unwrap()));
        (codes.collect::<Vec<_>>(), cluster.image().scram.len())
    };
    let (codes, stored) =
        alter(vec![delete("bob")], vec![upsert("ann", 4096), upsert("few", 4095), upsert("many", 16385)]);
    let expected = [
        ("ann".to_owned(), ErrorCode::None),
        ("bob".to_owned(), ErrorCode::ResourceNotFound),
        ("few".to_owned(), ErrorCode::UnacceptableCredential),
        ("many".to_owned(), ErrorCode::UnacceptableCredential),
    ];
    assert_eq!((codes, stored), (expected.to_vec(), 1));
    let (codes, stored) = alter(vec![delete("ann")], vec![upsert("ann", 4096)]);
    assert_eq!((codes, stored), (vec![("ann".to_owned(), ErrorCode::DuplicateResource)], 1));
    let (codes, stored) = alter(vec![delete("ann")], vec![]);
    assert_eq!((codes, stored), (vec![("ann".to_owned(), ErrorCode::None)], 0));
}

#[test]
fn entries_are_created_once_and_deleted_by_filter() {
    let mut cluster = Cluster::latest();
    let acl = |name: &str, pattern, principal: &str| AclCreation {
        resource_type: 2,
        resource_name: name.into(),
        resource_pattern_type: pattern,
        principal: principal.into(),
        host: "*".into(),
        operation: 3,
        permission_type: 3,
    };
    let creations = vec![
        acl("orders", 3, "User:ann"),
        acl("ord", 4, "User:ann"),
        acl("*", 3, "User:bob"),
        acl("orders", 3, "User:ann"),
        acl("orders", 3, "no-colon"),
        acl("", 3, "User:ann"),
        acl("orders", 2, "User:ann"),
    ];
    let request = CreateAclsRequest { creations };
    let decision = cluster.controller.view().create_acls(&request, &mut Seeded(1));
    let codes: Vec<i16> = cluster.run(decision).results.iter().map(|r| r.error_code).collect();
    let invalid = ErrorCode::InvalidRequest.code();
    assert_eq!(codes, [0, 0, 0, 0, invalid, invalid, invalid]);
    assert_eq!(cluster.image().acls.len(), 3, "the same entry is there once");
    let decision = cluster.controller.view().create_acls(&request, &mut Seeded(2));
    assert!(decision.records.is_empty());
    let filter = |pattern, name: Option<&str>, principal: Option<&str>| DeleteAclsFilter {
        resource_type_filter: 1,
        resource_name_filter: name.map(str::to_owned),
        pattern_type_filter: pattern,
        principal_filter: principal.map(str::to_owned),
        host_filter: None,
        operation: 1,
        permission_type: 1,
    };
    let matched = |cluster: &Cluster, filter| {
        let request = DeleteAclsRequest { filters: vec![filter] };
        let decision = cluster.controller.view().delete_acls(&request);
        (decision.reply.filter_results[0].matching_acls.len(), decision.records.len())
    };
    assert_eq!(matched(&cluster, filter(2, Some("orders"), None)), (3, 3), "all that apply to it");
    assert_eq!(matched(&cluster, filter(3, Some("orders"), None)), (1, 1));
    assert_eq!(matched(&cluster, filter(1, Some("ord"), None)), (1, 1));
    assert_eq!(matched(&cluster, filter(1, None, Some("User:bob"))), (1, 1));
    let request = DeleteAclsRequest {
        filters: vec![filter(2, Some("orders"), None), filter(9, None, None), filter(1, None, None)],
    };
    let decision = cluster.controller.view().delete_acls(&request);
    let response = cluster.run(decision);
    let counts: Vec<_> =
        response.filter_results.iter().map(|r| (r.error_code, r.matching_acls.len())).collect();
    assert_eq!(counts, [(0, 3), (invalid, 0), (0, 3)]);
    assert!(cluster.image().acls.is_empty());
    cluster.check();
}
