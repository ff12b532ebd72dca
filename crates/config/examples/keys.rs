//! Prints every configuration key as Markdown tables: what it means, its default, when it may change, and what this
//! product does with it. `cargo run -p ottla-config --example keys`

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
        Support::Refused(feature) => format!("other values are refused until {feature}"),
    };
    let change = if changes { format!(" {change} |") } else { String::new() };
    format!("| `{}` | {} | {default} |{change} {support} |", key.name, key.doc)
}

fn table(title: &str, list: &[Key], changes: bool) {
    println!("\n### {title}\n");
    let (head, rule) = if changes { (" Change |", " --- |") } else { ("", "") };
    println!("| Key | Meaning | Default |{head} Here |\n| --- | --- | --- |{rule} --- |");
    for key in list {
        println!("{}", row(key, changes));
    }
}

fn main() {
    for (title, list) in keys::NODE_FAMILIES {
        table(title, list, true);
    }
    table("Topics", keys::topic_keys(), false);
    table("Groups", keys::group_keys(), false);
    table("Client metrics subscriptions", keys::client_metrics_keys(), false);
}
