//! `kafka-broker-api-versions`: what each broker speaks.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use ottla_protocol::ApiKey;
use ottla_protocol::api::{APIS, Listener};
use ottla_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

use crate::args::jopt::{Kind, Parser};
use crate::runtime::{self, KAFKA_VERSION, Out, Stop};

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-broker-api-versions", args, versions)
}

fn versions(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let mut p = Parser::new();
    p.takes(
        "command-config",
        "A property file containing configs to be passed to Admin Client.",
        "command config property file",
        Kind::Text,
    );
    p.takes(
        "bootstrap-server",
        "REQUIRED: The server to connect to.",
        "server(s) to use for bootstrapping",
        Kind::Text,
    );
    let found = p.parse(args)?;
    p.help_or_version(&found, "This tool helps to retrieve broker version information.", out)?;
    p.check_required(&found, &["bootstrap-server"])?;
    let properties = runtime::properties(found.value("command-config"))?;
    let server = found.value("bootstrap-server").unwrap_or_default();
    runtime::block_on(async {
        let cluster = runtime::connect(server, &properties).await?;
        let request = ApiVersionsRequest {
            client_software_name: "ottla".into(),
            client_software_version: KAFKA_VERSION.into(),
        };
        for (node, answer) in cluster.each(&request).await {
            let rack = node.rack.as_deref().unwrap_or("null");
            let name = format!(
                "{}:{} (id: {} rack: {rack} isFenced: {})",
                node.host, node.port, node.id, node.fenced
            );
            match answer {
                Ok(answer) => writeln!(out, "{name} -> {}", described(&answer))?,
                Err(error) => {
                    let (class, message) = error.exception();
                    writeln!(out, "{name} -> ERROR: {class}: {message}")?;
                }
            }
        }
        Ok(())
    })
}

/// Every API with its versions, by key; what clients know and the broker does not name is said to be missing.
fn described(answer: &ApiVersionsResponse) -> String {
    let mut lines = BTreeMap::new();
    for api in &answer.api_keys {
        let range = match api.min_version == api.max_version {
            true => api.min_version.to_string(),
            false => format!("{} to {}", api.min_version, api.max_version),
        };
        let text = match ApiKey::from_i16(api.api_key) {
            None => format!("UNKNOWN({}): {range}", api.api_key),
            Some(key) => {
                let (low, high) = (key.info().min_version, key.info().highest(true));
                let usable = if high < api.min_version {
                    "[unusable: node too new]".to_owned()
                } else if api.max_version < low {
                    "[unusable: node too old]".to_owned()
                } else {
                    format!("[usable: {}]", high.min(api.max_version))
                };
                format!("{}({}): {range} {usable}", key.name(), api.api_key)
            }
        };
        lines.insert(api.api_key, text);
    }
    for info in &APIS {
        let key = info.key;
        if info.on(Listener::Broker) {
            let id = key as i16;
            lines.entry(id).or_insert_with(|| format!("{}({id}): UNSUPPORTED", key.name()));
        }
    }
    let lines: Vec<String> = lines.into_values().collect();
    format!("(\n\t{}\n)", lines.join(",\n\t"))
}
