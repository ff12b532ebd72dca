//! Blocks of producer ids, handed to brokers.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::allocate_producer_ids_request::AllocateProducerIdsRequest;
use ottla_protocol::messages::allocate_producer_ids_response::AllocateProducerIdsResponse;
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::metadata_records::producer_ids_record::ProducerIdsRecord;

use super::{Decision, View};

/// Ids in a block.
pub const PRODUCER_ID_BLOCK: i32 = 1_000;

impl View<'_> {
    /// Gives a broker the next block of producer ids (AllocateProducerIds).
    pub fn allocate_producer_ids(
        &self,
        request: &AllocateProducerIdsRequest,
    ) -> Decision<AllocateProducerIdsResponse> {
        let refuse = |code: ErrorCode| {
            Decision::read(AllocateProducerIdsResponse {
                error_code: code.code(),
                ..AllocateProducerIdsResponse::default()
            })
        };
        if let Err(refusal) = self.check_broker_epoch(request.broker_id, request.broker_epoch) {
            return refuse(refusal.code);
        }
        let first = self.image.next_producer_id.0.max(0);
        let Some(next) = first.checked_add(PRODUCER_ID_BLOCK.into()) else {
            return refuse(ErrorCode::UnknownServerError);
        };
        let record = ProducerIdsRecord {
            broker_id: request.broker_id,
            broker_epoch: request.broker_epoch,
            next_producer_id: next,
        };
        let response = AllocateProducerIdsResponse {
            throttle_time_ms: 0,
            error_code: 0,
            producer_id_start: first,
            producer_id_len: PRODUCER_ID_BLOCK,
        };
        Decision::of(vec![(MetadataRecord::ProducerIdsRecord(record), 0)], response)
    }
}
