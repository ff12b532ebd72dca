//! ACLs and delegation tokens of a node without an authorizer: refused as Kafka refuses them, on both listeners.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_acls_request::AclCreation;
use ottla_protocol::messages::delete_acls_request::DeleteAclsFilter;
use ottla_protocol::messages::{
    CreateAclsRequest, CreateDelegationTokenRequest, DeleteAclsRequest, DescribeAclsRequest,
    DescribeDelegationTokenRequest, ExpireDelegationTokenRequest, RenewDelegationTokenRequest,
};

use crate::support::{Client, Server, code};

const NO_AUTHORIZER: &str = "No Authorizer is configured.";

fn creation(resource_type: i8) -> AclCreation {
    AclCreation {
        resource_type,
        resource_name: "t".into(),
        resource_pattern_type: 3,
        principal: "User:bob".into(),
        host: "*".into(),
        operation: 3,
        permission_type: 3,
    }
}

fn filter() -> DeleteAclsFilter {
    DeleteAclsFilter {
        resource_type_filter: 1,
        pattern_type_filter: 1,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    }
}

fn any_acl() -> DescribeAclsRequest {
    DescribeAclsRequest {
        resource_type_filter: 1,
        pattern_type_filter: 1,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    }
}

#[test]
fn acls_are_refused_one_by_one() {
    let server = Server::start();
    for listener in ["PLAINTEXT", "CONTROLLER"] {
        let mut client = Client::connect(server.at(listener));
        let told = client.ask(3, &any_acl());
        assert_eq!(told.error_code, code(ErrorCode::SecurityDisabled), "{listener}");
        assert_eq!(told.error_message.as_deref(), Some("No Authorizer is configured on the broker"));
        let made = client.ask(3, &CreateAclsRequest { creations: vec![creation(2), creation(3)] }).results;
        assert_eq!(made.len(), 2, "{listener}");
        for result in made {
            assert_eq!(result.error_code, code(ErrorCode::SecurityDisabled));
            assert_eq!(result.error_message.as_deref(), Some(NO_AUTHORIZER));
        }
        let gone = client.ask(3, &DeleteAclsRequest { filters: vec![filter(); 3] }).filter_results;
        assert_eq!(gone.len(), 3, "{listener}");
        for result in gone {
            assert_eq!(result.error_code, code(ErrorCode::SecurityDisabled));
            assert_eq!(result.error_message.as_deref(), Some(NO_AUTHORIZER));
            assert!(result.matching_acls.is_empty());
        }
    }
}

#[test]
fn acls_of_nothing_that_is_known_close_the_connection() {
    let server = Server::start();
    let closes = |send: &dyn Fn(&mut Client) -> i32| {
        let mut client = server.client();
        send(&mut client);
        client.is_closed()
    };
    let wrong = CreateAclsRequest { creations: vec![creation(2), creation(0)] };
    assert!(closes(&|client| client.send(3, &wrong)));
    let wrong = DeleteAclsRequest { filters: vec![DeleteAclsFilter { operation: 0, ..filter() }] };
    assert!(closes(&|client| client.send(3, &wrong)));
    let wrong = DescribeAclsRequest { permission_type: 0, ..any_acl() };
    assert!(closes(&|client| client.send(3, &wrong)));
    server.assert_serves();
}

#[test]
fn nobody_gets_a_token_over_a_plain_connection() {
    let server = Server::start();
    let refused = code(ErrorCode::DelegationTokenRequestNotAllowed);
    for listener in ["PLAINTEXT", "CONTROLLER"] {
        let mut client = Client::connect(server.at(listener));
        let made = client.ask(3, &CreateDelegationTokenRequest { max_lifetime_ms: -1, ..Default::default() });
        assert_eq!((made.error_code, made.max_timestamp_ms), (refused, -1), "{listener}");
        assert_eq!((made.principal_type.as_str(), made.principal_name.as_str()), ("User", "ANONYMOUS"));
        assert_eq!(made.token_requester_principal_name, "ANONYMOUS");
        let other = CreateDelegationTokenRequest {
            owner_principal_type: Some("User".into()),
            owner_principal_name: Some("bob".into()),
            ..Default::default()
        };
        assert_eq!(client.ask(3, &other).principal_name, "bob");
        let old = client.ask(2, &CreateDelegationTokenRequest { max_lifetime_ms: -1, ..Default::default() });
        assert_eq!((old.error_code, old.token_requester_principal_name.as_str()), (refused, ""));
        let told = client.ask(2, &RenewDelegationTokenRequest::default());
        assert_eq!((told.error_code, told.expiry_timestamp_ms), (refused, -1), "{listener}");
        let told = client.ask(2, &ExpireDelegationTokenRequest::default());
        assert_eq!((told.error_code, told.expiry_timestamp_ms), (refused, -1), "{listener}");
        let told = client.ask(3, &DescribeDelegationTokenRequest::default());
        let here = if listener == "PLAINTEXT" { refused } else { code(ErrorCode::UnknownServerError) };
        assert_eq!((told.error_code, told.tokens.len()), (here, 0), "{listener}");
    }
}
