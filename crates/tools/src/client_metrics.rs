//! `kafka-client-metrics`: which metrics clients send (KIP-714), listed, described, altered and deleted.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use ottla_client::Cluster;
use ottla_protocol::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::{
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest,
};
use ottla_records::uuid_text;

use crate::args::jopt::{Found, Kind, Parser};
use crate::runtime::{self, Out, Stop, Thrown, java};

const ABOUT: &str = "This tool helps to manipulate and describe client metrics configurations.";
/// A client-metrics resource in configuration requests.
const CLIENT_METRICS: i8 = 16;
const SET: i8 = 0;
const DELETE: i8 = 1;

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-client-metrics", args, client_metrics)
}

pub(crate) fn parser() -> Parser {
    let mut p = Parser::new();
    p.takes(
        "bootstrap-server",
        "REQUIRED: The Kafka server to connect to.",
        "server to connect to",
        Kind::Text,
    );
    p.takes(
        "command-config",
        "Property file containing configs to be passed to Admin Client.",
        "command config property file",
        Kind::Text,
    );
    p.flag("alter", "Alter the configuration for the client metrics resource.");
    p.flag("delete", "Delete the configuration for the client metrics resource.");
    p.flag("describe", "List configurations for the client metrics resource.");
    p.flag("list", "List the client metrics resources.");
    p.takes("name", "Name of client metrics configuration resource.", "name", Kind::Text);
    p.flag("generate-name", "Generate a UUID to use as the name.");
    p.takes(
        "interval",
        "The metrics push interval in milliseconds.\nLeave empty to reset the interval.",
        "push interval",
        Kind::Text,
    );
    p.takes(
        "match",
        "Matching selector 'k1=v1,k2=v2'. The following is a list of valid selector names: \n\tclient_id\n\tclient_instance_id\n\tclient_software_name\n\tclient_software_version\n\tclient_source_address\n\tclient_source_port",
        "k1=v1,k2=v2",
        Kind::Text,
    )
    .separated_by(',');
    p.takes("metrics", "Telemetry metric name prefixes 'm1,m2'.", "m1,m2", Kind::Text).separated_by(',');
    p
}

fn client_metrics(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let mut p = parser();
    let found = match p.parse(args) {
        Ok(found) => found,
        Err(misuse) => return Err(p.usage(misuse.message()).and_err(misuse.more())),
    };
    check(&p, &found, out)?;
    let properties = runtime::properties(found.value("command-config"))?;
    let server = found.value("bootstrap-server").unwrap_or_default();
    runtime::block_on(async {
        let call = if found.has("alter") { "incrementalAlterConfigs" } else { "listConfigResources" };
        let cluster =
            runtime::open(server, &properties).await.map_err(|thrown| said(&thrown.calling(call)))?;
        let lines = if found.has("alter") {
            alter(&cluster, &found).await
        } else if found.has("describe") {
            describe(&cluster, found.value("name")).await
        } else if found.has("delete") {
            delete(&cluster, found.value("name").unwrap_or_default()).await
        } else {
            names(&cluster).await.map(|names| names.join("\n"))
        };
        let lines = lines.map_err(|thrown| said(&thrown))?;
        // Nothing to describe is nothing said; an empty list is an empty line.
        if !(lines.is_empty() && found.has("describe")) {
            writeln!(out, "{lines}")?;
        }
        Ok(())
    })
}

fn check(p: &Parser, found: &Found, out: &mut Out) -> Result<(), Stop> {
    p.help_or_version(found, ABOUT, out)?;
    if ["alter", "delete", "describe", "list"].iter().filter(|action| found.has(action)).count() != 1 {
        return Err(
            p.usage("Command must include exactly one action: --alter, --delete, --describe or --list.")
        );
    }
    if !found.has("bootstrap-server") {
        return Err(Stop::error("--bootstrap-server must be specified."));
    }
    let what = ["generate-name", "interval", "match", "metrics"];
    p.check_invalid(found, "delete", &what)?;
    p.check_invalid(found, "describe", &what)?;
    p.check_invalid(found, "list", &["name", "generate-name", "interval", "match", "metrics"])?;
    if found.has("alter") {
        if found.has("name") == found.has("generate-name") {
            return Err(Stop::error("One of --name or --generate-name must be specified with --alter."));
        }
        if found
            .value("interval")
            .is_some_and(|interval| !interval.is_empty() && java::int(interval).is_err())
        {
            return Err(Stop::error("Invalid interval value. Enter an integer, or leave empty to reset."));
        }
    }
    if found.has("delete") && !found.has("name") {
        return Err(Stop::error("A client metrics resource name must be specified with --delete."));
    }
    Ok(())
}

/// Kafka says the message on standard output and logs the exception.
fn said(thrown: &Thrown) -> Stop {
    let line = format!("{}: {}", thrown.class, thrown.message);
    runtime::log("ERROR", &line, "org.apache.kafka.tools.ClientMetricsCommand");
    Stop::said(format!("Error while executing client metrics command : {}", thrown.message))
        .and_err(&thrown.causes)
}

async fn names(cluster: &Cluster) -> Result<Vec<String>, Thrown> {
    let request = ListConfigResourcesRequest { resource_types: vec![CLIENT_METRICS] };
    let answer = cluster.any(&request).await?;
    Thrown::of_item(answer.error_code, None)?;
    Ok(answer.config_resources.into_iter().map(|resource| resource.resource_name).collect())
}

/// What a resource is set to: names and values, as the server gives them.
async fn configs(cluster: &Cluster, name: &str) -> Result<Vec<(String, Option<String>)>, Thrown> {
    let resource = DescribeConfigsResource {
        resource_type: CLIENT_METRICS,
        resource_name: name.to_owned(),
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..DescribeConfigsRequest::default() };
    let mut configs = Vec::new();
    for result in cluster.any(&request).await?.results {
        Thrown::of_item(result.error_code, result.error_message.as_deref())?;
        configs.extend(result.configs.into_iter().map(|config| (config.name, config.value)));
    }
    Ok(java::hash_order(configs, |(name, _)| name))
}

async fn describe(cluster: &Cluster, name: Option<&str>) -> Result<String, Thrown> {
    let mut resources = names(cluster).await?;
    if let Some(name) = name {
        if !resources.iter().any(|resource| resource == name) {
            return Ok(format!(
                "The client metric resource {name} doesn't exist and doesn't have dynamic config."
            ));
        }
        resources = vec![name.to_owned()];
    }
    let mut lines = Vec::new();
    for resource in resources {
        lines.push(format!("Client metrics configs for {resource} are:"));
        for (name, value) in configs(cluster, &resource).await? {
            lines.push(format!("  {name}={}", value.as_deref().unwrap_or("null")));
        }
    }
    Ok(lines.join("\n"))
}

async fn set(cluster: &Cluster, name: &str, configs: Vec<AlterableConfig>) -> Result<(), Thrown> {
    let resource =
        AlterConfigsResource { resource_type: CLIENT_METRICS, resource_name: name.to_owned(), configs };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let answer = cluster.controller(&request).await?;
    answer.responses.iter().try_for_each(|of| Thrown::of_item(of.error_code, of.error_message.as_deref()))
}

async fn alter(cluster: &Cluster, found: &Found) -> Result<String, Thrown> {
    let generated = uuid_text::encode(&uuid_text::random());
    let name = found.value("name").unwrap_or(&generated);
    set(cluster, name, wanted(found)).await?;
    Ok(format!("Altered client metrics config for {name}."))
}

/// What is to be set; an empty value takes a key back to its default.
fn wanted(found: &Found) -> Vec<AlterableConfig> {
    let lists = [("interval.ms", "interval"), ("metrics", "metrics"), ("match", "match")];
    let given = lists.into_iter().filter(|(_, option)| found.has(option));
    given
        .map(|(name, option)| {
            let value = found.values(option).join(",");
            let config_operation = if value.is_empty() { DELETE } else { SET };
            AlterableConfig { name: name.to_owned(), config_operation, value: Some(value) }
        })
        .collect()
}

async fn delete(cluster: &Cluster, name: &str) -> Result<String, Thrown> {
    let old = configs(cluster, name).await?.into_iter();
    let configs = old.map(|(name, value)| AlterableConfig { name, config_operation: DELETE, value });
    set(cluster, name, configs.collect()).await?;
    Ok(format!("Deleted client metrics config for {name}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(args: &[&str]) -> Found {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        parser().parse(&args).expect("good arguments")
    }

    #[test]
    fn lists_are_joined_and_an_empty_value_deletes() {
        let found = found(&["--alter", "--interval", "", "--metrics", "a.,b.", "--match", "client_id=x"]);
        let wanted: Vec<_> = wanted(&found)
            .into_iter()
            .map(|config| (config.name, config.config_operation, config.value.unwrap_or_default()))
            .collect();
        assert_eq!(
            wanted,
            [
                ("interval.ms".to_owned(), DELETE, String::new()),
                ("metrics".to_owned(), SET, "a.,b.".to_owned()),
                ("match".to_owned(), SET, "client_id=x".to_owned()),
            ]
        );
    }

    #[test]
    fn what_does_not_go_together_is_refused_in_kafkas_words() {
        let refused =
            |args: &[&str]| check(&parser(), &found(args), &mut Out::new_for_test()).expect_err("refused");
        let err = |args: &[&str]| refused(args).err.lines().next().unwrap_or_default().to_owned();
        assert_eq!(err(&["--list"]), "--bootstrap-server must be specified.");
        assert_eq!(
            err(&["--bootstrap-server", "x", "--alter"]),
            "One of --name or --generate-name must be specified with --alter."
        );
        assert_eq!(
            err(&["--bootstrap-server", "x", "--alter", "--name", "n", "--interval", "x"]),
            "Invalid interval value. Enter an integer, or leave empty to reset."
        );
        assert_eq!(
            err(&["--bootstrap-server", "x", "--delete"]),
            "A client metrics resource name must be specified with --delete."
        );
    }
}
