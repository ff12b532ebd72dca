//! Brokers of both kinds under a controller of either kind: registered, fenced, unfenced, shut down, registered again.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{A, HEAP, O, QUICK, agree, programs};
use crate::it::cluster::ledger::Ledger;
use crate::it::cluster::nodes::{Nodes, Shape, Voters};
use crate::it::cluster::wire;
use crate::tally::Tally;

const TOPIC: &str = "ledger";
const SOME: usize = 100;

pub fn run(tally: &mut Tally) {
    for controller in [A, O] {
        tally.check(&format!("both kinds of brokers under a controller of {}", controller.name()), || {
            let name = format!("brokers-of-{}", controller.name().replace(' ', "-"));
            // With two directories each broker tells the controller where its replicas lie (AssignReplicasToDirs).
            let mut settings = QUICK.to_vec();
            settings.push(("log.dirs", "{dir}/data,{dir}/data-2"));
            let kinds = [A, O, controller];
            let shape = Shape::Split(2, 1);
            let mut nodes =
                Nodes::of_kinds(&kinds, HEAP, &format!("mixed-{name}"), shape, Voters::Static, &settings)?;
            nodes.start_all()?;
            nodes.ready()?;
            let ledger = Ledger::open(&nodes, TOPIC, 4, 2)?;
            nodes.whole(TOPIC)?;
            for node in nodes.all.iter().filter(|n| n.port.is_some()) {
                for dir in node.dirs() {
                    let holds = std::fs::read_dir(&dir)?.flatten();
                    let mine = holds.filter(|e| e.file_name().to_string_lossy().starts_with(TOPIC)).count();
                    ensure!(mine == 2, "{} holds {mine} of 4 partitions", dir.display());
                }
            }
            for id in [1, 2] {
                life(&mut nodes, &ledger, id)?;
            }
            let verdict = ledger.close(&nodes)?;
            println!("      {} records acknowledged and read back", verdict.records);
            agree::everything(&nodes, &[TOPIC])
        });
    }
}

/// Everything that happens to one of the two brokers while the other one goes on.
fn life(nodes: &mut Nodes, ledger: &Ledger, id: i32) -> Result<()> {
    let other = 3 - id;
    let port = nodes.all.iter().find(|n| n.id == other).and_then(|n| n.port).expect("a broker has a port");
    let listed = move || Ok(wire::view(port)?.brokers.contains_key(&id));
    // Silent for longer than its session: fenced, and out of every ISR; then back.
    nodes.pause(id, true)?;
    programs::until("fenced", Duration::from_secs(25), || Ok(!listed()?))?;
    ledger.until_more(SOME)?;
    nodes.pause(id, false)?;
    programs::until("unfenced", Duration::from_secs(25), listed)?;
    nodes.whole(TOPIC)?;
    // Killed, and registered again with a new incarnation.
    nodes.kill(id)?;
    programs::until("fenced after kill -9", Duration::from_secs(25), || Ok(!listed()?))?;
    ledger.until_more(SOME)?;
    nodes.start(id)?;
    nodes.ready()?;
    nodes.whole(TOPIC)?;
    ledger.until_more(SOME)?;
    // A controlled shutdown: it leads nothing when it goes.
    lead(nodes, id)?;
    nodes.stop(id)?;
    let view = wire::view(port)?;
    ensure!(!view.brokers.contains_key(&id), "it has gone and is not fenced");
    let led: Vec<_> = view.partitions.iter().filter(|(_, p)| p.leader == id || p.leader < 0).collect();
    ensure!(led.is_empty(), "it has gone and leads {led:?}");
    ledger.until_more(SOME)?;
    nodes.start(id)?;
    nodes.ready()?;
    nodes.whole(TOPIC)?;
    ledger.until_more(SOME)
}

/// Until the broker leads what it is the first replica of.
fn lead(nodes: &Nodes, id: i32) -> Result<()> {
    let bootstrap = nodes.bootstrap();
    let arguments =
        ["--bootstrap-server", &bootstrap, "--election-type", "preferred", "--all-topic-partitions"];
    programs::until("elected", Duration::from_secs(30), || {
        programs::tool("kafka-leader-election", &arguments).map(|_| true)
    })?;
    programs::until("leading", Duration::from_secs(20), || {
        Ok(nodes.view()?.partitions.values().any(|p| p.leader == id))
    })
}
