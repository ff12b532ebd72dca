//! The ways out that are printed when voters changed in the file alone, typed as they are printed. On a node of its own,
//! in the tutorial's tree.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::super::SOON;
use super::super::book::Book;
use super::super::host::until;
use super::super::vi;
use super::Site;

/// Lines that are to be typed or written stand this far to the right.
const TYPED: &str = "           ";
const FILE: &str = "/tmp/remedy/zero.properties";
const NEW: &str = "/tmp/remedy/one.properties";
const AT: &str = "--bootstrap-server localhost:9592";

/// The lines of the way out with this number.
pub fn lines(message: &str, number: u32) -> Vec<String> {
    let head = format!("    {number}. ");
    message
        .lines()
        .skip_while(|line| !line.starts_with(&head))
        .skip(1)
        .take_while(|line| line.starts_with("       "))
        .filter_map(|line| line.strip_prefix(TYPED))
        .map(str::to_owned)
        .collect()
}

fn file(id: u32, ports: (u32, u32), quorum: &str) -> String {
    let (client, controller) = ports;
    format!(
        "process.roles=broker,controller\nnode.id={id}\n{quorum}\n\
         listeners=PLAINTEXT://localhost:{client},CONTROLLER://localhost:{controller}\n\
         advertised.listeners=PLAINTEXT://localhost:{client},CONTROLLER://localhost:{controller}\n\
         controller.listener.names=CONTROLLER\nlog.dirs=/tmp/remedy/data-{id}\n\
         offsets.topic.replication.factor=1\n"
    )
}

/// A lone node with a topic whose file then names another voter beside it: what its start says.
fn refused(site: &Site<'_>) -> Result<String> {
    let sh = &site.sh;
    sh.types("rm -rf /tmp/remedy && mkdir -p /tmp/remedy")?.code(0)?;
    let path = site.vm.outside(FILE);
    fs::write(&path, file(0, (9592, 9593), "controller.quorum.voters=0@localhost:9593"))?;
    sh.types(&format!("bin/kafka-storage.sh format -t $(bin/kafka-storage.sh random-uuid) -c {FILE}"))?
        .code(0)?;
    sh.types(&format!("bin/kafka-server-start.sh -daemon {FILE}"))?.code(0)?;
    sh.types(&format!("bin/kafka-topics.sh --create --topic kept {AT}"))?.code(0)?;
    site.stop()?;
    vi(&path, &["controller.quorum.voters=0@localhost:9593,1@localhost:9595"])?;
    Ok(sh.types(&format!("bin/kafka-server-start.sh {FILE}"))?.code(1)?.stderr)
}

pub fn go(book: &mut Book, site: &Site<'_>) {
    book.row(
        "S1-20 T-02",
        "the first way out, as printed: the new controller joins while the cluster runs",
        || online(site),
    );
    end(site);
    book.row(
        "S1-20 T-02",
        "two new voters at once would be a majority without the data: not even on purpose",
        || {
            let sh = &site.sh;
            refused(site)?;
            vi(
                &site.vm.outside(FILE),
                &["controller.quorum.voters=0@localhost:9593,1@localhost:9595,2@localhost:9597"],
            )?;
            let typed = format!("bin/kafka-server-start.sh {FILE} --override ottla.voter.change.enable=true");
            sh.types(&typed)?.code(1)?.says("does not help here")?.seen_at("does not help")
        },
    );
    book.row(
        "S1-20 T-02",
        "the third way out, as printed: formatted anew, it waits for the other voter",
        || {
            let sh = &site.sh;
            let commands = lines(&refused(site)?, 3);
            ensure!(commands.len() == 3, "{commands:?}");
            sh.types(&commands.join("\n"))?.code(0)?.out("Formatting")?;
            let node = sh.leaves(&format!("bin/kafka-server-start.sh {FILE}"), "anew")?;
            node.until("Waiting for controller quorum: 1 of 2 reachable", 1, SOON)?;
            node.end("TERM")?;
            Ok(commands.join("; "))
        },
    );
    end(site);
}

fn online(site: &Site<'_>) -> Result<String> {
    let sh = &site.sh;
    let message = refused(site)?;
    for line in lines(&message, 1) {
        let line = line.replace("NEW", NEW);
        if line.starts_with("controller.quorum.voters=") {
            vi(&site.vm.outside(FILE), &[&line])?;
        } else if line.starts_with("controller.quorum.bootstrap.servers=") {
            fs::write(site.vm.outside(NEW), file(1, (9594, 9595), &line))?;
        } else {
            ensure!(line.starts_with("bin/"), "what is this? {line}");
            sh.types(&line)?.code(0)?;
        }
    }
    let mut voters = String::new();
    until("two voters", SOON, || {
        let said = sh.types(&format!("bin/kafka-metadata-quorum.sh {AT} describe --status"))?;
        voters = said.line("CurrentVoters");
        Ok(voters.contains("\"id\": 0") && voters.contains("\"id\": 1"))
    })
    .with_context(|| voters.clone())?;
    sh.types(&format!("bin/kafka-topics.sh --list {AT}"))?.code(0)?.out("kept")?;
    Ok(voters)
}

/// Nothing of it runs on.
fn end(site: &Site<'_>) {
    let _ = site.sh.types("pkill -TERM -f '[k]afka.Kafka'");
    if let Err(error) = site.gone() {
        println!("      {error:#}");
        let _ = site.sh.types("pkill -9 -f '[k]afka.Kafka'");
        let _ = site.gone();
    }
}
