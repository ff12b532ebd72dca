//! `ottla dev` with several nodes: each a process of this binary, watched by this one.

use std::io::BufRead as _;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use ottla_local_cluster::{Cluster, Leader, Node, View, quorum_leader, view};
use time::{OffsetDateTime, UtcOffset};
use tokio::signal::unix::{SignalKind, signal};

use super::changes::{self, Look};
use super::{Place, Shape};
use crate::{ops, port_owner};

/// How long the nodes may take until all of them serve.
const READY: Duration = Duration::from_secs(60);
/// How long they may take to stop.
const STOP: Duration = Duration::from_secs(30);
/// Between two looks at the cluster.
const LOOK: Duration = Duration::from_millis(200);
/// How long one node may take to answer a look.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the loop below waits for.
enum Event {
    /// Ctrl-C, or SIGTERM.
    Stop,
    /// Enter.
    Enter,
    /// The cluster was looked at.
    Looked(Look),
}

/// Keeps the nodes until a signal.
pub(super) fn serve(place: Place, shape: Shape, port: u16, started: Instant) -> Result<(), String> {
    let offset = UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC);
    let last = port.checked_add(shape.ports() - 1);
    let Some(last) = last else {
        return Err(format!("{} take {} ports from --port on", shape.shown(), shape.ports()));
    };
    let ports: Vec<u16> = (port..=last).collect();
    ports.iter().try_for_each(|port| free(*port))?;
    let binary = std::env::current_exe().map_err(|e| format!("this program has no path: {e}"))?;
    let (sender, events) = channel();
    on_signals(sender.clone())?;
    let said = |error: anyhow::Error| format!("{error:#}");
    let mut cluster = Cluster::create_at(&binary, &place.dir, shape.topology(), &ports).map_err(said)?;
    cluster.start_all().map_err(said)?;
    wait_ready(&mut cluster, &events)?;
    greet(&cluster, &place, shape, started);
    on_enter(sender.clone());
    look_on(&cluster, sender);
    watch(&mut cluster, &events, &binary.display().to_string(), offset)?;
    say!("Stopping.");
    cluster.stop_all(STOP).map_err(said)?;
    say!("Stopped.");
    Ok(())
}

fn free(port: u16) -> Result<(), String> {
    let address = (std::net::Ipv4Addr::LOCALHOST, port);
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let owner =
                port_owner::find(address.into()).unwrap_or_else(|| "another user's process".to_owned());
            Err(format!(
                "port {port} is taken by {owner}\n    next: stop it, or ottla dev --port ANOTHER_PORT"
            ))
        }
        Err(error) => Err(format!("cannot listen on port {port}: {error}")),
    }
}

/// The nodes come up while Ctrl-C still works.
fn wait_ready(cluster: &mut Cluster, events: &Receiver<Event>) -> Result<(), String> {
    let start = Instant::now();
    loop {
        if matches!(events.try_recv(), Ok(Event::Stop)) {
            return Err("stopped before it was ready".into());
        }
        let step = Duration::from_millis(200);
        match cluster.wait_ready(step) {
            Ok(()) => return Ok(()),
            Err(error) if start.elapsed() > READY || cluster.nodes().iter().any(|n| n.pid().is_none()) => {
                return Err(format!("{error:#}"));
            }
            Err(_) => {}
        }
    }
}

fn greet(cluster: &Cluster, place: &Place, shape: Shape, started: Instant) {
    let bootstrap = cluster.bootstrap();
    let first = bootstrap.split(',').next().unwrap_or_default();
    say!("Ottla is ready in {} ms: {}.\n", started.elapsed().as_millis(), shape.shown());
    say!("  bootstrap    {bootstrap}");
    if let Some(console) = cluster.nodes().first().and_then(console) {
        say!("  console      {console}");
    }
    say!("  data         {}", place.shown());
    say!("  cluster id   {}\n", cluster.cluster_id());
    for node in cluster.nodes() {
        say!("  {}", shown(node));
    }
    say!("\nTry, with any Kafka client:");
    say!("  kcat -b {bootstrap} -L");
    say!("  echo hello | kcat -b {first} -t greetings -P");
    say!("  kcat -b {first} -t greetings -C -e\n");
    say!("kill -9 a node: what happens stands below. Enter starts it again; Ctrl-C stops all, and the same");
    say!("command goes on with the same data.\n");
}

/// Where a node shows its console, by what it said in its log.
fn console(node: &Node) -> Option<String> {
    ops::said(&node.log()).map(|address| address.replace("127.0.0.1", "localhost"))
}

fn shown(node: &Node) -> String {
    let pid = node.pid().map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    let port = node.port.or(node.controller_port).unwrap_or_default();
    let role = if node.role.is_broker() { "node" } else { "controller" };
    format!("{role} {}   pid {pid}   localhost:{port}   {}", node.id, node.dir.display())
}

/// Tells every change until it is time to stop.
fn watch(
    cluster: &mut Cluster,
    events: &Receiver<Event>,
    binary: &str,
    offset: UtcOffset,
) -> Result<(), String> {
    let said = |error: anyhow::Error| format!("{error:#}");
    let tell = |line: &str| say!("{} {line}", clock(offset));
    let mut known = Look::default();
    let mut pids: Vec<(i32, u32)> = cluster.nodes().iter().filter_map(|n| Some((n.id, n.pid()?))).collect();
    loop {
        let event = events.recv_timeout(Duration::from_millis(20));
        for (id, status) in cluster.exits().map_err(said)? {
            let pid = pids.iter().find(|(node, _)| *node == id).map_or(0, |(_, pid)| *pid);
            let file = cluster.node(id).properties();
            tell(&format!(
                "node {id} (pid {pid}) {}. Enter starts it again, or: {binary} kafka-server-start {}",
                ended(status),
                file.display()
            ));
        }
        match event {
            Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Event::Enter) => {
                let dead: Vec<i32> =
                    cluster.nodes().iter().filter(|n| n.pid().is_none()).map(|n| n.id).collect();
                for id in dead {
                    // One that was started by hand meanwhile is not this program's.
                    let node = cluster.node(id);
                    if let Some(port) =
                        node.port.into_iter().chain(node.controller_port).find(|p| free(*p).is_err())
                    {
                        tell(&format!("node {id} is not started: port {port} is taken"));
                        continue;
                    }
                    cluster.start(id).map_err(said)?;
                    let pid = cluster.node(id).pid().unwrap_or_default();
                    pids.retain(|(node, _)| *node != id);
                    pids.push((id, pid));
                    tell(&format!("node {id} starts again (pid {pid})"));
                }
            }
            Ok(Event::Looked(look)) => {
                changes::lines(&known, &look).iter().for_each(|line| tell(line));
                // What a look did not see is as it was.
                known = Look {
                    view: look.view.or(known.view.take()),
                    controller: look.controller.or(known.controller),
                };
            }
        }
    }
}

fn ended(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(9), _) => "was killed (SIGKILL)".to_owned(),
        (Some(signal), _) => format!("was ended by signal {signal}"),
        (None, Some(0)) => "stopped".to_owned(),
        (None, code) => format!("ended with exit code {}", code.unwrap_or(-1)),
    }
}

fn clock(offset: UtcOffset) -> String {
    let now = OffsetDateTime::now_utc().to_offset(offset).time();
    format!("{:02}:{:02}:{:02}.{:03}", now.hour(), now.minute(), now.second(), now.millisecond())
}

// ---- where events come from

/// The first signal asks for a clean end; at the second, this program ends at once and the nodes with it.
fn on_signals(sender: Sender<Event>) -> Result<(), String> {
    let cannot = |error: std::io::Error| format!("cannot listen for signals: {error}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    let guard = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    drop(guard);
    thread::spawn(move || {
        runtime.block_on(async {
            for first in [true, false] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if !first || sender.send(Event::Stop).is_err() {
                    std::process::exit(130);
                }
            }
        });
    });
    Ok(())
}

fn on_enter(sender: Sender<Event>) {
    thread::spawn(move || {
        let mut lines = std::io::stdin().lock().lines();
        while let Some(Ok(_)) = lines.next() {
            if sender.send(Event::Enter).is_err() {
                return;
            }
        }
    });
}

/// Looks at the cluster again and again: at the broker and the controller that answered the last time, as long as they do.
fn look_on(cluster: &Cluster, sender: Sender<Event>) {
    let mut brokers: Vec<u16> = cluster.nodes().iter().filter_map(|n| n.port).collect();
    let mut controllers: Vec<u16> = cluster.nodes().iter().filter_map(|n| n.controller_port).collect();
    thread::spawn(move || {
        loop {
            let seen: Option<View> = first(&mut brokers, |port| view(port, PATIENCE).ok());
            let controller: Option<Leader> =
                first(&mut controllers, |port| quorum_leader(port, PATIENCE).ok().flatten());
            if sender.send(Event::Looked(Look { view: seen, controller })).is_err() {
                return;
            }
            thread::sleep(LOOK);
        }
    });
}

/// The first answer; who gave it is asked first the next time.
fn first<T>(ports: &mut [u16], ask: impl Fn(u16) -> Option<T>) -> Option<T> {
    let (at, answer) = ports.iter().enumerate().find_map(|(at, port)| Some((at, ask(*port)?)))?;
    ports[..=at].rotate_right(1);
    Some(answer)
}
