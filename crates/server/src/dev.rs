//! `ottla dev`: a node for trying out. Formats its directory when that is empty, never touches anything else.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ottla_config::NodeConfig;
use ottla_metadata::MetadataVersion;
use ottla_metadata::decide::Bootstrap;
use ottla_records::uuid_text;
use ottla_tools::storage::{FormatPlan, Voters, format};

use crate::{logging, start};

/// A node for trying out.
#[derive(Debug, Parser)]
#[command(name = "ottla dev")]
struct Arguments {
    /// The port for clients; the controller listens on the next one.
    #[arg(long, default_value_t = 9092)]
    port: u16,
    /// The directory for all data; formatted when it is empty or missing.
    #[arg(long, default_value = "./ottla-data")]
    data_dir: PathBuf,
    /// Data in a temporary directory that goes away when the node stops.
    #[arg(long, conflicts_with = "data_dir")]
    ephemeral: bool,
}

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let started = Instant::now();
    let name = OsString::from("ottla dev");
    let arguments = match Arguments::try_parse_from(std::iter::once(&name).chain(args)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(1) } else { ExitCode::SUCCESS };
        }
    };
    serve(&arguments, started).err().map_or(ExitCode::SUCCESS, |message| {
        eprintln!("{message}");
        ExitCode::from(1)
    })
}

fn serve(arguments: &Arguments, started: Instant) -> Result<(), String> {
    let temporary;
    let dir = if arguments.ephemeral {
        temporary = tempfile::Builder::new().prefix("ottla-dev-").tempdir().map_err(|e| e.to_string())?;
        temporary.path().to_owned()
    } else {
        std::path::absolute(&arguments.data_dir).map_err(|e| e.to_string())?
    };
    let Some(controller_port) = arguments.port.checked_add(1) else {
        return Err("--port must be below 65535: the controller listens on the next port".into());
    };
    let config = config(&dir, arguments.port, controller_port)?;
    let fresh = is_empty(&dir)?;
    if fresh {
        prepare(&dir, &config)?;
    } else if !dir.join("meta.properties").is_file() {
        return Err(format!(
            "{} is not empty and holds no formatted log directory; it stays as it is.\n    next: ottla dev --data-dir ANOTHER_DIRECTORY",
            dir.display()
        ));
    }
    logging::start(Some(&dir.join("server.log")), false).map_err(|e| e.to_string())?;
    let node = start::start(config)?;
    println!("Ottla is ready in {} ms.\n", started.elapsed().as_millis());
    println!("  address      localhost:{}", arguments.port);
    println!(
        "  data         {}{}",
        dir.display(),
        if arguments.ephemeral { " (goes away at the end)" } else { "" }
    );
    println!("  cluster id   {}\n", node.cluster_id());
    println!("Try, with any Kafka client:");
    println!("  kcat -b localhost:{} -L", arguments.port);
    println!("  echo hello | kcat -b localhost:{} -t greetings -P", arguments.port);
    println!("  kcat -b localhost:{} -t greetings -C -e\n", arguments.port);
    println!("Ctrl-C stops it; the same command goes on with the same data.");
    start::wait_and_stop(&node);
    println!("Stopped.");
    Ok(())
}

fn is_empty(dir: &Path) -> Result<bool, String> {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(format!("cannot read {}: {error}", dir.display())),
    }
}

fn config(dir: &Path, port: u16, controller_port: u16) -> Result<NodeConfig, String> {
    let dir = dir.to_str().ok_or("the data directory's name is not UTF-8")?;
    let escaped = dir.replace('\\', "\\\\");
    let text = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@localhost:{controller_port}\n\
         listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:{controller_port}\n\
         advertised.listeners=PLAINTEXT://localhost:{port}\n\
         controller.listener.names=CONTROLLER\n\
         inter.broker.listener.name=PLAINTEXT\n\
         log.dirs={escaped}\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n"
    );
    NodeConfig::load("ottla dev", text.as_bytes(), &[]).map(|l| l.config).map_err(|p| p.to_string())
}

fn prepare(dir: &Path, config: &NodeConfig) -> Result<(), String> {
    let plan = FormatPlan {
        dirs: vec![dir.to_owned()],
        metadata_dir: dir.to_owned(),
        node_id: config.node_id,
        cluster_id: uuid_text::encode(&uuid_text::random()),
        bootstrap: Bootstrap::formatted(MetadataVersion::LATEST),
        voters: Voters::Static,
        controller_listener: "CONTROLLER".into(),
        ignore_formatted: false,
    };
    format(&plan).map(drop).map_err(|error| error.to_string())
}
