//! Consumer groups listed, with their types and states if asked.

use std::io::Write;

use ottla_client::Cluster;

use super::{Failure, layout, server};
use crate::args::jopt::Found;
use crate::runtime::{Out, Thrown};

/// States of consumer groups, as servers name them.
const STATES: [&str; 7] =
    ["PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Empty", "Assigning", "Reconciling"];
const TYPES: [&str; 2] = ["Classic", "Consumer"];

pub(super) async fn list(cluster: &Cluster, found: &Found, out: &mut Out) -> Result<(), Failure> {
    let (with_type, with_state) = (found.has("type"), found.has("state"));
    if !with_type && !with_state {
        for group in server::list_consumer_groups(cluster).await? {
            writeln!(out, "{group}")?;
        }
        return Ok(());
    }
    let types = types(found.value("type").unwrap_or_default())?;
    let states = states(found.value("state").unwrap_or_default())?;
    let groups = server::got(server::list(cluster, &types, &states, Some(&["", "consumer"])).await)?;
    write!(out, "{}", layout::list(&groups, with_type, with_state))?;
    Ok(())
}

/// `--state stable,empty`; nothing means all.
pub(super) fn states(input: &str) -> Result<Vec<String>, Thrown> {
    named(input, &STATES).ok_or_else(|| {
        Thrown::illegal_argument(format!(
            "Invalid state list '{input}'. Valid states are: {}",
            STATES.join(", ")
        ))
    })
}

/// `--type classic,consumer`; nothing means all.
pub(super) fn types(input: &str) -> Result<Vec<String>, Thrown> {
    let lower = input.to_lowercase();
    named(&lower, &TYPES).ok_or_else(|| {
        Thrown::illegal_argument(format!(
            "Invalid types list '{lower}'. Valid types are: {}",
            TYPES.join(", ")
        ))
    })
}

fn named(input: &str, valid: &[&str]) -> Option<Vec<String>> {
    if input.is_empty() {
        return Some(Vec::new());
    }
    let one = |name: &str| valid.iter().find(|valid| valid.eq_ignore_ascii_case(name.trim()));
    input.trim_end_matches(',').split(',').map(|name| one(name).map(|name| (*name).to_owned())).collect()
}
