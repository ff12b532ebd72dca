//! A running node: what its rooms share, and the order in which it starts and stops.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use arc_swap::ArcSwap;
use ottla_config::NodeConfig;
use ottla_config::describe::BrokerConfigs;
use ottla_metadata::Image;
use ottla_protocol::{ErrorCode, Listener};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, mpsc, watch};
use tracing::{error, info, warn};

use crate::admission::{self, Admission};
use crate::controller_host::{ControllerHost, Plan, lookout};
use crate::courier::Courier;
use crate::dirs::{self, Dir, FailedDir};
use crate::disk::DiskPool;
use crate::fetch_session::Sessions;
use crate::fetcher::Fetchers;
use crate::group_host::GroupHost;
use crate::handle::init_producer_id::ProducerIds;
use crate::housekeeping;
use crate::isr;
use crate::line_budget::LineBudget;
use crate::listen::{self, Accepting};
use crate::neighbours::Neighbours;
use crate::network::{self, Limits};
use crate::observe::{Count, Phase, Requests, TrafficBook};
use crate::partition::PartitionTable;
use crate::start_error::StartError;
use crate::topic_names;
use crate::transaction_host::{self, TransactionHost};
use crate::vigil;

/// Lines of the log that clients may cause at once, and the milliseconds after which there is one more.
const LINES: (u32, i64) = (200, 1_000);
/// Threads for what may block on a disk.
const DISK_THREADS: usize = 2;

/// A running node.
pub struct Node {
    config: ArcSwap<NodeConfig>,
    /// The levels of the configuration: file, cluster, this broker.
    configs: Mutex<BrokerConfigs>,
    producer_ids: ProducerIds,
    /// The configuration of the file, without what was set dynamically.
    static_config: NodeConfig,
    /// `unstable.api.versions.enable`, which every request asks for.
    unstable_api_versions: bool,
    cluster_id: String,
    previous_broker_epoch: i64,
    dirs: Vec<Arc<Dir>>,
    /// Directories that could not be taken into use.
    failed_dirs: Vec<FailedDir>,
    image: ArcSwap<Image>,
    image_offset: watch::Sender<i64>,
    partitions: PartitionTable,
    neighbours: Arc<Neighbours>,
    fetchers: Fetchers,
    groups: Arc<GroupHost>,
    transactions: Arc<TransactionHost>,
    courier: Arc<Courier>,
    sessions: Sessions,
    disk: DiskPool,
    admission: Arc<Admission>,
    lines: Arc<LineBudget>,
    controller: OnceLock<ControllerHost>,
    /// Addresses that listeners are bound to, by listener name.
    bound: Vec<(String, SocketAddr)>,
    threads: Mutex<Vec<network::Handle>>,
    main: Mutex<Option<MainThread>>,
    /// Set by whoever wants a start to end that waits for others.
    interrupt: Arc<AtomicBool>,
    /// Whether clients are answered, for those who wait for it.
    serving: watch::Sender<bool>,
    stopping: AtomicBool,
    failed: Notify,
    phase: AtomicU8,
    traffic: TrafficBook,
    requests: Requests,
    isr_shrinks: Count,
    isr_expands: Count,
}

/// The thread that accepts connections and runs what happens by the clock.
struct MainThread {
    opened: mpsc::UnboundedSender<Opened>,
    join: std::thread::JoinHandle<()>,
}

/// What the main thread takes on.
struct Opened {
    /// Listeners that accept from now on.
    sockets: Vec<Accepting>,
    /// Whether a broker's timers run from now on.
    timers: bool,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.node_id())
            .field("bound", &self.bound)
            .finish_non_exhaustive()
    }
}

impl Node {
    /// Starts a node: returns once it serves what its roles are for. A broker then answers clients; a controller
    /// takes part in the quorum, whoever else is there.
    ///
    /// # Errors
    /// Everything that keeps it from serving; then nothing runs any more, and nothing was changed on the disk but
    /// what recovery repairs.
    pub fn start(config: NodeConfig) -> Result<Arc<Node>, StartError> {
        Node::start_unless(config, Arc::default(), |_| ())
    }

    /// [`Node::start`], which may take as long as other nodes are not there; setting `interrupt` ends it. `meet` is shown
    /// the node as soon as it can be observed, long before it serves.
    ///
    /// # Errors
    /// As [`Node::start`], and [`StartError::Interrupted`].
    pub fn start_unless(
        config: NodeConfig,
        interrupt: Arc<AtomicBool>,
        meet: impl FnOnce(&Arc<Node>),
    ) -> Result<Arc<Node>, StartError> {
        let dirs = dirs::open(&config)?;
        let sockets = bind(&config)?;
        let bound: Vec<(String, SocketAddr)> = sockets
            .iter()
            .filter_map(|s| Some((s.listener_name.to_string(), s.socket.local_addr().ok()?)))
            .collect();
        let port = |name: &str| bound.iter().find(|(bound, _)| bound == name).map(|(_, at)| at.port());
        let plan = Plan::new(&config, &dirs, port)?;
        let node = Arc::new(Node {
            cluster_id: dirs.cluster_id.clone(),
            previous_broker_epoch: dirs.previous_broker_epoch,
            dirs: dirs.all.clone(),
            failed_dirs: dirs.failed.clone(),
            image: ArcSwap::from_pointee(Image::default()),
            image_offset: watch::Sender::new(-1),
            partitions: PartitionTable::default(),
            fetchers: Fetchers::default(),
            neighbours: Neighbours::new(
                config.node_id,
                config.replication.lag_time_max_ms,
                i64::from(config.replication.fetch_backoff_ms),
                (
                    config.settings().int("replication.quota.window.num"),
                    config.settings().int("replication.quota.window.size.seconds"),
                ),
            ),
            groups: Arc::new(GroupHost::new(group_config(&config))),
            // Which version is finalized, the metadata says.
            transactions: Arc::new(TransactionHost::new(transaction_host::settings(&config, 0))),
            courier: Arc::new(Courier::new(&config)),
            sessions: Sessions::new(config.requests.fetch_session_slots.max(0) as usize),
            disk: DiskPool::start(DISK_THREADS).map_err(StartError::Thread)?,
            admission: Admission::new(admission::Limits::of(&config)),
            lines: Arc::new(LineBudget::new(LINES.0, LINES.1)),
            controller: OnceLock::new(),
            bound,
            threads: Mutex::default(),
            main: Mutex::default(),
            interrupt,
            serving: watch::Sender::new(false),
            stopping: AtomicBool::new(false),
            failed: Notify::new(),
            phase: AtomicU8::new(Phase::Starting as u8),
            traffic: TrafficBook::default(),
            requests: Requests::default(),
            isr_shrinks: Count::default(),
            isr_expands: Count::default(),
            static_config: config.clone(),
            unstable_api_versions: config.settings().boolean("unstable.api.versions.enable"),
            configs: Mutex::new(BrokerConfigs::new(config.clone())),
            producer_ids: ProducerIds::default(),
            config: ArcSwap::from_pointee(config),
        });
        meet(&node);
        let verifies = node.static_config.transactions.verify_partitions;
        node.neighbours.set_verifies_transactions(verifies);
        // What the files and sockets themselves refuse is behind us: from here on a crash is a crash. What is
        // refused later stops the node in order, which leaves the markers again.
        dirs.begin()?;
        let controller = match ControllerHost::start(&node, plan) {
            Ok(controller) => controller,
            Err(error) => {
                dirs.end();
                return Err(error);
            }
        };
        assert!(node.controller.set(controller).is_ok(), "NODE-1 a node has one controller host");
        if let Err(error) = node.serve(sockets) {
            node.stop();
            return Err(error);
        }
        Ok(node)
    }

    /// Controllers must hear each other before there is a quorum; clients are answered once this broker is one of
    /// the cluster's, and until then told what it waits for.
    fn serve(self: &Arc<Self>, sockets: Vec<Accepting>) -> Result<(), StartError> {
        self.start_threads()?;
        self.take_on(Opened { sockets, timers: false });
        self.controller().wait_for_quorum(self)?;
        self.enter(Phase::Recovering);
        if self.static_config.roles.broker {
            self.controller().join_cluster(self)?;
            self.put_strays_aside();
            self.take_on(Opened { sockets: Vec::new(), timers: true });
        }
        self.enter(Phase::Running);
        self.serving.send_replace(true);
        Ok(())
    }

    fn take_on(&self, opened: Opened) {
        if let Some(main) = &*self.main.lock() {
            // The thread ends only when this node stops.
            let _ = main.opened.send(opened);
        }
    }

    /// Network threads, and the thread that accepts.
    fn start_threads(self: &Arc<Self>) -> Result<(), StartError> {
        let config = self.config();
        let limits = Limits {
            request_max_bytes: config.sockets.request_max_bytes,
            idle_ms: config.sockets.max_idle_ms.unwrap_or(-1),
            send_buffer_bytes: config.sockets.send_buffer_bytes.unwrap_or(-1),
            receive_buffer_bytes: config.sockets.receive_buffer_bytes.unwrap_or(-1),
        };
        let threads = (0..config.sockets.network_threads.max(1) as usize)
            .map(|index| network::start(index, self.clone(), limits, self.admission.clone()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(StartError::Thread)?;
        let senders: Vec<_> = threads.iter().map(|t| t.accepted.clone()).collect();
        *self.threads.lock() = threads;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(StartError::Thread)?;
        let (opened, mut openings) = mpsc::unbounded_channel();
        let node = self.clone();
        let join = std::thread::Builder::new()
            .name("node".into())
            .spawn(move || {
                runtime.block_on(async move {
                    // Ends when the node stops: it has the other end.
                    while let Some(opened) = openings.recv().await {
                        node.run_opened(opened, &senders);
                    }
                });
            })
            .map_err(StartError::Thread)?;
        *self.main.lock() = Some(MainThread { opened, join });
        Ok(())
    }

    fn run_opened(self: &Arc<Self>, opened: Opened, senders: &[mpsc::UnboundedSender<network::Accepted>]) {
        for socket in opened.sockets {
            let accepting =
                listen::accept(socket, self.admission.clone(), self.lines.clone(), senders.to_vec());
            if let Err(error) = accepting {
                error!("a listener cannot accept: {error}");
            }
        }
        if !opened.timers {
            vigil::spawn(self, "lookout", lookout::run(self.clone()));
        } else {
            vigil::spawn(self, "group timer", self.groups.clone().run_timers());
            vigil::spawn(self, "transaction timer", self.transactions.clone().run_timers());
            vigil::spawn(self, "courier", self.courier.clone().run());
            vigil::spawn(self, "marker writer", transaction_host::run_markers(self.clone()));
            vigil::spawn(self, "housekeeper", housekeeping::run(self.clone()));
            let node = self.clone();
            vigil::spawn(self, "heartbeat task", async move { node.controller().live(&node).await });
            let node = self.clone();
            vigil::spawn(self, "producer id task", async move { node.producer_ids().prepare(&node).await });
            vigil::spawn(self, "ISR task", isr::run(self.clone()));
            vigil::spawn(self, "ISR watch", isr::watch(self.clone()));
            if let Err(error) = self.fetchers.start(self) {
                self.fail(&format!("the replica fetchers cannot start: {error}"));
            }
        }
    }

    /// Stops the node: controlled shutdown, connections closed, everything flushed and marked as clean.
    pub fn stop(&self) {
        if self.stopping.swap(true, Ordering::SeqCst) {
            return;
        }
        self.enter(Phase::Leaving);
        self.controller().leave_cluster(self);
        self.enter(Phase::Stopping);
        self.fetchers.stop();
        let broker_epoch = self.controller().broker_epoch();
        // While the connections live: a leader that resigns hears on them who follows it.
        self.controller().stop();
        // The acceptors and the timers hold the network threads' senders: with them gone, those threads end too.
        if let Some(main) = self.main.lock().take() {
            drop(main.opened);
            let _ = main.join.join();
        }
        for thread in self.threads.lock().drain(..) {
            drop(thread.accepted);
            let _ = thread.join.join();
        }
        for index in self.groups.led() {
            self.groups.resign(index);
        }
        for index in self.transactions.led() {
            self.transactions.resign(index);
        }
        self.disk.stop();
        // The quorum's log lies in one of these directories.
        housekeeping::close_all(self, broker_epoch);
        info!("shutdown of node {} completed", self.node_id());
    }

    /// Waits until the node cannot go on: every log directory failed, or the metadata quorum did.
    pub async fn failed(&self) {
        self.failed.notified().await;
    }

    /// Ends [`Node::failed`].
    pub(crate) fn fail(&self, why: &str) {
        error!("this node cannot go on: {why}");
        self.failed.notify_one();
    }

    /// Where this node is in its life.
    pub(crate) fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Ordering::Acquire))
    }

    /// A life goes only forward: a node that is told to stop while it starts does not run afterwards.
    fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The addresses that listeners are bound to, by listener name.
    pub fn bound(&self) -> &[(String, SocketAddr)] {
        &self.bound
    }

    pub(crate) fn node_id(&self) -> i32 {
        self.static_config.node_id
    }

    pub(crate) fn config(&self) -> Arc<NodeConfig> {
        self.config.load_full()
    }

    pub(crate) fn static_config(&self) -> &NodeConfig {
        &self.static_config
    }

    /// The levels of the configuration, to be described.
    pub(crate) fn broker_configs(&self) -> MutexGuard<'_, BrokerConfigs> {
        self.configs.lock()
    }

    pub(crate) fn producer_ids(&self) -> &ProducerIds {
        &self.producer_ids
    }

    /// The port that a listener is bound to.
    pub(crate) fn bound_port(&self, listener: &str) -> Option<u16> {
        self.bound.iter().find(|(name, _)| name == listener).map(|(_, address)| address.port())
    }

    pub(crate) fn image(&self) -> Arc<Image> {
        self.image.load_full()
    }

    /// Shows a new image to clients.
    pub(crate) fn show(&self, image: Arc<Image>) {
        let offset = image.provenance.offset;
        self.image.store(image);
        self.image_offset.send_replace(offset);
    }

    /// Changes whenever there is a new image; the value is its offset.
    pub(crate) fn image_changes(&self) -> watch::Receiver<i64> {
        self.image_offset.subscribe()
    }

    pub(crate) fn previous_broker_epoch(&self) -> i64 {
        self.previous_broker_epoch
    }

    /// The other brokers, as the partitions know them.
    pub(crate) fn neighbours(&self) -> &Arc<Neighbours> {
        &self.neighbours
    }

    /// The controller host, once it is there.
    pub(crate) fn controller_if_started(&self) -> Option<&ControllerHost> {
        self.controller.get()
    }

    /// What is counted by topic.
    pub(crate) fn traffic(&self) -> &TrafficBook {
        &self.traffic
    }

    /// What is counted by API.
    pub(crate) fn requests(&self) -> &Requests {
        &self.requests
    }

    /// Counts a change of in-sync replicas.
    pub(crate) fn note_isr(&self, before: usize, after: usize) {
        match before.cmp(&after) {
            std::cmp::Ordering::Less => self.isr_expands.add(1),
            std::cmp::Ordering::Greater => self.isr_shrinks.add(1),
            std::cmp::Ordering::Equal => {}
        }
    }

    /// How often replicas fell out of sync with what this node leads, and how often they came back.
    pub(crate) fn isr_changes(&self) -> (u64, u64) {
        (self.isr_shrinks.get(), self.isr_expands.get())
    }

    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }

    pub(crate) fn fetchers(&self) -> &Fetchers {
        &self.fetchers
    }

    pub(crate) fn partitions(&self) -> &PartitionTable {
        &self.partitions
    }

    pub(crate) fn dirs(&self) -> &[Arc<Dir>] {
        &self.dirs
    }

    /// Directories that are not there until the node starts anew.
    pub(crate) fn failed_dirs(&self) -> &[FailedDir] {
        &self.failed_dirs
    }

    /// Whether there are partitions that this node cannot look at.
    pub(crate) fn has_offline_dir(&self) -> bool {
        !self.failed_dirs.is_empty() || self.dirs.iter().any(|dir| !dir.is_online())
    }

    pub(crate) fn groups(&self) -> &GroupHost {
        &self.groups
    }

    pub(crate) fn transactions(&self) -> &TransactionHost {
        &self.transactions
    }

    /// Who carries requests to other brokers.
    pub(crate) fn courier(&self) -> &Courier {
        &self.courier
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(crate) fn disk(&self) -> &DiskPool {
        &self.disk
    }

    /// The budget of log lines that clients may cause.
    pub(crate) fn lines(&self) -> &LineBudget {
        &self.lines
    }

    pub(crate) fn controller(&self) -> &ControllerHost {
        self.controller.get().expect("NODE-2 the controller host is there before anything is served")
    }

    /// Whether the metadata knows this process as the broker of this id, and not only one before it.
    pub(crate) fn is_registered_in(&self, image: &Image) -> bool {
        let epoch = self.controller.get().map_or(-1, |controller| controller.broker_epoch());
        epoch >= 0 && image.broker(self.node_id()).is_some_and(|broker| broker.epoch >= epoch)
    }

    /// Whether clients are answered.
    pub(crate) fn is_serving(&self) -> bool {
        self.phase() >= Phase::Running
    }

    /// Becomes true when clients are answered.
    pub(crate) fn serving(&self) -> watch::Receiver<bool> {
        self.serving.subscribe()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Whether a start that waits has to end.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::SeqCst)
    }

    pub(crate) fn unstable_api_versions(&self) -> bool {
        self.unstable_api_versions
    }

    pub(crate) fn kraft_version(&self) -> i16 {
        self.controller().kraft_version()
    }

    pub(crate) fn producer_expiry_ms(&self) -> i64 {
        self.config().log.producer_id_expiration_ms.into()
    }

    /// The partition of `__consumer_offsets` that has a group.
    pub(crate) fn group_partition(&self, group_id: &str) -> i32 {
        let image = self.image();
        let count = image.topics.by_name(topic_names::OFFSETS).map(|t| t.partitions.len() as i32);
        ottla_groups::partition_for(group_id, count.unwrap_or(self.static_config.groups.offsets_partitions))
    }

    /// Creates topics that clients ask for, if they may come into being this way; afterwards the image shows them.
    pub(crate) async fn auto_create(
        self: &Arc<Self>,
        topics: Vec<String>,
    ) -> Vec<(String, Option<ErrorCode>)> {
        crate::controller_host::auto_create(self, topics).await
    }

    /// Dynamic configurations of brokers have changed.
    pub(crate) fn broker_configs_changed(&self, image: &Image) {
        let values = |resource| image.configs.of(&resource).map(|v| (**v).clone()).unwrap_or_default();
        let cluster = values(ottla_metadata::image::ConfigResource::cluster());
        let own = values(ottla_metadata::image::ConfigResource::broker(self.node_id()));
        let mut configs = self.configs.lock();
        for problem in configs.set_dynamic(&cluster, &own) {
            warn!("a dynamic broker configuration is not applied: {problem}");
        }
        let config = configs.current().clone();
        drop(configs);
        self.admission.configure(admission::Limits::of(&config));
        let rate = |key| config.settings().long(key);
        self.neighbours.sending.set(rate("leader.replication.throttled.rate"));
        self.neighbours.fetching.set(rate("follower.replication.throttled.rate"));
        self.neighbours.set_verifies_transactions(config.transactions.verify_partitions);
        self.config.store(Arc::new(config));
    }
}

fn group_config(config: &NodeConfig) -> ottla_groups::Config {
    let groups = &config.groups;
    ottla_groups::Config {
        min_session_timeout_ms: groups.min_session_timeout_ms,
        max_session_timeout_ms: groups.max_session_timeout_ms,
        initial_rebalance_delay_ms: groups.initial_rebalance_delay_ms,
        max_size: groups.max_size.max(0) as usize,
        offset_metadata_max_size: groups.offset_metadata_max_bytes.max(0) as usize,
        offsets_retention_ms: groups.offsets_retention_ms,
        offsets_retention_check_interval_ms: groups.offsets_retention_check_interval_ms,
        write_timeout_ms: groups.offsets_commit_timeout_ms.into(),
    }
}

/// Binds every listener; what cannot be bound is known before anything is started.
fn bind(config: &NodeConfig) -> Result<Vec<Accepting>, StartError> {
    let mut sockets = Vec::new();
    for wanted in &config.listeners.bound {
        let listener = if config.listeners.is_controller(&wanted.name) {
            Listener::Controller
        } else {
            Listener::Broker
        };
        let addresses = match &wanted.host {
            None => vec![
                SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, wanted.port)),
                SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, wanted.port)),
            ],
            Some(host) => {
                let mut found: Vec<SocketAddr> = (host.as_str(), wanted.port)
                    .to_socket_addrs()
                    .map_err(|source| StartError::Resolve {
                        listener: wanted.name.clone(),
                        host: host.clone(),
                        port: wanted.port,
                        source,
                    })?
                    .collect();
                // As a JVM does: the first IPv4 address of a name, unless it has none.
                found.sort_by_key(SocketAddr::is_ipv6);
                found.truncate(1);
                found
            }
        };
        let mut last = None;
        for address in addresses {
            match listen::bind(address, config.sockets.backlog) {
                Ok(socket) => {
                    last = None;
                    let listener_name = wanted.name.as_str().into();
                    sockets.push(Accepting { listener_name, listener, socket });
                    break;
                }
                // A machine without IPv6 takes the IPv4 address instead; a taken port is an error at once.
                Err(source) => {
                    let taken = source.kind() == std::io::ErrorKind::AddrInUse;
                    last = Some(StartError::Bind { listener: wanted.name.clone(), address, source });
                    if taken {
                        break;
                    }
                }
            }
        }
        if let Some(error) = last {
            return Err(error);
        }
    }
    Ok(sockets)
}
