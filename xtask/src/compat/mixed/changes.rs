//! What an administrator does to topics whose replicas are of both kinds.

use std::time::Duration;

use anyhow::{Context, ensure};

use super::programs::Java;
use super::{A, O, agree, cluster, kind, quorum, shown};
use crate::it::cluster::ledger::Ledger;
use crate::it::cluster::nodes::{Shape, Voters};
use crate::process;
use crate::tally::Tally;

const TOPIC: &str = "ledger";

pub fn run(tally: &mut Tally) {
    for kinds in [[A, O, O], [O, A, A]] {
        let name = format!(
            "{}: reassigned, grown, deleted, configured, elected, under a controller of each kind",
            shown(&kinds)
        );
        tally.check(&name, || {
            let java = Java::new()?;
            let first = kinds[0].name().replace(' ', "-");
            let mut nodes = cluster(&format!("changes-{first}"), &kinds, Shape::Combined(3), Voters::Static)?;
            nodes.start_all()?;
            nodes.ready()?;
            let ledger = Ledger::open(&nodes, TOPIC, 3, 3)?;
            nodes.whole(TOPIC)?;
            for wanted in [A, O] {
                quorum::elect(&mut nodes, &ledger, wanted)?;
                let prefix = format!("under-{}", wanted.name().replace(' ', "-"));
                let mut command = java.command(&nodes.bootstrap(), &["admin", &prefix]);
                let said = process::checked(&mut command, Duration::from_secs(240));
                let said = said.with_context(|| format!("under {}", wanted.name()))?;
                ensure!(said.contains("everything done"), "{said}");
                let leads = nodes.controller()?;
                ensure!(kind(&nodes, leads) == wanted, "the controller changed on the way: try again");
                for node in &nodes.all {
                    let left = agree::partitions(node, &format!("{prefix}-gone"))?;
                    ensure!(left.is_empty(), "node {} still has {left:?}", node.id);
                }
            }
            let verdict = ledger.close(&nodes)?;
            println!("      {} records acknowledged and read back", verdict.records);
            agree::everything(&nodes, &[TOPIC])
        });
    }
}
