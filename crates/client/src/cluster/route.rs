//! Where a request belongs, and when it is sent again: as Kafka's admin client does (`KafkaAdminClient.Call`).

use std::collections::BTreeMap;

use ottla_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use ottla_protocol::wire::Request;
use ottla_protocol::{ApiKey, ErrorCode};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep};

use super::view::Line;
use super::{Answer, Cluster, ClusterError, CoordinatorKind, Node, bootstrap};
use crate::{CallError, ConnectError};

/// How long nodes that cannot be connected to are tried: whoever sits before a terminal waits no longer.
const CONNECT_WITHIN: Duration = Duration::from_millis(4500);
/// FindCoordinator asks for several keys at once from this version on (KIP-699).
const SEVERAL_KEYS_FROM: i16 = 4;

/// Who is to answer.
#[derive(Clone, Copy)]
enum Target<'a> {
    Any,
    Controller,
    Node(i32),
    Coordinator(CoordinatorKind, &'a str),
}

impl Cluster {
    /// Asks whoever is there.
    ///
    /// # Errors
    /// [`ClusterError`]; errors within the answer are the caller's.
    pub async fn any<R: Request>(&self, request: &R) -> Result<R::Response, ClusterError>
    where
        R::Response: Answer,
    {
        self.routed(Target::Any, i16::MAX, request).await
    }

    /// Asks the controller: over any broker, which passes the request on, or the active one itself.
    ///
    /// # Errors
    /// [`ClusterError`]; errors within the answer are the caller's.
    pub async fn controller<R: Request>(&self, request: &R) -> Result<R::Response, ClusterError>
    where
        R::Response: Answer,
    {
        self.routed(Target::Controller, i16::MAX, request).await
    }

    /// Asks one node.
    ///
    /// # Errors
    /// [`ClusterError`]; errors within the answer are the caller's.
    pub async fn node<R: Request>(&self, id: i32, request: &R) -> Result<R::Response, ClusterError>
    where
        R::Response: Answer,
    {
        self.routed(Target::Node(id), i16::MAX, request).await
    }

    /// Asks the coordinator of a group, a transactional id or share-group state.
    ///
    /// # Errors
    /// [`ClusterError`]; errors within the answer are the caller's.
    pub async fn coordinator<R: Request>(
        &self,
        kind: CoordinatorKind,
        key: &str,
        request: &R,
    ) -> Result<R::Response, ClusterError>
    where
        R::Response: Answer,
    {
        self.routed(Target::Coordinator(kind, key), i16::MAX, request).await
    }

    /// As [`Cluster::coordinator`], in no later version than `most`.
    pub(crate) async fn coordinator_at<R: Request>(
        &self,
        kind: CoordinatorKind,
        key: &str,
        most: i16,
        request: &R,
    ) -> Result<R::Response, ClusterError>
    where
        R::Response: Answer,
    {
        self.routed(Target::Coordinator(kind, key), most, request).await
    }

    /// Asks the coordinator once; what follows from the answer, or from none, is the caller's.
    pub(crate) async fn ask_coordinator<R: Request>(
        &self,
        kind: CoordinatorKind,
        key: &str,
        request: &R,
        within: Duration,
    ) -> Result<R::Response, ClusterError> {
        let line = self.line_to(Target::Coordinator(kind, key)).await?;
        let version = line.connection.version_of::<R>().map_err(|why| failed(&line, R::NAME, why))?;
        let answer = line.connection.call_within(version, request, within).await;
        answer.map_err(|why| failed(&line, R::NAME, why))
    }

    /// Asks every live node, side by side; in the order of their ids.
    pub async fn each<R>(&self, request: &R) -> Vec<(Node, Result<R::Response, ClusterError>)>
    where
        R: Request + Clone + Send + Sync + 'static,
        R::Response: Answer + Send + 'static,
    {
        let nodes: Vec<Node> = self.nodes().into_iter().filter(|node| !node.fenced).collect();
        let mut calls = JoinSet::new();
        for (at, node) in nodes.iter().enumerate() {
            let (cluster, request, id) = (self.clone(), request.clone(), node.id);
            calls.spawn(async move { (at, cluster.node(id, &request).await) });
        }
        let mut answers: Vec<_> = nodes.iter().map(|_| None).collect();
        while let Some(done) = calls.join_next().await {
            match done {
                Ok((at, answer)) => answers[at] = Some(answer),
                Err(gone) => std::panic::resume_unwind(gone.into_panic()),
            }
        }
        let each = nodes.into_iter().zip(answers);
        each.map(|(node, answer)| (node, answer.expect("CLIENT-13 every call has ended"))).collect()
    }

    /// The coordinators of several keys, in one request where the servers can (KIP-699).
    ///
    /// # Errors
    /// [`ClusterError`] when nobody answers; a key without a coordinator has an error of its own.
    pub async fn find_coordinators(
        &self,
        kind: CoordinatorKind,
        keys: &[&str],
    ) -> Result<BTreeMap<String, Result<Node, ClusterError>>, ClusterError> {
        let until = Instant::now() + self.0.settings.call_timeout;
        let mut found: BTreeMap<String, Result<Node, ClusterError>> = BTreeMap::new();
        let mut left: Vec<&str> = keys.to_vec();
        for failures in 1.. {
            for (key, answer) in self.ask_coordinators(kind, &left).await? {
                found.insert(key, answer);
            }
            left.retain(|key| match found.get(*key) {
                Some(Err(error)) => error.code().is_some_and(waits_for_coordinator),
                _ => false,
            });
            if left.is_empty() || Instant::now() > until {
                break;
            }
            sleep(self.pause(failures)).await;
        }
        Ok(found)
    }

    /// One FindCoordinator for all keys, or one each.
    async fn ask_coordinators(
        &self,
        kind: CoordinatorKind,
        keys: &[&str],
    ) -> Result<Vec<(String, Result<Node, ClusterError>)>, ClusterError> {
        let line = self.any_line().await?;
        let several = line
            .connection
            .version_of::<FindCoordinatorRequest>()
            .map_err(|why| failed(&line, "FindCoordinator", why))?
            >= SEVERAL_KEYS_FROM;
        let mut answers = Vec::new();
        for asked in keys.chunks(if several { keys.len().max(1) } else { 1 }) {
            let mut request = FindCoordinatorRequest { key_type: kind as i8, ..Default::default() };
            if several {
                request.coordinator_keys = asked.iter().map(|key| (*key).to_owned()).collect();
            } else {
                asked[0].clone_into(&mut request.key);
            }
            let answer: FindCoordinatorResponse = self.any(&request).await?;
            if !several {
                let node = (answer.node_id, answer.host, answer.port);
                let told = found_node(node, answer.error_code, answer.error_message);
                answers.push((asked[0].to_owned(), told));
                continue;
            }
            for told in answer.coordinators {
                let node = (told.node_id, told.host, told.port);
                answers.push((told.key, found_node(node, told.error_code, told.error_message)));
            }
        }
        Ok(answers)
    }

    /// The coordinator's id: the one that is known, or asked for.
    pub(crate) async fn coordinator_id(&self, kind: CoordinatorKind, key: &str) -> Result<i32, ClusterError> {
        let known = self.0.coordinators.lock().get(&(kind, key.to_owned())).copied();
        if let Some(id) = known {
            return Ok(id);
        }
        let mut answers = self.ask_coordinators(kind, &[key]).await?;
        let node = answers.pop().ok_or(ClusterError::of_code("FindCoordinator", -1, None))?.1?;
        let known = self.0.view.read().nodes.iter().any(|there| there.id == node.id);
        if !known {
            self.refresh().await?;
        }
        self.0.coordinators.lock().insert((kind, key.to_owned()), node.id);
        Ok(node.id)
    }

    /// The coordinator is not there any more.
    pub(crate) fn forget_coordinator(&self, kind: CoordinatorKind, key: &str) {
        self.0.coordinators.lock().remove(&(kind, key.to_owned()));
    }

    async fn line_to(&self, target: Target<'_>) -> Result<Line, ClusterError> {
        match target {
            Target::Any => self.any_line().await,
            // Before the first answer nobody knows who leads; whoever is asked tells.
            Target::Controller if self.0.controllers && self.controller_id() >= 0 => {
                self.line(self.controller_id()).await
            }
            Target::Controller => self.any_line().await,
            Target::Node(id) => self.line(id).await,
            Target::Coordinator(kind, key) => {
                let id = Box::pin(self.coordinator_id(kind, key)).await?;
                self.line(id).await
            }
        }
    }

    /// Sends until there is an answer that does not ask for another attempt, or time is over.
    async fn routed<R: Request>(
        &self,
        target: Target<'_>,
        most: i16,
        request: &R,
    ) -> Result<R::Response, ClusterError>
    where
        R::Response: Answer,
    {
        let began = Instant::now();
        let until = began + self.0.settings.call_timeout;
        let mut unreachable_since: Option<Instant> = None;
        for attempt in 1.. {
            let error = match self.line_to(target).await {
                Ok(line) => {
                    unreachable_since = None;
                    match self.once(&line, most, request, until).await {
                        Ok(answer) if !asks_again(R::KEY, &answer) => return Ok(answer),
                        Ok(answer) if Instant::now() >= until => return Ok(answer),
                        Ok(answer) => ClusterError::of_code(R::NAME, first_code(&answer), None),
                        Err(error) => {
                            self.leave_first(&line.connection);
                            error
                        }
                    }
                }
                Err(error) => error,
            };
            if !passes(&error) {
                return Err(error);
            }
            let now = Instant::now();
            // No node can be reached, and the bootstrap servers were tried already.
            if let (Target::Any | Target::Controller, ClusterError::Bootstrap { .. }) = (target, &error) {
                return Err(error);
            }
            if matches!(error, ClusterError::Connect { .. } | ClusterError::UnknownNode(_)) {
                let since = *unreachable_since.get_or_insert(now);
                if now - since > CONNECT_WITHIN {
                    return Err(no_node::<R>(error));
                }
            }
            let pause = self.pause(attempt);
            if now + pause >= until {
                // A call that no node could be given was not tried: so Java's client says, too.
                return Err(match unreachable_since {
                    Some(_) => no_node::<R>(error),
                    None => out_of_time::<R>(attempt, now - began, error),
                });
            }
            sleep(pause).await;
            if let Target::Coordinator(kind, key) = target {
                self.forget_coordinator(kind, key);
            }
            // Whatever went wrong, the picture of the cluster may be old. An answer that does not come is no news.
            if !matches!(target, Target::Any) {
                let _ = Box::pin(self.refresh_once()).await;
            }
        }
        unreachable!("CLIENT-14 attempts do not run out")
    }

    /// One attempt to see the nodes anew.
    async fn refresh_once(&self) -> Result<(), ClusterError> {
        self.refresh().await
    }

    async fn once<R: Request>(
        &self,
        line: &Line,
        most: i16,
        request: &R,
        until: Instant,
    ) -> Result<R::Response, ClusterError> {
        let left = until.saturating_duration_since(Instant::now());
        let within = self.0.settings.options.request_timeout.min(left).max(Duration::from_millis(1));
        let version = line.connection.version_of::<R>().map_err(|why| failed(line, R::NAME, why))?.min(most);
        let answer = line.connection.call_within(version, request, within).await;
        answer.map_err(|why| failed(line, R::NAME, why))
    }
}

fn failed(line: &Line, api: &'static str, why: CallError) -> ClusterError {
    ClusterError::Call { at: line.at.clone(), api: api.strip_suffix("Request").unwrap_or(api), why }
}

fn found_node(
    (id, host, port): (i32, String, i32),
    code: i16,
    message: Option<String>,
) -> Result<Node, ClusterError> {
    if code != 0 {
        return Err(ClusterError::of_code("FindCoordinator", code, message));
    }
    Ok(Node { id, host, port: port as u16, rack: None, fenced: false })
}

fn waits_for_coordinator(code: ErrorCode) -> bool {
    use ErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    matches!(code, CoordinatorLoadInProgress | CoordinatorNotAvailable | NotCoordinator)
}

/// Whether everything in the answer says: not here, not now. Of an answer that is good in part the caller decides.
fn asks_again<A: Answer>(api: i16, answer: &A) -> bool {
    // Of topics' leaders whoever asks has a picture of its own; the quorum's is found like the controller.
    let of_quorum = api == ApiKey::DescribeQuorum as i16;
    // The transaction before this one is being ended.
    let of_transaction = api == ApiKey::InitProducerId as i16 || api == ApiKey::EndTxn as i16;
    let (mut any, mut all) = (false, true);
    answer.codes(&mut |code| {
        any = true;
        all &= ErrorCode::from_i16(code).is_some_and(|code| {
            waits_for_coordinator(code)
                || matches!(code, ErrorCode::NotController | ErrorCode::ThrottlingQuotaExceeded)
                || of_quorum && code == ErrorCode::NotLeaderOrFollower
                || of_transaction && code == ErrorCode::ConcurrentTransactions
        });
    });
    any && all
}

fn first_code<A: Answer>(answer: &A) -> i16 {
    let mut first = None;
    answer.codes(&mut |code| first = first.or(Some(code)));
    first.unwrap_or(0)
}

/// Whether another attempt may end differently.
fn passes(error: &ClusterError) -> bool {
    match error {
        ClusterError::Call { why: CallError::Closed(_) | CallError::Timeout(_), .. } => true,
        ClusterError::Connect { why, .. } => !matches!(why, ConnectError::Unresolved { .. }),
        ClusterError::UnknownNode(_) | ClusterError::Bootstrap { .. } => true,
        ClusterError::Code { code, .. } => {
            use ErrorCode::{
                ConcurrentTransactions, NotController, NotLeaderOrFollower, ThrottlingQuotaExceeded,
            };
            waits_for_coordinator(*code)
                || matches!(
                    code,
                    ConcurrentTransactions | NotController | NotLeaderOrFollower | ThrottlingQuotaExceeded
                )
        }
        _ => false,
    }
}

/// A request's name as Java's admin client names the call.
fn call_name<R: Request>() -> String {
    let api = ApiKey::from_i16(R::KEY).map_or(R::NAME, ApiKey::name);
    let mut letters = api.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

fn no_node<R: Request>(cause: ClusterError) -> ClusterError {
    let text = format!("Timed out waiting for a node assignment. Call: {}", call_name::<R>());
    ClusterError::Timeout { text, cause: Box::new(cause) }
}

fn out_of_time<R: Request>(attempts: u32, after: Duration, cause: ClusterError) -> ClusterError {
    let (name, after) = (call_name::<R>(), after.as_millis());
    let text = format!("Call(callName={name}) timed out after {after} ms and {attempts} attempt(s)");
    ClusterError::Timeout { text, cause: Box::new(cause) }
}

/// `host:port` of a node.
impl Node {
    /// `host:port`, an IPv6 address in brackets.
    pub fn address(&self) -> String {
        bootstrap::address(&self.host, self.port)
    }
}
