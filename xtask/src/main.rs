//! The workspace's own commands: everything that a person or a CI job types is one of these.

// A binary has no outside: `pub` here means "for the rest of this program".
#![allow(unreachable_pub)]

mod bench;
mod ci;
mod codegen;
mod compat;
mod dist;
mod docs;
mod frame;
mod fuzz;
mod it;
mod machine;
mod peers;
mod process;
mod server;
mod sim;
mod tally;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--all]             everything this machine can test; with --all a missing program is a failure
  ci STAGE                 one stage of it: tidy, lint, unit, sim, it, wire, config, clients, disk, mixed, docs, fuzz, deny
  tidy                     the house's rules: arrows, file heads, lengths, no stubs, no leaks
  codegen [--check]        the protocol crate's messages from its schema
  compat JUDGE             wire, clients, disk, config, librdkafka, mixed, tools: judges that nobody here wrote, beside Apache Kafka
  fuzz [--seconds N] [TARGET ...]
                           libFuzzer on every family of bytes from outside
  sim [--seeds N] [--seed S] [--minutes M] [--twice] [--mutants]
                           a simulated cluster in trouble, from seeds
  it [GROUP [WORD]]        the program as a user meets it; --prove-on-apache runs its judges against Apache Kafka
  bench [--quick] [--only PART]
                           what a node costs and gives, beside a warm Apache Kafka in the same run
  dist [--static] [--deb] [--sign KEY]
                           the release tree in target/dist/ottla/, and as a .tgz; as a Debian package too
  docs --check [GUIDE]     every block of the README and the guides, run as a reader types it
  peers install|up|down|kill|start|run
                           the real Apache Kafka beside ours
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        ["test"] => test::run(false),
        ["test", "--all"] => test::run(true),
        ["ci", stage] => ci::run(stage),
        ["tidy"] => tidy::run(),
        ["codegen"] => codegen::run(false),
        ["codegen", "--check"] => codegen::run(true),
        ["compat", rest @ ..] => compat::run(rest),
        ["bench", "--serve-floor", port, data] => bench::serve_floor(port, data),
        ["bench", rest @ ..] => bench::run(rest),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["sim", rest @ ..] => sim::run(rest),
        ["it"] => it::run(None, None),
        ["it", "--prove-on-apache"] => it::prove_on_apache(None, None),
        ["it", "--prove-on-apache", group] => it::prove_on_apache(Some(group), None),
        ["it", "--prove-on-apache", group, word] => it::prove_on_apache(Some(group), Some(word)),
        ["it", "--relay", outside, inside, ports @ ..] => it::relay(outside, inside, ports),
        ["it", group] => it::run(Some(group), None),
        ["it", group, word] => it::run(Some(group), Some(word)),
        ["dist", rest @ ..] => dist::run(&dist::Release::parse(rest)?),
        ["docs", rest @ ..] => docs::run(rest),
        ["peers", rest @ ..] => peers::run(rest),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        [] => bail!("no command\n\n{USAGE}"),
        [other, ..] => bail!("no command '{other}'\n\n{USAGE}"),
    }
}
