//! ACLs (keys 29 to 31) and delegation tokens (38 to 41) of a node that has neither an authorizer nor a listener that
//! knows who asks: the answers of Kafka's `AclApis` without an authorizer, and of its `KafkaApis` and `ControllerApis`
//! on a plain listener.

use ottla_protocol::messages::create_acls_response::AclCreationResult;
use ottla_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use ottla_protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, CreateDelegationTokenRequest, CreateDelegationTokenResponse,
    DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest, DescribeAclsResponse,
    DescribeDelegationTokenRequest, DescribeDelegationTokenResponse, ExpireDelegationTokenRequest,
    ExpireDelegationTokenResponse, RenewDelegationTokenRequest, RenewDelegationTokenResponse,
};
use ottla_protocol::{ErrorCode, Listener};

use crate::dispatch::Call;
use crate::reply::{Outcome, Refusal};

const NO_AUTHORIZER: &str = "No Authorizer is configured.";
/// A code that Kafka's enums keep for what they do not know; a request that says it is not read on.
const UNKNOWN: i8 = 0;
/// Who a client is that did not say so.
const USER: &str = "User";
const ANONYMOUS: &str = "ANONYMOUS";
/// The first version that tells who asked for a token beside whose it is.
const REQUESTER_FROM: i16 = 3;

fn known(codes: [i8; 4]) -> Result<(), Refusal> {
    if codes.contains(&UNKNOWN) {
        return Err(Refusal::Told("a request about ACLs with the code 0, which means none of Kafka's"));
    }
    Ok(())
}

pub(crate) fn describe_acls(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let asked: DescribeAclsRequest = call.owned()?;
    known([asked.pattern_type_filter, asked.resource_type_filter, asked.permission_type, asked.operation])?;
    call.reply(&DescribeAclsResponse {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some("No Authorizer is configured on the broker".into()),
        ..Default::default()
    })
}

pub(crate) fn create_acls(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let asked: CreateAclsRequest = call.owned()?;
    for acl in &asked.creations {
        known([acl.resource_pattern_type, acl.resource_type, acl.permission_type, acl.operation])?;
    }
    call.afford(asked.creations.len(), size_of::<AclCreationResult>() + 2 * NO_AUTHORIZER.len())?;
    let result = AclCreationResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some(NO_AUTHORIZER.into()),
    };
    call.reply(&CreateAclsResponse { results: vec![result; asked.creations.len()], ..Default::default() })
}

pub(crate) fn delete_acls(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let asked: DeleteAclsRequest = call.owned()?;
    for filter in &asked.filters {
        known([
            filter.pattern_type_filter,
            filter.resource_type_filter,
            filter.operation,
            filter.permission_type,
        ])?;
    }
    call.afford(asked.filters.len(), size_of::<DeleteAclsFilterResult>() + 2 * NO_AUTHORIZER.len())?;
    let result = DeleteAclsFilterResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some(NO_AUTHORIZER.into()),
        ..Default::default()
    };
    call.reply(&DeleteAclsResponse {
        filter_results: vec![result; asked.filters.len()],
        ..Default::default()
    })
}

/// Why there are no tokens, and the time that goes with it. Who comes over a plain connection may not even ask (Kafka
/// says that there is no time); a request that a broker passed on has been let through there, and no node has a secret
/// key to make tokens with (Kafka says nothing about time).
fn tokens_refused(call: &Call<'_>) -> (i16, i64) {
    if call.peer.forwarded {
        (ErrorCode::DelegationTokenAuthDisabled.code(), 0)
    } else {
        (ErrorCode::DelegationTokenRequestNotAllowed.code(), -1)
    }
}

pub(crate) fn create_token(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let asked: CreateDelegationTokenRequest = call.owned()?;
    let (owner_type, owner) = match asked.owner_principal_name {
        Some(name) if !name.is_empty() => (asked.owner_principal_type.unwrap_or_default(), name),
        _ => (USER.to_owned(), ANONYMOUS.to_owned()),
    };
    let (error_code, time) = tokens_refused(call);
    // Before version 3 whoever asked was the owner.
    let (requester_type, requester) =
        if call.version() >= REQUESTER_FROM { (USER, ANONYMOUS) } else { ("", "") };
    call.reply(&CreateDelegationTokenResponse {
        error_code,
        principal_type: owner_type,
        principal_name: owner,
        token_requester_principal_type: requester_type.into(),
        token_requester_principal_name: requester.into(),
        issue_timestamp_ms: time,
        expiry_timestamp_ms: time,
        max_timestamp_ms: time,
        ..Default::default()
    })
}

pub(crate) fn renew_token(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let _: RenewDelegationTokenRequest = call.owned()?;
    let (error_code, expiry_timestamp_ms) = tokens_refused(call);
    call.reply(&RenewDelegationTokenResponse { error_code, expiry_timestamp_ms, ..Default::default() })
}

pub(crate) fn expire_token(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let _: ExpireDelegationTokenRequest = call.owned()?;
    let (error_code, expiry_timestamp_ms) = tokens_refused(call);
    call.reply(&ExpireDelegationTokenResponse { error_code, expiry_timestamp_ms, ..Default::default() })
}

/// A controller tells that it knows the API, and has nobody behind it, as in Kafka.
pub(crate) fn describe_tokens(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let _: DescribeDelegationTokenRequest = call.owned()?;
    let error_code = match call.peer.listener {
        Listener::Broker => tokens_refused(call).0,
        Listener::Controller => ErrorCode::UnknownServerError.code(),
    };
    call.reply(&DescribeDelegationTokenResponse { error_code, ..Default::default() })
}
