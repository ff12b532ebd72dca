//! Requests of clients that come before this broker serves: while it waits for the quorum, or to be taken in.
//!
//! Apache Kafka does not listen by then. Here the port is bound first of all, so that a port that is taken is told at
//! once; who connects is answered as soon as there is something to say. ApiVersions is answered in any case. What else
//! is asked waits a moment, since most starts are over in that time. Then the connection is closed, so that clients
//! try another server, as they do where nobody listens; DescribeCluster has room for a reason, and gives it. Replicas
//! wait as long as it takes: they have no other place to go.

use std::rc::Rc;
use std::time::Duration;

use ottla_protocol::frame::RequestHead;
use ottla_protocol::messages::DescribeClusterResponse;
use ottla_protocol::{ApiKey, ErrorCode};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::connection::Peer;
use crate::dispatch::dispatch;
use crate::network::NetThread;
use crate::reply::{Outcome, Refusal, ReplyTo};

/// How long a client waits for this broker to serve.
const PATIENCE: Duration = Duration::from_secs(1);

/// Answers once this broker serves, or says why it does not.
pub(crate) fn answer(
    thread: &Rc<NetThread>,
    peer: &Rc<Peer>,
    head: &RequestHead<'_>,
    frame: &[u8],
) -> Result<Outcome, Refusal> {
    let (api, to) = (head.api, ReplyTo::from(head));
    // Its answer may be none at all, and then nothing can be said later.
    if api == ApiKey::Produce {
        return Err(Refusal::NotYet);
    }
    let (thread, peer, frame) = (thread.clone(), peer.clone(), frame.to_vec());
    Ok(Outcome::Later(Box::pin(async move {
        if !serves(thread.node.serving(), patience(api)).await {
            if api != ApiKey::DescribeCluster {
                return Err(Refusal::NotYet);
            }
            let obstacles = thread.node.observe().obstacles;
            let why = obstacles.into_iter().next().unwrap_or_else(|| Refusal::NotYet.to_string());
            return to.with(&unavailable(why));
        }
        match dispatch(&thread, &peer, &frame)? {
            Outcome::Reply(reply) => Ok(reply),
            Outcome::Later(pending) | Outcome::Alone(pending) => pending.await,
            Outcome::Silence => Err(Refusal::NotYet),
        }
    })))
}

fn patience(api: ApiKey) -> Option<Duration> {
    (!matches!(api, ApiKey::Fetch | ApiKey::ListOffsets | ApiKey::OffsetForLeaderEpoch)).then_some(PATIENCE)
}

/// Whether this broker serves by then; without a limit it is waited for until this node ends.
async fn serves(mut serving: watch::Receiver<bool>, patience: Option<Duration>) -> bool {
    let there = serving.wait_for(|serves| *serves);
    match patience {
        Some(patience) => timeout(patience, there).await.is_ok_and(|there| there.is_ok()),
        None => there.await.is_ok(),
    }
}

fn unavailable(why: String) -> DescribeClusterResponse {
    DescribeClusterResponse {
        error_code: ErrorCode::BrokerNotAvailable.code(),
        error_message: Some(why),
        controller_id: -1,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn clients_wait_a_moment_and_replicas_for_as_long_as_it_takes() {
        assert_eq!(patience(ApiKey::Metadata), Some(PATIENCE));
        assert_eq!(patience(ApiKey::Fetch), None, "a follower has no other place to go");
        let node = watch::Sender::new(false);
        assert!(!serves(node.subscribe(), Some(Duration::from_millis(1))).await, "the moment is over");
        let (replica, client) =
            (serves(node.subscribe(), None), serves(node.subscribe(), Some(PATIENCE * 60)));
        node.send_replace(true);
        assert!(client.await && replica.await);
    }

    #[test]
    fn the_reason_is_in_the_answer() {
        let answer = unavailable("Waiting for controller quorum".to_owned());
        assert_eq!(answer.error_code, ErrorCode::BrokerNotAvailable.code());
        assert_eq!(answer.error_message.as_deref(), Some("Waiting for controller quorum"));
    }
}
