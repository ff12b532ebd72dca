//! InitProducerId (key 22): producer ids for idempotent producers, and for transactional ids by their coordinator.
//!
//! Ids come from the controller in blocks and are handed out one by one (Kafka's `RPCProducerIdManager`). The next block
//! is asked for before the one in use has ended, and the first one when this broker begins to serve: producers that
//! come while there is no controller get their ids all the same.

use std::ops::Range;
use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    AllocateProducerIdsRequest, InitProducerIdRequest, InitProducerIdRequestView, InitProducerIdResponse,
};
use ottla_transactions::{Request, Response};
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::dispatch::Call;
use crate::handle::transactions;
use crate::node::Node;
use crate::reply::{Outcome, Refusal};

/// The first version that knows PRODUCER_FENCED.
const FENCED_FROM: i16 = 4;
const NO_PRODUCER_ID: i64 = -1;
const NO_PRODUCER_EPOCH: i16 = -1;
/// With so many left another block is asked for: a tenth of a block, as in Kafka.
const LOW: i64 = 100;
/// How long a new block may take.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) fn handle(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: InitProducerIdRequestView<'_> = call.view()?;
    let former = if call.version() >= 3 {
        (request.producer_id, request.producer_epoch)
    } else {
        (NO_PRODUCER_ID, NO_PRODUCER_EPOCH)
    };
    if let Some(error) = refusal(former) {
        return call.reply(&refused(error));
    }
    if request.transactional_id.is_some() {
        return for_transactional_id(call, former);
    }
    // Without a transactional id nothing ties the producer to its former life: it always gets a new id.
    let node = call.node();
    if let Some(id) = node.producer_ids().at_hand() {
        if node.producer_ids().runs_low() {
            let node = node.clone();
            tokio::task::spawn_local(async move { node.producer_ids().prepare(&node).await });
        }
        return call.reply(&granted(id));
    }
    let (node, to) = (node.clone(), call.reply_to());
    Ok(Outcome::Later(Box::pin(async move {
        let id = node.producer_ids().next(&node).await;
        to.with(&id.map_or_else(refused, granted))
    })))
}

/// The coordinator of the transactional id says which producer id and epoch it has.
fn for_transactional_id(call: &Call<'_>, former: (i64, i16)) -> Result<Outcome, Refusal> {
    let mut request: InitProducerIdRequest = call.owned()?;
    (request.producer_id, request.producer_epoch) = former;
    let (version, node, to) = (call.version(), call.node().clone(), call.reply_to());
    Ok(Outcome::Later(Box::pin(async move {
        let id = request.transactional_id.as_deref().unwrap_or_default();
        let partition = node.transaction_partition(id);
        if let Err(error) = transactions::stock(&node, partition).await {
            return to.with(&refused(error));
        }
        let answer = node.transactions().ask(partition, Request::InitProducerId(request));
        let Some(Response::InitProducerId(mut body)) = answer.wait().await else {
            return to.with(&refused(ErrorCode::NotCoordinator));
        };
        body.error_code = transactions::fenced_as_known(body.error_code, version, FENCED_FROM);
        to.with(&body)
    })))
}

/// A producer's id and epoch come together or not at all.
fn refusal((id, epoch): (i64, i16)) -> Option<ErrorCode> {
    let half_known = (id == NO_PRODUCER_ID) != (epoch == NO_PRODUCER_EPOCH);
    half_known.then_some(ErrorCode::InvalidRequest)
}

fn granted(producer_id: i64) -> InitProducerIdResponse {
    InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() }
}

fn refused(error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error_code: error.code(),
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        ..Default::default()
    }
}

/// Producer ids that nobody has had.
#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    blocks: Mutex<Blocks>,
    refill: tokio::sync::Mutex<()>,
}

/// The block in use, and the one after it.
#[derive(Debug, Default)]
struct Blocks {
    left: Range<i64>,
    next: Range<i64>,
}

impl ProducerIds {
    /// One of the blocks, if they have one left.
    fn at_hand(&self) -> Option<i64> {
        let mut blocks = self.blocks.lock();
        if blocks.left.is_empty() {
            blocks.left = std::mem::take(&mut blocks.next);
        }
        blocks.left.next()
    }

    /// One that nobody has had.
    ///
    /// # Errors
    /// As [`ProducerIds::next`].
    pub(crate) async fn give(&self, node: &Node) -> Result<i64, ErrorCode> {
        match self.at_hand() {
            Some(id) => Ok(id),
            None => self.next(node).await,
        }
    }

    /// Whether it is time for another block.
    fn runs_low(&self) -> bool {
        let blocks = self.blocks.lock();
        blocks.next.is_empty() && blocks.left.end - blocks.left.start <= LOW
    }

    fn fill(&self, block: Range<i64>) {
        let mut blocks = self.blocks.lock();
        match blocks.left.is_empty() {
            true => blocks.left = block,
            false => blocks.next = block,
        }
    }

    /// Asks for a block before it is needed. That none comes is told, and no more: the next producer asks again.
    pub(crate) async fn prepare(&self, node: &Node) {
        // Somebody asks already.
        let Ok(_turn) = self.refill.try_lock() else { return };
        if self.runs_low()
            && let Ok(block) = allocate(node).await
        {
            self.fill(block);
        }
    }

    /// One of the blocks, or of a new one.
    ///
    /// # Errors
    /// COORDINATOR_LOAD_IN_PROGRESS, on which clients ask again, when the controller gives no block.
    async fn next(&self, node: &Node) -> Result<i64, ErrorCode> {
        // One asks for the block, the others wait for it.
        let _turn = self.refill.lock().await;
        if let Some(id) = self.at_hand() {
            return Ok(id);
        }
        self.fill(allocate(node).await?);
        self.at_hand().ok_or(ErrorCode::CoordinatorLoadInProgress)
    }
}

async fn allocate(node: &Node) -> Result<Range<i64>, ErrorCode> {
    let controller = node.controller();
    let request =
        AllocateProducerIdsRequest { broker_id: node.node_id(), broker_epoch: controller.broker_epoch() };
    match controller.ask_controller(request, BLOCK_TIMEOUT).await {
        Ok(response) if response.error_code == 0 => {
            let first = response.producer_id_start;
            let block = first..first + i64::from(response.producer_id_len);
            info!(
                "[ProducerIdManager id={}] new block of producer ids: {first} to {}",
                node.node_id(),
                block.end - 1
            );
            Ok(block)
        }
        Ok(response) => {
            warn!("no block of producer ids: error {}", response.error_code);
            Err(ErrorCode::CoordinatorLoadInProgress)
        }
        Err(error) => {
            warn!("no block of producer ids: {error}");
            Err(ErrorCode::CoordinatorLoadInProgress)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_handed_out_once() {
        let ids = ProducerIds::default();
        assert_eq!(ids.at_hand(), None);
        ids.fill(1000..1003);
        ids.fill(5000..5001);
        let got = [(); 5].map(|()| ids.at_hand());
        assert_eq!(got, [Some(1000), Some(1001), Some(1002), Some(5000), None]);
    }

    #[test]
    fn the_next_block_is_asked_for_before_the_last_id_is_gone() {
        let ids = ProducerIds::default();
        assert!(ids.runs_low(), "the first block is asked for before anybody wants an id");
        ids.fill(0..LOW + 2);
        assert!(ids.at_hand().is_some() && !ids.runs_low());
        assert!(ids.at_hand().is_some() && ids.runs_low());
        ids.fill(7000..8000);
        assert!(!ids.runs_low(), "it is there already");
    }

    #[test]
    fn ids_and_epochs_come_together() {
        assert_eq!(refusal((-1, -1)), None);
        assert_eq!(refusal((7, 2)), None);
        for bad in [refusal((7, -1)), refusal((-1, 0))] {
            assert_eq!(bad, Some(ErrorCode::InvalidRequest));
        }
    }
}
