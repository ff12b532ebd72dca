//! `ottla dev --nodes 1`: a node for trying out, with one screen of words.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Background, batch, contents, refused, scratch};
use crate::frame;
use crate::process;
use crate::server::{binary, free_ports};
use crate::tally::Tally;

pub fn run(tally: &mut Tally) -> Result<()> {
    tally.check(
        "dev formats ./ottla-data, prints one screen, stops on Ctrl-C, goes on with the same data",
        twice,
    );
    tally.check("dev --data-dir: a directory with other things in it stays as it is", foreign);
    tally.check("dev --ephemeral leaves nothing behind", ephemeral);
    tally.check("dev on a port that is taken says so", taken);
    tally.check("ottla consume -G -c: a group commits what was shown, not what was fetched", counted);
    Ok(())
}

fn dev(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(["dev", "--nodes", "1"]).args(arguments);
    command
}

fn twice() -> Result<()> {
    let dir = scratch("dev")?;
    let [port, _] = free_ports()?;
    let mut ids = Vec::new();
    for round in 0..2 {
        let mut node =
            Background::spawn(dev(&["--port", &port.to_string()]).current_dir(&dir), dir.join("out"))?;
        node.until("Ctrl-C")?;
        let screen = node.text();
        ensure!(screen.contains(&format!("localhost:{port}")), "the address: {screen}");
        ensure!(screen.contains(&dir.join("ottla-data").display().to_string()), "the directory: {screen}");
        ensure!(screen.contains(" ms"), "how long it took: {screen}");
        ensure!(screen.lines().count() <= 24, "one screen, not {} lines", screen.lines().count());
        let commands = screen
            .lines()
            .filter(|l| l.starts_with("  ") && l.contains(&format!("localhost:{port} -")))
            .count();
        ensure!(commands == 3, "three commands to try, not {commands}");
        let id =
            screen.lines().find_map(|l| l.trim().strip_prefix("cluster id")).context("the cluster's id")?;
        ids.push(id.trim().to_owned());
        if round == 0 {
            batch::create_topic(port, "greetings", 1)?;
        }
        let code = batch::produce(port, "greetings", &batch::Batch::plain(3).bytes())?;
        ensure!(code == (0, 3 * round), "three records at {}, not {code:?}", 3 * round);
        // Ctrl-C in a terminal.
        node.end("INT")?;
    }
    ensure!(ids[0] == ids[1] && ids[0].len() == 22, "the same cluster again: {ids:?}");
    let meta = fs::read_to_string(dir.join("ottla-data/meta.properties"))?;
    ensure!(meta.contains(&format!("cluster.id={}", ids[0])), "the id of the directory");
    Ok(())
}

fn foreign() -> Result<()> {
    let dir = scratch("dev-foreign")?;
    fs::write(dir.join("thesis.txt"), "years of work")?;
    let before = contents(&dir);
    let [port, _] = free_ports()?;
    let path = dir.display().to_string();
    refused(&mut dev(&["--port", &port.to_string(), "--data-dir", &path]), &[&path])?;
    ensure!(contents(&dir) == before, "nothing changed");
    Ok(())
}

fn ephemeral() -> Result<()> {
    let dir = scratch("dev-ephemeral")?;
    let temporary = dir.join("tmp");
    fs::create_dir_all(&temporary)?;
    let [port, _] = free_ports()?;
    let mut command = dev(&["--port", &port.to_string(), "--ephemeral"]);
    command.current_dir(&dir).env("TMPDIR", &temporary);
    let mut node = Background::spawn(&mut command, dir.join("out"))?;
    node.until("Ctrl-C")?;
    ensure!(frame::brokers(port, Duration::from_secs(5))? == 1, "it serves");
    node.end("INT")?;
    ensure!(!dir.join("ottla-data").exists(), "no ./ottla-data");
    let left: Vec<_> = fs::read_dir(&temporary)?.flatten().map(|e| e.path()).collect();
    ensure!(left.iter().all(|p| p.ends_with("ottla-logs")), "nothing is left, not {left:?}");
    Ok(())
}

fn counted() -> Result<()> {
    let dir = scratch("dev-counted")?;
    let [port, _] = free_ports()?;
    let mut command = dev(&["--port", &port.to_string()]);
    let mut node = Background::spawn(command.current_dir(&dir), dir.join("out"))?;
    node.until("Ctrl-C")?;
    batch::create_topic(port, "five", 1)?;
    batch::produce(port, "five", &batch::Batch::plain(5).bytes())?;
    let read = |count: &str| -> Result<String> {
        let mut command = Command::new(binary());
        command.args(["consume", "-b", &format!("localhost:{port}"), "-t", "five", "-G", "g", "-q"]);
        // Where there are no more it would wait for ever.
        process::checked(command.args(["-c", count, "-f", "%o "]), Duration::from_secs(20))
    };
    let (first, second) = (read("3")?, read("2")?);
    ensure!(first == "0 1 2 " && second == "3 4 ", "'{first}', then '{second}'");
    node.end("INT").map(drop)
}

fn taken() -> Result<()> {
    let dir = scratch("dev-taken")?;
    let [port, _] = free_ports()?;
    let _holder = std::net::TcpListener::bind(("127.0.0.1", port))?;
    refused(dev(&["--port", &port.to_string()]).current_dir(&dir), &[&port.to_string()])
}
