//! The simulator as a program: what `cargo xtask sim` runs.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use ottla_sim::mutants::{self, MUTANTS};
use ottla_sim::run::{self, Order, Summary};

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
        replay(seed, chosen, arguments.tail)
    } else if arguments.mutants {
        hunt(&arguments)
    } else {
        search(&arguments, chosen)
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn order(arguments: &Arguments, mutant: Option<&'static str>) -> Order {
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
    Order {
        first: arguments.first,
        seeds: if arguments.minutes.is_some() { u64::MAX } else { arguments.seeds },
        time: arguments.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0)),
        twice: arguments.twice,
        threads: arguments.threads.unwrap_or(processors),
        mutant,
    }
}

/// One seed, to be read.
fn replay(seed: u64, mutant: Option<&'static str>, tail: usize) -> bool {
    mutants::choose(mutant);
    let verdict = run::seed(seed, tail);
    verdict.tail.iter().for_each(|line| println!("{line}"));
    println!("seed {seed}: {} events, trace {:016x}", verdict.events, verdict.digest);
    match verdict.failure {
        Some(failure) => {
            println!("FAILED: {failure}");
            false
        }
        None => {
            println!("passed; {} proposals were acknowledged", verdict.acknowledged);
            true
        }
    }
}

fn search(arguments: &Arguments, mutant: Option<&'static str>) -> bool {
    let summary = run::seeds(order(arguments, mutant));
    report(&summary);
    let Some(first) = summary.failed.first() else { return true };
    let seed = first.seed;
    println!("\nseed {seed} fails: {}", first.failure.as_deref().unwrap_or_default());
    let option = mutant.map_or(String::new(), |name| format!(" --mutant {name}"));
    println!("to replay it: cargo xtask sim --seed {seed}{option}\n");
    mutants::choose(mutant);
    for line in run::seed(seed, arguments.tail).tail {
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
    println!("{} events, {} proposals acknowledged", summary.events, summary.acknowledged);
}

/// Every mutant: found or not.
fn hunt(arguments: &Arguments) -> bool {
    let mut found = 0;
    for mutant in MUTANTS {
        let order = Order { seeds: mutant.seeds, ..order(arguments, Some(mutant.name)) };
        let summary = run::seeds(order);
        match summary.failed.first() {
            Some(first) => {
                found += 1;
                let failure = first.failure.as_deref().unwrap_or_default();
                let failure: String = failure.chars().take(150).collect();
                println!("found  {:<24} seed {:>5}  {failure}", mutant.name, first.seed);
            }
            None => println!("MISSED {:<24} {} seeds  {}", mutant.name, summary.seeds, mutant.bug),
        }
    }
    println!("{found} of {} mutants found", MUTANTS.len());
    found == MUTANTS.len()
}
