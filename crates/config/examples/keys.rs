//! Prints every configuration key as Markdown tables: what it means, its default, when it may change, and what this
//! product does with it. `cargo run -p ottla-config --example keys [-- --summary]`
//!
//! The test `status_doc` holds `docs/CONFIGURATION.md` and the summary in `docs/STATUS.md` to what this prints.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ottla_config::key::{Fallback, Key, Support, Update};
use ottla_config::keys;

fn row(key: &Key, changes: bool) -> String {
    let default = match key.fallback {
        Fallback::Required => "must be set".to_owned(),
        Fallback::Null => "not set".to_owned(),
        Fallback::Text("") => "empty".to_owned(),
        Fallback::Text(text) => format!("`{text}`"),
    };
    let change = match key.update {
        Update::ReadOnly => "restart",
        Update::PerBroker => "running, one broker",
        Update::ClusterWide => "running",
    };
    let support = match key.support {
        Support::Served => "works".to_owned(),
        Support::NoEffect(reason) => format!("accepted, no effect: {reason}"),
        Support::Later(feature) => format!("accepted, waits for {feature}"),
        Support::Refused(feature) => format!("other values are refused: they ask for {feature}"),
    };
    let change = if changes { format!(" {change} |") } else { String::new() };
    format!("| `{}` | {} | {default} |{change} {support} |", key.name, key.doc)
}

/// The families of keys, and whether a change of a key may need a restart.
fn families() -> Vec<(&'static str, &'static [Key], bool)> {
    let mut all: Vec<_> = keys::NODE_FAMILIES.iter().map(|(title, list)| (*title, *list, true)).collect();
    all.push(("Topics", keys::topic_keys(), false));
    all.push(("Groups", keys::group_keys(), false));
    all.push(("Client metrics subscriptions", keys::client_metrics_keys(), false));
    all
}

/// Every key with all there is to say of it, a table for each family.
pub(crate) fn reference() -> String {
    let mut out = String::new();
    for (title, list, changes) in families() {
        let (head, rule) = if changes { (" Change |", " --- |") } else { ("", "") };
        _ = writeln!(out, "\n## {title}\n");
        _ = writeln!(out, "| Key | Meaning | Default |{head} Here |\n| --- | --- | --- |{rule} --- |");
        for key in list {
            _ = writeln!(out, "{}", row(key, changes));
        }
    }
    out
}

/// Every key by name, under what becomes of it.
pub(crate) fn summary() -> String {
    let (mut works, mut idle) = (0, 0);
    let mut out = String::new();
    for (title, list, _) in families() {
        let mut kinds: BTreeMap<(u8, &str), Vec<String>> = BTreeMap::new();
        for key in list {
            let kind = match key.support {
                Support::Served => (0, ""),
                Support::NoEffect(_) => (1, ""),
                Support::Later(feature) => (2, feature),
                Support::Refused(feature) => (3, feature),
            };
            *if kind.0 == 0 { &mut works } else { &mut idle } += 1;
            kinds.entry(kind).or_default().push(format!("`{}`", key.name));
        }
        _ = writeln!(out, "\n**{title}**\n");
        for ((kind, feature), names) in kinds {
            let what = match kind {
                0 => "works".to_owned(),
                1 => "accepted, no effect".to_owned(),
                2 => format!("waits for {feature}"),
                _ => format!("refused (they ask for {feature})"),
            };
            _ = writeln!(out, "* {what}: {}", names.join(", "));
        }
    }
    format!("{works} of {} keys work.\n{out}", works + idle)
}

#[allow(dead_code, reason = "the test that includes this file has a main of its own")]
fn main() {
    let short = std::env::args().any(|argument| argument == "--summary");
    print!("{}", if short { summary() } else { reference() });
}
