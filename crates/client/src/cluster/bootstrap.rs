//! The way into a cluster: every bootstrap address is tried side by side, the first that answers is used.

use std::time::Duration;

use ottla_protocol::messages::DescribeClusterRequest;
use ottla_protocol::{ApiKey, ErrorCode};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{ClusterError, Settings};
use crate::{CallError, ConnectError, Connection, Options, Peer};

/// How long a resolver may think about a name.
const RESOLVE_WITHIN: Duration = Duration::from_secs(4);
/// Addresses that all refuse are tried again this long: a server may be about to listen.
const REFUSED_WITHIN: Duration = Duration::from_secs(3);
/// The pause between two rounds.
const PAUSE: Duration = Duration::from_millis(100);
/// How long the other addresses are waited for once one has answered.
const OTHERS_WITHIN: Duration = Duration::from_millis(15);

/// An address that did not answer: its number in the list (-1 is the first, -2 the next, as Kafka's clients count), the
/// address as it was given, and the cause.
pub(super) type Failure = (i32, String, ConnectError);

/// A connection to the first address that answered, and those that did not.
pub(super) struct Found {
    pub(super) at: String,
    pub(super) connection: Connection,
    pub(super) failures: Vec<Failure>,
}

/// The addresses of a list, as Kafka's `ClientUtils` reads one.
pub(super) fn parse(list: &str, key: &str) -> Result<Vec<Peer>, ClusterError> {
    let mut peers = Vec::new();
    for url in list.split(',').map(str::trim).filter(|url| !url.is_empty()) {
        let (host, port) =
            split(url).ok_or_else(|| ClusterError::BadBootstrap(format!("Invalid url in {key}: {url}")))?;
        let port =
            port.parse().map_err(|_| ClusterError::BadBootstrap(format!("Invalid port in {key}: {url}")))?;
        peers.push(Peer { id: -1 - peers.len() as i32, host: host.to_owned(), port });
    }
    if peers.is_empty() {
        return Err(ClusterError::BadBootstrap(format!("No resolvable bootstrap urls given in {key}")));
    }
    Ok(peers)
}

/// Host and port of `host:port`, `[v6]:port` or `protocol://host:port`.
fn split(url: &str) -> Option<(&str, &str)> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, port) = rest.rsplit_once(':')?;
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    let sound = |letter: char| letter.is_ascii_alphanumeric() || "-%._:".contains(letter);
    let right =
        !host.is_empty() && host.chars().all(sound) && port.bytes().all(|digit| digit.is_ascii_digit());
    (right && !port.is_empty()).then_some((host, port))
}

/// `host:port` of a peer, an IPv6 address in brackets.
pub(super) fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Tries all of `peers` at once, and all of them again while every one refuses.
pub(super) async fn first(peers: &[Peer], settings: &Settings) -> Result<Found, ClusterError> {
    let until = Instant::now() + REFUSED_WITHIN;
    loop {
        let failures = match round(peers, settings).await {
            Ok(found) => return Ok(found),
            Err(failures) => failures,
        };
        let passing =
            |failure: &Failure| failure.2.is_refused() || matches!(failure.2, ConnectError::NotYet { .. });
        if !failures.iter().any(passing) || Instant::now() + PAUSE > until {
            let attempts = failures.into_iter().map(|(_, address, why)| (address, why)).collect();
            return Err(ClusterError::Bootstrap { attempts });
        }
        sleep(PAUSE).await;
    }
}

async fn round(peers: &[Peer], settings: &Settings) -> Result<Found, Vec<Failure>> {
    let mut attempts = JoinSet::new();
    for (at, peer) in peers.iter().enumerate() {
        let (peer, options) = (peer.clone(), settings.options.clone());
        attempts.spawn(async move { (at, connect(&peer, &options).await) });
    }
    let mut failed: Vec<Option<ConnectError>> = peers.iter().map(|_| None).collect();
    let mut found: Option<(usize, Connection)> = None;
    let mut until = None;
    loop {
        let next = match until {
            None => attempts.join_next().await,
            Some(until) => timeout_at(until, attempts.join_next()).await.unwrap_or(None),
        };
        match next {
            None => break,
            Some(Ok((at, Ok(connection)))) if found.is_none() => {
                until = Some(Instant::now() + OTHERS_WITHIN);
                found = Some((at, connection));
            }
            Some(Ok((_, Ok(_)))) => {}
            Some(Ok((at, Err(why)))) => failed[at] = Some(why),
            Some(Err(gone)) => std::panic::resume_unwind(gone.into_panic()),
        }
    }
    let named = peers.iter().map(|peer| (peer.id, address(&peer.host, peer.port)));
    let failures = named.zip(failed).filter_map(|((id, name), why)| Some((id, name, why?))).collect();
    match found {
        Some((at, connection)) => {
            let at = address(&peers[at].host, peers[at].port);
            Ok(Found { at, connection, failures })
        }
        None => Err(failures),
    }
}

async fn connect(peer: &Peer, options: &Options) -> Result<Connection, ConnectError> {
    // A resolver whose servers are silent thinks longer than anybody waits.
    let known = timeout(RESOLVE_WITHIN, tokio::net::lookup_host((peer.host.as_str(), peer.port)));
    if known.await.is_err() {
        let why = Some(format!("no word from the resolver within {} ms", RESOLVE_WITHIN.as_millis()));
        return Err(ConnectError::Unresolved { host: peer.host.clone(), why });
    }
    let connection = Connection::connect(&peer.host, peer.port, options).await?;
    serves(&connection, peer).await?;
    Ok(connection)
}

/// A broker that waits for its controllers says so when it is asked for the cluster; others may serve meanwhile.
async fn serves(connection: &Connection, peer: &Peer) -> Result<(), ConnectError> {
    let versions = connection.versions();
    // Controllers are asked in another way, and old brokers not at all.
    if versions.of(ApiKey::Metadata).is_none() || connection.version_of::<DescribeClusterRequest>().is_err() {
        return Ok(());
    }
    let (host, port) = (peer.host.clone(), peer.port);
    match connection.call(&DescribeClusterRequest::default()).await {
        Ok(answer) if answer.error_code == ErrorCode::BrokerNotAvailable.code() => {
            Err(ConnectError::NotYet { host, port, why: answer.error_message.unwrap_or_default() })
        }
        Err(why @ (CallError::Closed(_) | CallError::Timeout(_))) => {
            Err(ConnectError::Handshake { host, port, why })
        }
        // Whatever else it says of the cluster is not this question.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Whether the other side is what was asked for: controllers do not serve Metadata, brokers do.
pub(super) fn right_listener(found: &Found, controllers: bool) -> Result<(), ClusterError> {
    let is_controller = found.connection.versions().of(ApiKey::Metadata).is_none();
    if is_controller == controllers {
        return Ok(());
    }
    Err(ClusterError::WrongListener { at: found.at.clone(), is_controller })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_kafka_reads_them() {
        let peers = parse(" a:1, ,PLAINTEXT://b.c:22,[::1]:333", "bootstrap.servers").unwrap();
        let read: Vec<_> = peers.iter().map(|peer| (peer.id, peer.host.as_str(), peer.port)).collect();
        assert_eq!(read, [(-1, "a", 1), (-2, "b.c", 22), (-3, "::1", 333)]);
        assert_eq!(address("::1", 333), "[::1]:333");
    }

    #[test]
    fn complaints_are_worded_as_kafka_words_them() {
        let complaint = |list| parse(list, "bootstrap.servers").unwrap_err().to_string();
        assert_eq!(complaint("localhost"), "Invalid url in bootstrap.servers: localhost");
        assert_eq!(complaint("a:b"), "Invalid url in bootstrap.servers: a:b");
        assert_eq!(complaint("a:99999"), "Invalid port in bootstrap.servers: a:99999");
        assert_eq!(complaint(" ,"), "No resolvable bootstrap urls given in bootstrap.servers");
    }
}
