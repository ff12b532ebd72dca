//! S0: three hosts with names, from the download to the consumer; then one of them goes.

mod cluster;
mod install;
mod nodes;
mod topics;

use anyhow::Result;

use super::Release;
use super::book::Book;
use super::host::{Host, Lan, Shell};
use super::vi;

/// The tutorial's id.
const ID: &str = "L5PYZLFDQZGPtCwp-Yj2lg";
const FILE: &str = "config/kraft/server.properties";
const DATA: &str = "/tmp/kraft-combined-logs";
const VOTERS: &str = "controller.quorum.voters=1@kafka1.mydomain.com:9093,2@kafka2.mydomain.com:9093,3@kafka3.mydomain.com:9093";

/// The three hosts, each with a shell in its tree.
struct Site<'h> {
    sh: Vec<Shell<'h>>,
}

impl<'h> Site<'h> {
    /// The shell on host 1, 2, 3.
    fn on(&self, id: usize) -> &Shell<'h> {
        &self.sh[id - 1]
    }

    /// The tutorial's changes of the file of node `id`.
    fn edit(&self, id: usize) -> Result<()> {
        vi(
            &self.on(id).cwd.join(FILE),
            &[
                &format!("node.id={id}"),
                VOTERS,
                &format!("listeners=PLAINTEXT://kafka{id}:9092,CONTROLLER://kafka{id}:9093"),
                "inter.broker.listener.name=PLAINTEXT",
                &format!("advertised.listeners=PLAINTEXT://kafka{id}.mydomain.com:9092"),
                "num.partitions=6",
                "offsets.topic.replication.factor=2",
                "transaction.state.log.replication.factor=2",
            ],
        )
    }
}

pub fn replay(book: &mut Book, release: &Release) -> Result<()> {
    let lan = Lan::new('a')?;
    let names: String =
        (1..=3).map(|id| format!("10.20.0.{id} kafka{id}.mydomain.com kafka{id}\n")).collect();
    let machine = |id: usize| lan.machine(&format!("kafka{id}"), &[&format!("10.20.0.{id}/24")], &names);
    let hosts: Vec<Host> = (1..=3).map(machine).collect::<Result<_>>()?;
    install::first(book, &hosts[0], release)?;
    let site = Site {
        sh: hosts
            .iter()
            .enumerate()
            .map(|(at, host)| match at {
                0 => Ok(host.shell(host.work().join("kafka"))),
                _ => release.unpack(host),
            })
            .collect::<Result<_>>()?,
    };
    install::scripts(book, site.on(1));
    nodes::slips(book, &site)?;
    nodes::formats(book, &site)?;
    cluster::not_running(book, &site);
    cluster::starts(book, &site)?;
    cluster::asked(book, &site);
    topics::created(book, &site);
    topics::console(book, &site)?;
    topics::internal(book, &site);
    cluster::one_goes(book, &site)?;
    nodes::refused(book, &site)?;
    book.not_run("S0-34", "pictures; the commands in them are judged by S0-03, S0-05, S0-22, S0-29, S0-30");
    Ok(())
}
