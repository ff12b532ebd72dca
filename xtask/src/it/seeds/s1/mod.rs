//! S1: one node, then a second one on the same machine, by its external address; every trouble is provoked.

mod alone;
mod ask;
mod others;
mod remedies;
mod second;

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::book::Book;
use super::host::{Host, Lan, Shell};
use super::{Release, vi};

/// The address by which the cloud's network knows the machine.
const OUTSIDE: &str = "34.22.95.181";
const INSIDE: &str = "10.178.0.2";

/// The machine of the tutorial and what stands around it.
struct Site<'h> {
    vm: &'h Host,
    /// In `/usr/local/kafka`.
    sh: Shell<'h>,
}

impl Site<'_> {
    fn file(&self, name: &str) -> PathBuf {
        self.vm.outside("/usr/local/kafka/config/kraft").join(name)
    }

    /// Everything that nodes of this tree logged.
    fn logs(&self) -> String {
        let dir = self.vm.outside("/usr/local/kafka/logs");
        let mut text = String::new();
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            text.push_str(&String::from_utf8_lossy(&fs::read(entry.path()).unwrap_or_default()));
        }
        text
    }

    /// The logs from here on are those of the next start.
    fn forget_logs(&self) -> Result<()> {
        self.sh.types("rm -rf logs")?.code(0).map(drop)
    }

    fn stop(&self) -> Result<()> {
        self.sh.types("./bin/kafka-server-stop.sh")?.code(0)?;
        self.gone()
    }

    fn gone(&self) -> Result<()> {
        super::gone(&self.sh)
    }
}

pub fn replay(book: &mut Book, release: &Release) -> Result<()> {
    let lan = Lan::new('b')?;
    // A cloud's machine is reached under an address that it does not have itself.
    let cloud = lan.machine("cloud", &[&format!("{OUTSIDE}/32"), "10.178.0.1/24"], "")?;
    let vm = lan.machine("instance-1", &[&format!("{INSIDE}/24")], "")?;
    vm.types("ip route add default via 10.178.0.1")?.code(0)?;
    let router = cloud.shell("/");
    let program = std::env::current_exe()?;
    let relay = router.leaves(
        &format!("'{}' it --relay {OUTSIDE} {INSIDE} 9092 9093 9094 9095", program.display()),
        "relay",
    )?;
    relay.until("relaying", 1, super::SOON)?;

    let file = release.download(&vm)?;
    vm.types(&format!("tar xvf {file} -C /usr/local"))?.code(0)?;
    let local = vm.shell("/usr/local");
    let slip = local.types(&format!("ln -s. {} kafka", release.name))?;
    ensure!(slip.code != 0, "ln refuses the tutorial's slip");
    local.types(&format!("ln -s {} kafka", release.name))?.code(0)?;
    let site = Site { vm: &vm, sh: vm.shell("/usr/local/kafka") };

    alone::go(book, &site)?;
    second::go(book, &site)?;
    ask::go(book, &site, &lan)?;
    others::go(book, &site, release, &lan)
}

/// The first server's part of the file, as the tutorial prints it, with its own address.
fn first_file(site: &Site<'_>) -> Result<()> {
    vi(
        &site.file("server.properties"),
        &[
            "process.roles=broker,controller",
            "node.id=0",
            &format!("controller.quorum.voters=0@{OUTSIDE}:9093"),
            "listeners=PLAINTEXT://:9092,CONTROLLER://:9093",
            &format!("advertised.listeners=PLAINTEXT://{OUTSIDE}:9092"),
            "controller.listener.names=CONTROLLER",
            "log.dirs=/usr/local/kafka/kraft-combined-logs",
        ],
    )
}
