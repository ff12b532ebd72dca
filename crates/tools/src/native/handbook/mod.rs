//! `ottla completion` and `ottla man`: what every tool says with `--help`, as words for a shell and as manual pages.
//! This program is asked itself, so that neither can say what a tool does not.

mod page;
mod roff;
mod shells;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use clap::Parser;
use ottla_client::{Cluster, Properties};

use super::{block_on, end, parse};
use crate::KAFKA_TOOLS;
use crate::consumer_groups::server;
use page::Page;

/// Our own commands; `dev` is the server's.
pub(crate) const OWN: [&str; 12] = [
    "completion",
    "config",
    "consume",
    "dev",
    "doctor",
    "group",
    "health",
    "man",
    "produce",
    "rebalance",
    "status",
    "topic",
];

/// Words for the shell: the tools, their flags, names of topics and groups.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  source <(ottla completion bash)
  ottla completion zsh > ~/.zfunc/_ottla
  ottla completion fish > ~/.config/fish/completions/ottla.fish")]
struct CompletionArguments {
    #[arg(required_unless_present = "names")]
    shell: Option<Shell>,
    /// Print what is in the cluster instead; the shell's script asks so.
    #[arg(long)]
    names: Option<Names>,
    /// Brokers to ask first, host:port separated by commas.
    #[arg(short, long, env = "OTTLA_BOOTSTRAP", default_value = "localhost:9092")]
    bootstrap: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Names {
    Topics,
    Groups,
}

/// A manual page in roff; without a name, the names.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  ottla man kafka-topics | man -l -\n  ottla man --dir /usr/local/share/man"
)]
struct ManArguments {
    /// A tool or a command: kafka-topics, topics, group.
    name: Option<String>,
    /// Write every page below this directory, as man1/NAME.1.
    #[arg(long, conflicts_with = "name")]
    dir: Option<PathBuf>,
}

pub(super) fn completion(args: &[OsString]) -> ExitCode {
    let wanted: CompletionArguments = match parse("completion", args) {
        Ok(wanted) => wanted,
        Err(code) => return code,
    };
    if let Some(names) = wanted.names {
        return block_on(async {
            // Somebody waits with a finger on TAB: what is not there at once is not there.
            let found = tokio::time::timeout(Duration::from_secs(1), present(&wanted.bootstrap, names)).await;
            for name in found.unwrap_or_default() {
                println!("{name}");
            }
            ExitCode::SUCCESS
        });
    }
    end(every().map(|pages| {
        let script = match wanted.shell {
            Some(Shell::Zsh) => shells::zsh(&pages),
            Some(Shell::Fish) => shells::fish(&pages),
            _ => shells::bash(&pages),
        };
        print!("{script}");
        ExitCode::SUCCESS
    }))
}

/// The topics or groups of a cluster; nothing if nobody answers.
async fn present(bootstrap: &str, names: Names) -> Vec<String> {
    let Ok(cluster) = Cluster::connect(bootstrap, &Properties::new()).await else { return Vec::new() };
    let mut found: Vec<String> = match names {
        Names::Topics => match cluster.metadata(None).await {
            Ok(metadata) => metadata.topics.into_iter().filter_map(|topic| topic.name).collect(),
            Err(_) => Vec::new(),
        },
        Names::Groups => match server::list(&cluster, &[], &[], None).await {
            Ok(groups) => groups.into_iter().map(|group| group.group_id).collect(),
            Err(_) => Vec::new(),
        },
    };
    found.sort();
    cluster.close();
    found
}

pub(super) fn man(args: &[OsString]) -> ExitCode {
    let wanted: ManArguments = match parse("man", args) {
        Ok(wanted) => wanted,
        Err(code) => return code,
    };
    end(match (&wanted.name, &wanted.dir) {
        (Some(name), _) => one(name).map(|text| {
            print!("{text}");
            ExitCode::SUCCESS
        }),
        (None, Some(dir)) => write_all(dir),
        (None, None) => {
            for name in names() {
                println!("{name}");
            }
            Ok(ExitCode::SUCCESS)
        }
    })
}

/// The names of all pages but that of the program itself.
fn names() -> Vec<String> {
    let kafka = KAFKA_TOOLS.iter().map(|name| format!("kafka-{name}"));
    OWN.iter().map(|name| (*name).to_owned()).chain(kafka).collect()
}

fn one(name: &str) -> Result<String, String> {
    let plain = name.strip_suffix(".sh").unwrap_or(name);
    if plain == "ottla" {
        return Ok(roff::of_program(&every()?));
    }
    let names = names();
    let with_prefix = format!("kafka-{plain}");
    let own = plain.strip_prefix("ottla-").unwrap_or(plain);
    let found = names.iter().find(|name| *name == own || *name == plain || **name == with_prefix);
    let found =
        found.ok_or_else(|| format!("there is no page for '{name}'\n    next: ottla man lists them"))?;
    Ok(roff::of_tool(&ask(found)?))
}

fn write_all(dir: &std::path::Path) -> Result<ExitCode, String> {
    let pages = every()?;
    let section = dir.join("man1");
    let failed = |error: io::Error| format!("{}: {error}", section.display());
    std::fs::create_dir_all(&section).map_err(failed)?;
    std::fs::write(section.join("ottla.1"), roff::of_program(&pages)).map_err(failed)?;
    for page in pages.values() {
        std::fs::write(section.join(format!("{}.1", page.title())), roff::of_tool(page)).map_err(failed)?;
    }
    println!("{} pages in {}", pages.len() + 1, section.display());
    Ok(ExitCode::SUCCESS)
}

/// Every page by its name.
fn every() -> Result<BTreeMap<String, Page>, String> {
    names().into_iter().map(|name| Ok((name.clone(), ask(&name)?))).collect()
}

/// Asks a tool and its commands what they say of themselves.
fn ask(name: &str) -> Result<Page, String> {
    let mut page = page::read(name, &help(&[name])?);
    for command in &mut page.commands {
        let text = help(&[name, &command.name])?;
        command.page = Some(Box::new(page::read(&command.name, &text)));
    }
    Ok(page)
}

fn help(words: &[&str]) -> Result<String, String> {
    let program = std::env::current_exe().map_err(|error| format!("where is this program? {error}"))?;
    let what = words.join(" ");
    let said = Command::new(program).args(words).arg("--help").stdin(Stdio::null()).output();
    let said = said.map_err(|error| format!("{what} --help: {error}"))?;
    if !said.status.success() {
        return Err(format!("{what} --help: {}", String::from_utf8_lossy(&said.stderr)));
    }
    Ok(String::from_utf8_lossy(&said.stdout).into_owned())
}
