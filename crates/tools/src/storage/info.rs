//! `kafka-storage info`: which directories there are, what they are formatted for, and what does not fit together.

use std::path::Path;
use std::process::ExitCode;

use ottla_log::MetaProperties;
use ottla_log::fs::RealDisk;
use ottla_records::uuid_text;

use super::arguments;
use crate::config_file;

pub(super) fn run(wanted: &arguments::ConfigFlag) -> Result<ExitCode, String> {
    let loaded = config_file::load(&wanted.config, &[])?;
    let dirs = loaded.config.dirs.all();
    let mut found: Vec<&str> = Vec::new();
    let mut problems = Vec::new();
    let mut first: Option<MetaProperties> = None;
    for dir in dirs {
        let path = Path::new(dir);
        if !path.exists() {
            problems.push(format!("{dir} does not exist"));
        } else if !path.is_dir() {
            problems.push(format!("{dir} is not a directory"));
        } else {
            found.push(dir);
            match MetaProperties::read(&RealDisk, path) {
                Ok(None) => problems.push(format!("{dir} is not formatted.")),
                Ok(Some(properties)) => match &first {
                    None => first = Some(properties),
                    Some(other) => {
                        if other.cluster_id != properties.cluster_id {
                            problems.push("Mismatched cluster IDs between storage directories.".into());
                        } else if other.node_id != properties.node_id {
                            problems.push("Mismatched node IDs between storage directories.".into());
                        }
                    }
                },
                Err(error) => problems.push(format!("Error loading {dir}/meta.properties: {error}")),
            }
        }
    }
    if !found.is_empty() {
        println!("Found log {}:", if found.len() == 1 { "directory" } else { "directories" });
        found.sort_unstable();
        for dir in &found {
            println!("  {dir}");
        }
        println!();
    }
    if let Some(properties) = &first {
        println!("Found metadata: {}", shown(properties));
        println!();
    }
    if problems.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("Found problem{}:", if problems.len() == 1 { "" } else { "s" });
    for problem in &problems {
        println!("  {problem}");
    }
    println!();
    Ok(ExitCode::from(1))
}

/// The keys as Kafka prints them: a sorted map in braces.
fn shown(properties: &MetaProperties) -> String {
    let mut keys: Vec<String> = Vec::new();
    if let Some(id) = &properties.cluster_id {
        keys.push(format!("cluster.id={id}"));
    }
    if let Some(id) = &properties.directory_id {
        keys.push(format!("directory.id={}", uuid_text::encode(id)));
    }
    if let Some(id) = properties.node_id {
        keys.push(format!("node.id={id}"));
    }
    keys.push(format!("version={}", properties.version));
    format!("{{{}}}", keys.join(", "))
}
