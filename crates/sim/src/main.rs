//! The simulator as a program: what `cargo xtask sim` runs.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use ottla_sim::case::{Case, Kind, Less};
use ottla_sim::mutants::{self, MUTANTS};
use ottla_sim::run::{self, Order, Summary, Verdict};

/// Runs a simulated cluster through trouble, one seed after the other, and stops at the first that fails.
#[derive(Parser, Debug)]
#[command(name = "ottla-sim")]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// One seed, with the tail of its trace
    #[arg(long)]
    seed: Option<u64>,
    /// One kind of world [default: all]
    #[arg(long)]
    only: Option<Kind>,
    /// Of one seed: leaves out these kinds of trouble
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Of one seed: ends trouble by then
    #[arg(long)]
    until_ms: Option<i64>,
    /// Of one seed: at most so many clients, partitions and brokers beside the least
    #[arg(long)]
    most: Option<usize>,
    /// Seeds until this time is over
    #[arg(long)]
    minutes: Option<f64>,
    /// Every seed two times: the traces must be the same
    #[arg(long)]
    twice: bool,
    /// Seeds at the same time [default: one for each processor]
    #[arg(long)]
    threads: Option<usize>,
    /// Lines of the trace of a seed that failed or is replayed
    #[arg(long, default_value_t = 80)]
    tail: usize,
    /// Puts every bug of the table in, one after the other: each must be found
    #[arg(long)]
    mutants: bool,
    /// Puts one bug in
    #[arg(long)]
    mutant: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let chosen = match &arguments.mutant {
        None => None,
        Some(name) => match MUTANTS.iter().find(|mutant| mutant.name == name) {
            Some(mutant) => Some(mutant.name),
            None => {
                eprintln!("no mutant '{name}'");
                return ExitCode::from(2);
            }
        },
    };
    let passed = if let Some(seed) = arguments.seed {
        let less =
            Less { without: arguments.without.clone(), until_ms: arguments.until_ms, most: arguments.most };
        let cases = kinds(&arguments).into_iter().map(|kind| Case { kind, seed, less: less.clone() });
        cases.map(|case| replay(&case, chosen, arguments.tail)).filter(|passed| !passed).count() == 0
    } else if arguments.mutants {
        hunt(&arguments)
    } else {
        search(&arguments, chosen)
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn kinds(arguments: &Arguments) -> Vec<Kind> {
    arguments.only.map_or_else(|| vec![Kind::Quorum, Kind::Cluster, Kind::Groups], |kind| vec![kind])
}

fn order(arguments: &Arguments, kinds: Vec<Kind>, mutant: Option<&'static str>) -> Order {
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
    Order {
        kinds,
        first: arguments.first,
        seeds: if arguments.minutes.is_some() { u64::MAX } else { arguments.seeds },
        time: arguments.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0)),
        twice: arguments.twice,
        threads: arguments.threads.unwrap_or(processors),
        mutant,
    }
}

/// One seed, to be read.
fn replay(case: &Case, mutant: Option<&'static str>, tail: usize) -> bool {
    mutants::choose(mutant);
    let verdict = run::case(case, tail);
    verdict.tail.iter().for_each(|line| println!("{line}"));
    println!("{case}: {} events, trace {:016x}", verdict.events, verdict.digest);
    match verdict.failure {
        Some(failure) => {
            println!("FAILED: {failure}");
            false
        }
        None => {
            println!("passed; {} writes were acknowledged", verdict.acknowledged);
            true
        }
    }
}

fn search(arguments: &Arguments, mutant: Option<&'static str>) -> bool {
    let kinds = kinds(arguments);
    mutants::choose(mutant);
    let cases: Vec<Case> = run::corpus().into_iter().filter(|case| kinds.contains(&case.kind)).collect();
    let known = cases.iter().map(|case| run::case(case, 0)).find(|verdict| verdict.failure.is_some());
    if let Some(verdict) = known {
        return tell(&verdict, mutant, arguments.tail);
    }
    println!("{} cases of the corpus passed", cases.len());
    let summary = run::seeds(order(arguments, kinds, mutant));
    report(&summary);
    match summary.failed.first() {
        Some(first) => tell(first, mutant, arguments.tail),
        None => true,
    }
}

/// A seed that failed: how to see it again, and a smaller one that fails the same way.
fn tell(failed: &Verdict, mutant: Option<&'static str>, tail: usize) -> bool {
    println!("\n{} fails: {}", failed.case, failed.failure.as_deref().unwrap_or_default());
    let option = mutant.map_or(String::new(), |name| format!(" --mutant {name}"));
    println!("to replay it: cargo xtask sim {}{option}", failed.case);
    mutants::choose(mutant);
    let smaller = run::minimise(failed);
    println!("\nmade smaller it fails with: {}", smaller.failure.as_deref().unwrap_or_default());
    println!("to replay that: cargo xtask sim {}{option}\n", smaller.case);
    for line in run::case(&smaller.case, tail).tail {
        println!("{line}");
    }
    false
}

fn report(summary: &Summary) {
    let (real, simulated) = (summary.took.as_secs_f64(), summary.simulated_ms as f64 / 1000.0);
    println!(
        "{} seeds in {real:.1} s: {:.0} seeds a second, {:.1} simulated hours, {:.0} x real time",
        summary.seeds,
        summary.seeds as f64 / real,
        simulated / 3600.0,
        simulated / real
    );
    println!("{} events, {} writes acknowledged", summary.events, summary.acknowledged);
}

/// Every mutant: found or not.
fn hunt(arguments: &Arguments) -> bool {
    let (mut found, mut hunted) = (0, 0);
    let kinds = kinds(arguments);
    for mutant in MUTANTS.iter().filter(|mutant| kinds.contains(&mutant.kind)) {
        hunted += 1;
        let order = Order { seeds: mutant.seeds, ..order(arguments, vec![mutant.kind], Some(mutant.name)) };
        let summary = run::seeds(order);
        match summary.failed.first() {
            Some(first) => {
                found += 1;
                let failure = first.failure.as_deref().unwrap_or_default();
                let failure: String = failure.chars().take(150).collect();
                println!("found  {:<24} seed {:>5}  {failure}", mutant.name, first.case.seed);
            }
            None => println!("MISSED {:<24} {} seeds  {}", mutant.name, summary.seeds, mutant.bug),
        }
    }
    println!("{found} of {hunted} mutants found");
    found == hunted
}
