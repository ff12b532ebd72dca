//! `cargo xtask compat tools [TOOL ...] [--only WORD]`: Kafka's command line tools four ways. Apache's tool on a node of
//! Apache Kafka is the reference; ours on the same kind of node, ours on ours and Apache's on ours are compared with it:
//! exit code, standard output and standard error of every invocation of [`SCRIPTS`], after [`masks`]. What may differ
//! stands in [`expected`], with its reason. Every flag of Apache's help must be used by an invocation.

mod expected;
mod flags;
mod jvm;
mod masks;
mod script;
mod verdict;
mod way;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::peers::{self, Jars};
use crate::process;
use crate::server::{self, free_ports};
use crate::tally::Tally;
use jvm::Jvm;
use script::{Run, Script, Step};
use verdict::{Outcome, Used, Verdict};
use way::{Apache, WAYS, World};

/// The invocations of every tool, in the order in which they are judged.
const SCRIPTS: &[&str] = &[
    // First those that show what the group coordinator has written: later, clients of both kinds have their own part in it.
    include_str!("invocations/dump_log.txt"),
    include_str!("invocations/console_offsets.txt"),
    include_str!("invocations/topics.txt"),
    include_str!("invocations/configs.txt"),
    include_str!("invocations/console_producer.txt"),
    include_str!("invocations/consumer_groups.txt"),
    include_str!("invocations/groups.txt"),
    include_str!("invocations/get_offsets.txt"),
    include_str!("invocations/delete_records.txt"),
    include_str!("invocations/log_dirs.txt"),
    include_str!("invocations/cluster.txt"),
    include_str!("invocations/features.txt"),
    include_str!("invocations/metadata_quorum.txt"),
    include_str!("invocations/broker_api_versions.txt"),
    include_str!("invocations/leader_election.txt"),
    include_str!("invocations/reassign_partitions.txt"),
    include_str!("invocations/storage.txt"),
    include_str!("invocations/perf.txt"),
    include_str!("invocations/e2e.txt"),
    include_str!("invocations/client_metrics.txt"),
    include_str!("invocations/verifiable_producer.txt"),
    include_str!("invocations/verifiable_consumer.txt"),
    include_str!("invocations/metadata_shell.txt"),
    include_str!("invocations/consumer_perf.txt"),
    include_str!("invocations/console_consumer.txt"),
    // Before other tools make share groups on nodes that serve them.
    include_str!("invocations/share_groups.txt"),
    include_str!("invocations/streams_groups.txt"),
    include_str!("invocations/console_share_consumer.txt"),
    include_str!("invocations/share_consumer_perf.txt"),
    include_str!("invocations/verifiable_share_consumer.txt"),
    include_str!("invocations/acls.txt"),
    include_str!("invocations/delegation_tokens.txt"),
    include_str!("invocations/transactions.txt"),
    include_str!("invocations/replica_verification.txt"),
    include_str!("invocations/streams_application_reset.txt"),
    include_str!("invocations/server_start.txt"),
];

/// Which tools, and which of their invocations.
#[derive(Default)]
pub struct Choice {
    pub tools: Vec<String>,
    pub only: Option<String>,
}

/// Runs the judge.
pub fn run(choice: &Choice) -> Result<()> {
    let scripts = SCRIPTS.iter().map(|text| script::parse(text)).collect::<Result<Vec<Script>>>()?;
    let bare = |name: &str| name.strip_prefix("kafka-").unwrap_or(name).to_owned();
    for tool in &choice.tools {
        ensure!(scripts.iter().any(|s| bare(&s.tool) == bare(tool)), "no invocations of '{tool}'");
    }
    let chosen = |script: &&Script| {
        choice.tools.is_empty() || choice.tools.iter().any(|t| bare(t) == bare(&script.tool))
    };
    let jars = peers::install()?;
    server::build()?;
    let place = process::target().join("judges/compat-tools");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(&place)?;
    let jvm = Jvm::start(&jars, &place.join("jvm.log"))?;
    let mut judge =
        Judge { jars: &jars, jvm: &jvm, place: &place, choice, worlds: start()?, used: Used::new() };
    let mut tally = Tally::new("compat tools");
    let mut judged = Vec::new();
    for script in scripts.iter().filter(chosen) {
        tally.check(&script.tool, || judge.tool(script));
        judged.push(script.tool.as_str());
    }
    if choice.only.is_none() {
        let all = judged.len() == scripts.len();
        let stale = judge.used.stale(|tool| if tool.contains('*') { all } else { judged.contains(&tool) });
        tally.note(
            "every expected difference was met",
            if stale.is_empty() { Ok(()) } else { Err(anyhow!("{}", stale.join("\n"))) },
        );
    }
    tally.close()
}

/// The four nodes, started at the same time.
fn start() -> Result<Vec<World>> {
    let ports: [u16; 8] = free_ports()?;
    thread::scope(|scope| {
        let starting: Vec<_> = WAYS
            .iter()
            .zip(ports.chunks_exact(2))
            .map(|(way, ports)| scope.spawn(move || World::start(*way, [ports[0], ports[1]])))
            .collect();
        starting.into_iter().map(|world| world.join().map_err(|_| anyhow!("a start broke off"))?).collect()
    })
}

struct Judge<'j> {
    jars: &'j Jars,
    jvm: &'j Jvm,
    place: &'j Path,
    choice: &'j Choice,
    worlds: Vec<World>,
    used: Used,
}

/// What was counted of one tool.
#[derive(Default)]
struct Count {
    invocations: usize,
    equal: usize,
    listed: usize,
    unlisted: usize,
}

impl Judge<'_> {
    /// Prepares, runs and compares everything of one tool.
    fn tool(&mut self, script: &Script) -> Result<()> {
        let name = script.again.as_ref().map(|again| format!("-{again}")).unwrap_or_default();
        let mut transcript = File::create(self.place.join(format!("{}{name}.txt", script.tool)))?;
        let mut count = Count::default();
        let flags = self.helps(script, &mut count, &mut transcript)?;
        for step in &script.steps {
            match step {
                Step::File { name, text } => {
                    for world in &self.worlds {
                        world.write(name, text)?;
                    }
                }
                Step::Setup(setup) => thread::scope(|scope| {
                    let running: Vec<_> =
                        self.worlds.iter_mut().map(|world| scope.spawn(move || world.setup(setup))).collect();
                    running
                        .into_iter()
                        .try_for_each(|way| way.join().map_err(|_| anyhow!("a step broke off"))?)
                })?,
                Step::Apache { tool, words } => self.apache(tool, words)?,
                Step::Copy { from, to } => {
                    for world in &self.worlds {
                        world.copy(from, to)?;
                    }
                }
                Step::Pause(time) => thread::sleep(*time),
                Step::Run(run) => {
                    if self.choice.only.as_ref().is_none_or(|word| run.name.contains(word.as_str())) {
                        self.invocation(script, run, &mut count, &mut transcript)?;
                    }
                }
            }
        }
        println!(
            "{}: {} invocations, {} comparisons: {} equal, {} as listed, {} not listed",
            script.tool,
            count.invocations,
            count.equal + count.listed + count.unlisted,
            count.equal,
            count.listed,
            count.unlisted
        );
        ensure!(flags.is_empty(), "flags of Apache's help that no invocation uses:\n{}", flags.join("\n"));
        ensure!(count.unlisted == 0, "{} differences that are not listed", count.unlisted);
        Ok(())
    }

    /// Apache's tool in every way's world, all at the same time.
    fn apache(&self, tool: &str, words: &[String]) -> Result<()> {
        thread::scope(|scope| {
            let running: Vec<_> = self
                .worlds
                .iter()
                .map(|world| scope.spawn(move || world.apache(tool, words, self.jvm)))
                .collect();
            running.into_iter().try_for_each(|way| way.join().map_err(|_| anyhow!("a step broke off"))?)
        })
    }

    /// The help of the tool and of each of its commands, judged as invocations; returns the flags that none uses.
    fn helps(&mut self, script: &Script, count: &mut Count, transcript: &mut File) -> Result<Vec<String>> {
        if self.choice.only.is_some() || script.again.is_some() {
            return Ok(Vec::new());
        }
        let runs: Vec<&[String]> = script
            .steps
            .iter()
            .filter_map(|step| if let Step::Run(run) = step { Some(run.words.as_slice()) } else { None })
            .collect();
        let mut unused = Vec::new();
        let mut commands: Vec<Option<String>> = vec![None];
        while let Some(command) = commands.pop() {
            let name = command.as_ref().map_or(script.help.clone(), |command| format!("{command} --help"));
            let outcome = self.invocation(script, &Run::of(&name)?, count, transcript)?;
            let help = if outcome.out.is_empty() { &outcome.err } else { &outcome.out };
            let flags = flags::read(&help.join("\n"));
            ensure!(
                !flags.names.is_empty() || !flags.commands.is_empty() || command.is_some(),
                "Apache's help shows no flags:\n{}",
                help.join("\n")
            );
            if command.is_none() {
                commands.extend(flags.commands.iter().cloned().map(Some));
            }
            let prefix = command.as_ref().map(|command| format!("{command} ")).unwrap_or_default();
            let missing = flags::unused(&flags, command.as_deref(), &runs);
            unused.extend(missing.into_iter().map(|flag| format!("{prefix}{flag}")));
        }
        Ok(unused)
    }

    /// One invocation in every way, compared; returns the reference's outcome.
    fn invocation(
        &mut self,
        script: &Script,
        run: &Run,
        count: &mut Count,
        transcript: &mut File,
    ) -> Result<Outcome> {
        let apache = &Apache { jvm: self.jvm, jars: self.jars, process: script.process, tries: script.tries };
        let answers: Vec<Result<way::Answer>> = thread::scope(|scope| {
            let running: Vec<_> = self
                .worlds
                .iter()
                .map(|world| scope.spawn(move || world.run(&script.tool, run, apache)))
                .collect();
            running
                .into_iter()
                .map(|way| way.join().map_err(|_| anyhow!("a run broke off")).and_then(|answer| answer))
                .collect()
        });
        let mut outcomes = Vec::new();
        for (world, answer) in self.worlds.iter().zip(answers) {
            let answer =
                answer.with_context(|| format!("{} {}: {}", script.tool, run.name, world.way.name()))?;
            let own = world.own();
            outcomes.push(Outcome {
                code: answer.code,
                out: masks::lines(&answer.out, &own, run.figures),
                err: masks::lines(&answer.err, &own, run.figures),
            });
        }
        count.invocations += 1;
        let Some((reference, others)) = outcomes.split_first() else { bail!("no ways") };
        writeln!(transcript, "$ {} {}", script.tool, run.name)?;
        for line in reference.lines() {
            writeln!(transcript, "  {line}")?;
        }
        for (world, outcome) in self.worlds[1..].iter().zip(others) {
            let verdict =
                verdict::judge(&script.tool, &run.name, world.way, reference, outcome, &mut self.used);
            for line in verdict::difference(&reference.lines(), &outcome.lines()) {
                writeln!(transcript, "  [{}] {line}", world.way.name())?;
            }
            match verdict {
                Verdict::Equal => count.equal += 1,
                Verdict::Listed(reasons) => {
                    count.listed += 1;
                    for why in reasons {
                        writeln!(transcript, "  [{}] listed: {why}", world.way.name())?;
                    }
                }
                Verdict::Unlisted(lines) => {
                    count.unlisted += 1;
                    println!("{} {}: {}", script.tool, run.name, world.way.name());
                    for line in lines.iter().take(SHOWN) {
                        println!("    {line}");
                    }
                    if lines.len() > SHOWN {
                        println!("    ... {} more lines", lines.len() - SHOWN);
                    }
                }
            }
        }
        Ok(reference.clone())
    }
}

/// Lines of a difference that are shown.
const SHOWN: usize = 24;
