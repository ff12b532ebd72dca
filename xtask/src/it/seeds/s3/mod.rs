//! S3: the lecture. A node of last week becomes broker and controller, a second broker joins it; the lecturer's computer
//! runs kafka-python 2.0.2 and NiFi's Java clients; then broker 2 is killed.

mod clients;
mod failover;
mod groups;
mod nodes;

use anyhow::Result;

use super::Release;
use super::book::Book;
use super::host::{Host, Lan, Shell};
use crate::compat::clients::python;
use crate::machine::Need;

const ONE: &str = "192.168.56.101";
const TWO: &str = "192.168.57.101";
const BOTH: &str = "192.168.56.101:9092,192.168.57.101:9092";
const DATA: &str = "/tmp/kraft-combined-logs";
const FILE: &str = "config/kraft/server.properties";

/// The two virtual machines and the computer that they run on.
struct Site<'h> {
    pc: &'h Host,
    /// In the tree on the first machine, on the second, and on the computer.
    sh1: Shell<'h>,
    sh2: Shell<'h>,
    own: Shell<'h>,
}

impl Site<'_> {
    /// A tool of the first machine with both servers.
    fn tool(&self, line: &str) -> Result<super::said::Said> {
        let (tool, rest) = line.split_once(' ').unwrap_or((line, ""));
        self.sh1.types(&format!("./bin/{tool} --bootstrap-server {BOTH} {rest}"))
    }

    /// All that a node logged.
    fn logs(shell: &Shell<'_>) -> Result<String> {
        Ok(shell.types("cat logs/*")?.stdout)
    }
}

pub fn replay(book: &mut Book, release: &Release) -> Result<()> {
    let lan = Lan::new('d')?;
    // VirtualBox's two host-only networks, with a computer that is in both.
    let one = lan.machine("ubuntu-server", &["192.168.56.101/16"], "")?;
    let two = lan.machine("ubuntu-server2", &["192.168.57.101/16"], "")?;
    let pc = lan.machine("notebook", &["192.168.56.1/16"], "")?;
    let site =
        Site { sh1: release.unpack(&one)?, sh2: release.unpack(&two)?, own: release.unpack(&pc)?, pc: &pc };
    nodes::last_week(book, &site)?;
    nodes::first(book, &site)?;
    nodes::second(book, &site)?;
    nodes::sockets(book, &site);
    let python = match Need::OlderPython.find() {
        Some(found) => Some(python::older_environment(&found)?.display().to_string()),
        None => {
            let reason = format!("the machine lacks {}", Need::OlderPython.how());
            book.not_run("S3-21 S3-22 S3-23 T-19 S3-25 S3-26 S3-39", &reason);
            None
        }
    };
    if let Some(python) = &python {
        groups::lecture(book, &site, python)?;
    }
    clients::nifi(book, &site)?;
    clients::files(book, &site)?;
    failover::killed(book, &site, python.as_deref())?;
    failover::controller_gone(book, &site)?;
    nodes::stopping(book, &site);
    Ok(())
}
