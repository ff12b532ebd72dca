//! Reading a node's configuration file for a tool or the server: what is wrong is printed, with what to do next.

use std::path::Path;

use ottla_config::{Loaded, NodeConfig};

/// Loads `path` with `overrides`; `Err` is the text for standard error.
pub fn load(path: &Path, overrides: &[(String, String)]) -> Result<Loaded, String> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        let next = if error.kind() == std::io::ErrorKind::NotFound {
            "\n    next: give the path of a .properties file, for example config/server.properties"
        } else {
            ""
        };
        format!("{shown}: cannot read the configuration file: {error}{next}")
    })?;
    NodeConfig::load(&shown, &bytes, overrides).map_err(|problems| problems.to_string())
}
