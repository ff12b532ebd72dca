//! `ottla dev --nodes 1`: one node in this very process.

use std::path::Path;
use std::time::Instant;

use ottla_config::NodeConfig;
use ottla_metadata::MetadataVersion;
use ottla_metadata::decide::Bootstrap;
use ottla_records::uuid_text;
use ottla_tools::storage::{FormatPlan, Voters, format};

use super::Place;
use crate::signals::Signals;
use crate::{logging, start};

/// Serves on `port`, the controller on the next one, until a signal; formats the directory when it is `fresh`.
pub(super) fn serve(place: &Place, fresh: bool, port: u16, started: Instant) -> Result<(), String> {
    let dir = &place.dir;
    let Some(controller_port) = port.checked_add(1) else {
        return Err("--port must be below 65535: the controller listens on the next port".into());
    };
    let config = config(dir, port, controller_port)?;
    if fresh {
        prepare(dir, &config)?;
    }
    logging::start(Some(&dir.join("server.log")), false).map_err(|e| e.to_string())?;
    let mut signals = Signals::listen();
    let Some(running) = start::start(config, &signals, "the configuration")? else { return Ok(()) };
    say!("Ottla is ready in {} ms.\n", started.elapsed().as_millis());
    say!("  address      localhost:{}", port);
    if let Some(ops) = &running.ops {
        say!("  console      http://localhost:{}/", ops.address().port());
    }
    say!("  data         {}", place.shown());
    say!("  cluster id   {}\n", running.node.cluster_id());
    say!("Try, with any Kafka client:");
    say!("  kcat -b localhost:{} -L", port);
    say!("  echo hello | kcat -b localhost:{} -t greetings -P", port);
    say!("  kcat -b localhost:{} -t greetings -C -e\n", port);
    say!("Ctrl-C stops it; the same command goes on with the same data.");
    running.wait_and_stop(&mut signals);
    say!("Stopped.");
    Ok(())
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
