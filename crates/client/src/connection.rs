//! One connection to one node: typed calls in flight side by side, each with its deadline.

use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::ApiKey;
use ottla_protocol::frame::{LENGTH_BYTES, RequestHead};
use ottla_protocol::wire::{Message, Reader, Request, Writer};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::handshake::{self, Versions};
use crate::io::{self, Outgoing, Pending};
use crate::posted::Posted;
use crate::{CallError, CloseReason, ConnectError};

/// Requests that may wait for the socket; whoever sends more waits.
const OUTGOING: usize = 256;
/// An address that is silent for this long is asked anew: the system itself asks again more and more rarely.
const SILENCE: Duration = Duration::from_secs(2);

/// How a connection behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name that is put into every request's head.
    pub client_id: String,
    /// Time for name, connection and first exchange together.
    pub connect_timeout: Duration,
    /// What that time grows to where connecting fails again and again ([`Options::patience`]).
    pub connect_timeout_most: Duration,
    /// `SO_RCVBUF`; `None` leaves it to the system, which lets it grow with what arrives.
    pub receive_buffer_bytes: Option<u32>,
    /// Time for a call, unless the call says otherwise.
    pub request_timeout: Duration,
    /// The largest frame that is sent or taken.
    pub max_frame_bytes: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            client_id: "ottla".to_owned(),
            connect_timeout: Duration::from_secs(10),
            connect_timeout_most: Duration::from_secs(30),
            receive_buffer_bytes: None,
            request_timeout: Duration::from_secs(30),
            max_frame_bytes: 100 << 20,
        }
    }
}

impl Options {
    /// The time for connecting after so many failures in a row: twice as long each time, up to the longest.
    pub fn patience(&self, failures: u32) -> Duration {
        self.connect_timeout.saturating_mul(1 << failures.min(16)).min(self.connect_timeout_most)
    }
}

/// A connection. Clones share it; it is closed when the last one is gone. A call that is dropped is given up.
#[derive(Clone)]
pub struct Connection(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    client_id: String,
    request_timeout: Duration,
    max_frame_bytes: usize,
    next_correlation: AtomicI32,
    outgoing: mpsc::Sender<Outgoing>,
    pending: Arc<Pending>,
    ended: watch::Receiver<Option<CloseReason>>,
    close: Arc<Notify>,
    versions: Versions,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("address", &self.0.address).finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects, and asks for the versions of the APIs. Every address of the name is tried in turn.
    ///
    /// # Errors
    /// [`ConnectError`], which tells a host that refuses from one that is silent and a name that has no address.
    pub async fn connect(host: &str, port: u16, options: &Options) -> Result<Connection, ConnectError> {
        let deadline = Instant::now() + options.connect_timeout;
        let late = || ConnectError::Timeout { host: host.to_owned(), port, after: options.connect_timeout };
        let stream = match timeout_at(deadline, dial(host, port, options.receive_buffer_bytes)).await {
            Ok(stream) => stream?,
            Err(_) => return Err(late()),
        };
        let address = stream.peer_addr().map_err(|error| io_error(host, port, &error))?;
        let (outgoing, requests) = mpsc::channel(OUTGOING);
        let (told, ended) = watch::channel(None);
        let (pending, close) = (Arc::new(Pending::default()), Arc::new(Notify::new()));
        let max = options.max_frame_bytes;
        tokio::spawn(io::run(stream, requests, pending.clone(), told, close.clone(), max));
        let mut inner = Inner {
            address,
            client_id: options.client_id.clone(),
            request_timeout: options.request_timeout,
            max_frame_bytes: max,
            next_correlation: AtomicI32::new(0),
            outgoing,
            pending,
            ended,
            close,
            versions: Versions::default(),
        };
        let first = Connection(Arc::new(inner));
        inner = match timeout_at(deadline, handshake::handshake(&first)).await {
            Ok(Ok(versions)) => {
                let inner = Arc::into_inner(first.0).expect("CLIENT-3 nobody else has the connection yet");
                Inner { versions, ..inner }
            }
            Ok(Err(CallError::Timeout(_))) | Err(_) => return Err(late()),
            Ok(Err(why)) => return Err(ConnectError::Handshake { host: host.to_owned(), port, why }),
        };
        Ok(Connection(Arc::new(inner)))
    }

    /// The address it goes to.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Whether both are the same connection.
    pub(crate) fn is_same(&self, other: &Connection) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What the other side speaks.
    pub fn versions(&self) -> &Versions {
        &self.0.versions
    }

    /// Calls in the highest version that both sides speak.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call<R: Request>(&self, request: &R) -> Result<R::Response, CallError> {
        let version = self.version_of::<R>()?;
        self.call_at(version, request).await
    }

    /// The version that [`Connection::call`] takes for `R`.
    ///
    /// # Errors
    /// [`CallError::Unsupported`].
    pub fn version_of<R: Request>(&self) -> Result<i16, CallError> {
        let api = api_of::<R>();
        self.0.versions.common(api, R::MIN_VERSION, api.info().highest(false).min(R::MAX_VERSION))
    }

    /// Calls in a version of the caller's choice, which the other side must speak.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call_at<R: Request>(&self, version: i16, request: &R) -> Result<R::Response, CallError> {
        self.call_within(version, request, self.0.request_timeout).await
    }

    /// [`Connection::call_at`] with a deadline of its own (a fetch or a join that waits on purpose).
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call_within<R: Request>(
        &self,
        version: i16,
        request: &R,
        within: Duration,
    ) -> Result<R::Response, CallError> {
        let api = api_of::<R>();
        self.0.versions.common(api, version, version)?;
        let body = self.exchange(api, version, request, Some(within)).await?;
        // Byte fields of the answer are slices of the received frame.
        Ok(R::Response::decode_sharing(&body, version)?)
    }

    /// Sends a body that is encoded already; the answer is the body's bytes, behind the response's head.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call_raw(
        &self,
        api: ApiKey,
        version: i16,
        body: Bytes,
        within: Duration,
    ) -> Result<Bytes, CallError> {
        self.0.versions.common(api, version, version)?;
        let mut head = self.head(api, version)?;
        let size = head.bytes.len() - LENGTH_BYTES + body.len();
        self.check_size(size)?;
        head.bytes[..LENGTH_BYTES].copy_from_slice(&(size as i32).to_be_bytes());
        let pieces = [Bytes::from(head.bytes), body].into_iter().filter(|piece| !piece.is_empty()).collect();
        let answer = self.wait(head.correlation, pieces, within).await?;
        body_of(api, version, answer)
    }

    /// Whether it has ended.
    pub fn is_closed(&self) -> bool {
        self.close_reason().is_some()
    }

    /// Why it ended, if it has.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.0.pending.closed()
    }

    /// Ends it, for every clone; calls in flight fail.
    pub fn close(&self) {
        self.0.close.notify_one();
    }

    /// Waits until it ends. The future does not keep it open.
    pub fn closed(&self) -> impl Future<Output = CloseReason> + Send + 'static {
        let mut ended = self.0.ended.clone();
        async move {
            match ended.wait_for(Option::is_some).await {
                Ok(reason) => reason.clone().unwrap_or(CloseReason::Local),
                // The runtime went away with the task.
                Err(_) => CloseReason::Local,
            }
        }
    }

    pub(crate) async fn exchange<M: Message>(
        &self,
        api: ApiKey,
        version: i16,
        request: &M,
        within: Option<Duration>,
    ) -> Result<Bytes, CallError> {
        let (correlation, pieces) = self.encode(api, version, request)?;
        let within = within.unwrap_or(self.0.request_timeout);
        let answer = self.wait(correlation, pieces, within).await?;
        body_of(api, version, answer)
    }

    fn head(&self, api: ApiKey, version: i16) -> Result<Head, CallError> {
        let correlation = self.0.next_correlation.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let mut bytes = vec![0; LENGTH_BYTES];
        let head =
            RequestHead { api, version, correlation_id: correlation, client_id: Some(&self.0.client_id) };
        head.write(&mut bytes)?;
        Ok(Head { correlation, bytes })
    }

    fn check_size(&self, bytes: usize) -> Result<(), CallError> {
        let max = self.0.max_frame_bytes.min(i32::MAX as usize);
        if bytes > max { Err(CallError::TooLarge { bytes, max }) } else { Ok(()) }
    }

    /// Sends, and waits for the answer; a caller that goes away is forgotten.
    async fn wait(&self, correlation: i32, pieces: Outgoing, within: Duration) -> Result<Bytes, CallError> {
        let both = async { self.post(correlation, pieces).await?.answer().await };
        tokio::time::timeout(within, both).await.unwrap_or(Err(CallError::Timeout(within)))
    }

    /// Hands a request over to the socket's task: what is posted later is sent later.
    async fn post(&self, correlation: i32, pieces: Outgoing) -> Result<Posted, CallError> {
        let (tell, answer) = oneshot::channel();
        self.0.pending.add(correlation, tell)?;
        let posted = Posted::new(self.clone(), correlation, answer);
        self.hand_over(pieces).await?;
        Ok(posted)
    }

    /// The call is not waited for any more.
    pub(crate) fn forget(&self, correlation: i32) {
        self.0.pending.remove(correlation);
    }

    async fn hand_over(&self, pieces: Outgoing) -> Result<(), CallError> {
        let sent = self.0.outgoing.send(pieces).await;
        sent.map_err(|_| CallError::Closed(self.close_reason().unwrap_or(CloseReason::Local)))
    }

    /// Sends a request, and gives back the wait for its answer: requests begun one after the other are sent in that
    /// order, whoever waits for which.
    pub(crate) async fn begin<R: Request>(&self, version: i16, request: &R) -> Result<Posted, CallError> {
        let (correlation, pieces) = self.encode(api_of::<R>(), version, request)?;
        self.post(correlation, pieces).await
    }

    /// Sends a request that has no answer (Produce with `acks=0`).
    pub(crate) async fn tell<R: Request>(&self, version: i16, request: &R) -> Result<(), CallError> {
        let (_, pieces) = self.encode(api_of::<R>(), version, request)?;
        self.hand_over(pieces).await
    }

    fn encode<M: Message>(
        &self,
        api: ApiKey,
        version: i16,
        request: &M,
    ) -> Result<(i32, Outgoing), CallError> {
        M::check_version(version)
            .map_err(|_| ottla_protocol::wire::EncodeError::Version { name: M::NAME, version })?;
        let head = self.head(api, version)?;
        let mut w = Writer::new(head.bytes, version, M::is_flexible(version));
        request.write(&mut w)?;
        let size = w.written_bytes() - LENGTH_BYTES;
        self.check_size(size)?;
        w.buf()[..LENGTH_BYTES].copy_from_slice(&(size as i32).to_be_bytes());
        let (bytes, gathered) = w.into_parts();
        Ok((head.correlation, io::pieces(bytes, gathered)))
    }
}

struct Head {
    correlation: i32,
    bytes: Vec<u8>,
}

pub(crate) fn api_of<R: Request>() -> ApiKey {
    ApiKey::from_i16(R::KEY).expect("CLIENT-4 every request has an API key")
}

/// The body behind the head of a response.
pub(crate) fn body_of(api: ApiKey, version: i16, answer: Bytes) -> Result<Bytes, CallError> {
    if api.response_header_version(version) == 0 {
        return Ok(answer);
    }
    let mut r = Reader::new(&answer, version, true);
    r.skip_tags()?;
    let at = answer.len() - r.rest().len();
    Ok(answer.slice(at..))
}

/// Tries every address of the name in turn, and those that are silent again and again: the caller says how long.
async fn dial(host: &str, port: u16, receive_buffer_bytes: Option<u32>) -> Result<TcpStream, ConnectError> {
    let unresolved = |why| ConnectError::Unresolved { host: host.to_owned(), why };
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| unresolved(Some(error.to_string())))?
        .collect();
    let mut last = unresolved(None);
    loop {
        let mut silent = false;
        for &address in &addresses {
            match timeout(SILENCE, open(address, receive_buffer_bytes)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
                    last = ConnectError::Refused { at: address };
                }
                Ok(Err(error)) => last = io_error(host, port, &error),
                Err(_) => silent = true,
            }
        }
        if !silent {
            return Err(last);
        }
    }
}

/// The size of the buffer is told to the other side when the connection is made: it is set before.
async fn open(address: SocketAddr, receive_buffer_bytes: Option<u32>) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(bytes) = receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn io_error(host: &str, port: u16, error: &std::io::Error) -> ConnectError {
    ConnectError::Io { host: host.to_owned(), port, kind: error.kind(), message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_buffer_is_as_large_as_asked() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let size = async |asked| {
            let stream = open(address, asked).await.unwrap();
            socket2::SockRef::from(&stream).recv_buffer_size().unwrap()
        };
        assert_eq!(size(Some(8_192)).await, 16_384, "the system counts its own needs in");
        assert!(size(None).await > 16_384);
    }
}
