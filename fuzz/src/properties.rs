//! A configuration file that somebody wrote.

use ottla_config::{NodeConfig, Properties, properties::write_entry};

/// The bytes as a `.properties` file, and as a node's configuration.
pub fn properties(input: &[u8]) {
    if let Ok(properties) = Properties::parse("fuzz", input) {
        for entry in properties.entries() {
            let line = write_entry(&entry.key, &entry.value);
            let again = Properties::parse("again", line.as_bytes()).expect("what was written can be read");
            assert_eq!(again.get(&entry.key), Some(entry.value.as_str()), "{line}");
        }
        let _ = properties.overwritten().count();
    }
    match NodeConfig::load("fuzz", input, &[]) {
        Ok(loaded) => drop(format!("{loaded:?}")),
        Err(problems) => drop(problems.to_string()),
    }
}
