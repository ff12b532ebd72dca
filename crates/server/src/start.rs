//! `kafka-server-start [-daemon] FILE [--override property=value]*`: a node as its configuration file says.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_broker::{Node, StartError};
use ottla_config::NodeConfig;
use ottla_ops::Ops;
use tracing::{info, warn};

use crate::ops::Port;
use crate::signals::Signals;
use crate::{addresses, daemon, logging, notify, port_owner, previous};

const USAGE: &str = "USAGE: kafka-server-start.sh [-daemon] server.properties [--override property=value]*";
/// How long a launcher waits at most; what is refused is mostly refused by then.
const LAUNCHER_PATIENCE: Duration = Duration::from_secs(5);
/// Variables that only a JVM understands; scripts written for Kafka set them.
const JVM: [&str; 6] = [
    "KAFKA_HEAP_OPTS",
    "KAFKA_OPTS",
    "KAFKA_JMX_OPTS",
    "JMX_PORT",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_JVM_PERFORMANCE_OPTS",
];

/// What a node says whose controllers refused its cluster id; theirs is not in their answer, and is asked for.
const ANOTHER: &str = "answers for another cluster";

struct Arguments {
    daemon: bool,
    detached: bool,
    file: PathBuf,
    overrides: Vec<(String, String)>,
}

fn parse(args: &[OsString]) -> Result<Arguments, String> {
    let (mut daemon, mut detached, mut file, mut overrides) = (false, false, None, Vec::new());
    let mut stray: Vec<String> = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let text = arg.to_string_lossy();
        match &*text {
            "-daemon" | "--daemon" => daemon = true,
            daemon::DETACHED => detached = true,
            // Names and garbage-collection logs of a JVM: accepted, without effect.
            "-name" => drop(rest.next()),
            "-loggc" => {}
            "--override" => {
                let pair = rest.next().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
                let (key, value) = pair
                    .split_once('=')
                    .ok_or_else(|| format!("--override '{pair}': expected property=value"))?;
                overrides.push((key.trim().to_owned(), value.trim().to_owned()));
            }
            flag if flag.starts_with('-') => {
                let name = flag.trim_start_matches('-');
                return Err(format!("{name} is not a recognized option\n{USAGE}"));
            }
            _ if file.is_none() => file = Some(PathBuf::from(arg)),
            other => stray.push(other.to_owned()),
        }
    }
    if !stray.is_empty() {
        return Err(format!("Found non argument parameters: {}\n{USAGE}", stray.join(",")));
    }
    let file = file.ok_or_else(|| USAGE.to_owned())?;
    Ok(Arguments { daemon, detached, file, overrides })
}

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    match args.first().and_then(|a| a.to_str()) {
        Some("--version") => {
            println!("ottla {} (serves Apache Kafka 4.3.1)", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some("--help" | "-h") => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let served = parse(args).and_then(|arguments| {
        if arguments.daemon {
            return daemon::launch(args, &log_dirs(None));
        }
        serve(&arguments)
    });
    served.err().map_or(ExitCode::SUCCESS, |message| {
        eprintln!("{message}");
        ExitCode::from(1)
    })
}

/// Where log files go: `LOG_DIR` (the scripts set it to `logs` of the installation), else beside the data.
fn log_dirs(data: Option<&str>) -> Vec<PathBuf> {
    let named = std::env::var_os("LOG_DIR").map(PathBuf::from);
    named
        .into_iter()
        .chain(data.map(PathBuf::from))
        .chain([std::env::temp_dir().join("ottla-logs")])
        .collect()
}

fn serve(arguments: &Arguments) -> Result<(), String> {
    if arguments.detached {
        daemon::detach();
    }
    let loaded = ottla_tools::config_file::load(&arguments.file, &arguments.overrides)?;
    if !loaded.unserved.is_empty() {
        let all: Vec<String> = loaded.unserved.iter().map(ToString::to_string).collect();
        return Err(all.join("\n"));
    }
    let config = loaded.config;
    let beside = config.dirs.data.first().filter(|dir| Path::new(dir).is_dir()).cloned();
    let file = logging::file_in(&log_dirs(beside.as_deref()), config.node_id);
    logging::start(file.as_deref(), true).map_err(|error| format!("cannot write the log file: {error}"))?;
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let ignored: Vec<&str> = JVM.into_iter().filter(|name| std::env::var_os(name).is_some()).collect();
    if !ignored.is_empty() {
        info!("{} ignored: there is no JVM here", ignored.join(", "));
    }
    for line in addresses::loopback_names(&config) {
        warn!("{line}");
    }
    info!("{}", previous::memory());
    let node_id = config.node_id;
    let unclean = previous::unclean_end(&config.dirs.all(), &config.dirs.metadata);
    let shown = arguments.file.display().to_string();
    let mut signals = Signals::listen();
    if arguments.detached {
        // Other nodes may be missing for long: whoever launched this one does not wait for them.
        std::thread::spawn(|| {
            std::thread::sleep(LAUNCHER_PATIENCE);
            daemon::tell_ready();
        });
    }
    let Some(running) = start(config, &signals, &shown)? else {
        return Ok(());
    };
    if let Some(when) = unclean {
        warn!(
            "previous run of this node ended without shutdown at ~{when} (killed or crashed; check `dmesg | grep -i oom`)"
        );
    }
    let _pid = file.as_deref().and_then(Path::parent).map(|dir| previous::PidFile::write(dir, node_id));
    daemon::tell_ready();
    notify::tell(notify::READY);
    running.wait_and_stop(&mut signals);
    Ok(())
}

/// A node that serves, and its operations port.
pub(crate) struct Running {
    pub(crate) node: Arc<Node>,
    pub(crate) ops: Option<Ops>,
}

/// How many of the `asked` network threads run here: on at most half of the cores. One thread moves hundreds of MiB a second;
/// the other cores are for the fetchers, the quorum and the disk, and whatever is read and written on one thread needs no
/// other to be woken.
fn network_threads(asked: i32, cores: usize) -> i32 {
    asked.clamp(1, i32::try_from(cores.div_ceil(2)).unwrap_or(i32::MAX))
}

/// Starts a node and logs Kafka's line about it; nothing if it was told to stop while it waited for other nodes. The
/// operations port is served while it waits. `file` is what messages call its configuration.
pub(crate) fn start(
    mut config: NodeConfig,
    signals: &Signals,
    file: &str,
) -> Result<Option<Running>, String> {
    let started = Instant::now();
    let id = config.node_id;
    let controllers: Vec<String> = config
        .quorum
        .voters
        .iter()
        .filter(|voter| voter.id != id)
        .map(|voter| voter.address.to_string())
        .collect();
    let listeners: Vec<(String, String)> =
        config.listeners.bound.iter().map(|listener| (listener.name.clone(), listener.to_string())).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    config.sockets.network_threads = network_threads(config.sockets.network_threads, cores);
    let mut port = Port::bind(&config).map_err(|message| message.replace("FILE", file))?;
    let ops = port.serve();
    let started_node = Node::start_unless(config, signals.flag(), port.meets());
    if let Err(StartError::Interrupted) = started_node {
        info!("[KafkaRaftServer] stopped");
        return Ok(None);
    }
    let node = started_node.map_err(|error| {
        let mut text = error.to_string();
        if let StartError::Bind { address, source, .. } = &error
            && source.kind() == std::io::ErrorKind::AddrInUse
        {
            let owner = port_owner::find(*address).unwrap_or_else(|| "another user's process".to_owned());
            text.push_str(&format!(
                "\n    port {} is taken by {owner}\n    next: stop it, or give another port in FILE",
                address.port()
            ));
        }
        if let StartError::Bind { address, listener, source } = &error
            && source.kind() == std::io::ErrorKind::AddrNotAvailable
        {
            let written = listeners.iter().find(|(name, _)| name == listener).map(|(_, text)| text.as_str());
            text.push_str(&addresses::not_ours(written.unwrap_or(listener), listener, *address));
        }
        if text.contains(ANOTHER)
            && let Some(other) = ottla_tools::cluster::id_of(&controllers.join(","))
        {
            text = text.replace(ANOTHER, &format!("answers for cluster {other}"));
        }
        let text = text.replace("FILE", file);
        tracing::error!("{text}");
        text
    })?;
    info!("[KafkaRaftServer nodeId={id}] Kafka Server started ({} ms)", started.elapsed().as_millis());
    Ok(Some(Running { node, ops }))
}

impl Running {
    /// Waits for SIGTERM, SIGINT or the node's own end, then stops it: controlled shutdown, everything flushed. The
    /// operations port says so meanwhile, and ends last.
    pub(crate) fn wait_and_stop(self, signals: &mut Signals) {
        let Running { node, ops } = self;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(async {
                tokio::select! {
                    () = signals.told() => {}
                    () = node.failed() => {}
                }
            }),
            Err(error) => warn!("cannot wait for signals: {error}"),
        }
        notify::tell(notify::STOPPING);
        node.stop();
        drop(ops);
        info!("[KafkaRaftServer] stopped");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn misuse_is_told_in_kafkas_words() {
        let said = |words: &str| {
            let words: Vec<std::ffi::OsString> = words.split(' ').map(Into::into).collect();
            super::parse(&words).err().unwrap_or_default().lines().next().unwrap_or_default().to_owned()
        };
        assert_eq!(said("a.properties stray words"), "Found non argument parameters: stray,words");
        assert_eq!(said("a.properties --no-such-flag"), "no-such-flag is not a recognized option");
        assert_eq!(said("a.properties --override node.id=2"), "");
    }

    #[test]
    fn network_threads_leave_half_of_the_cores() {
        let threads = |asked, cores| super::network_threads(asked, cores);
        assert_eq!(
            [threads(3, 1), threads(3, 2), threads(3, 3), threads(3, 4), threads(3, 8)],
            [1, 1, 2, 2, 3]
        );
        assert_eq!([threads(1, 64), threads(16, 64), threads(100, 64), threads(0, 4)], [1, 16, 32, 1]);
    }
}
