//! AlterPartitionReassignments and ListPartitionReassignments (KIP-455).

use ottla_metadata::Decision;
use ottla_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use crate::dispatch::Call;
use crate::reply::{Outcome, Refusal};

pub(crate) fn alter(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let mut request: AlterPartitionReassignmentsRequest = call.owned()?;
    if call.version() == 0 {
        // The field came later; before, the factor could always change.
        request.allow_replication_factor_change = true;
    }
    let (node, to) = (call.node().clone(), call.reply_to());
    Ok(Outcome::Later(Box::pin(async move {
        let answer = node.controller().ask(&node, request.timeout_ms, move |turn| {
            turn.controller.view().alter_partition_reassignments(&request)
        });
        let body = answer.await.unwrap_or_else(|error| AlterPartitionReassignmentsResponse {
            error_code: error.code().code(),
            error_message: Some(error.to_string()),
            ..Default::default()
        });
        to.with(&body)
    })))
}

pub(crate) fn list(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: ListPartitionReassignmentsRequest = call.owned()?;
    let (node, to) = (call.node().clone(), call.reply_to());
    Ok(Outcome::Later(Box::pin(async move {
        let answer = node.controller().ask(&node, request.timeout_ms, move |turn| {
            Decision::read(turn.controller.view().list_partition_reassignments(&request))
        });
        let body = answer.await.unwrap_or_else(|error| ListPartitionReassignmentsResponse {
            error_code: error.code().code(),
            error_message: Some(error.to_string()),
            ..Default::default()
        });
        to.with(&body)
    })))
}
