//! `kafka-groups`: the groups of all types.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use ottla_protocol::messages::list_groups_response::ListedGroup;

use crate::args::jopt::{Found, Kind, Parser};
use crate::consumer_groups::command::no_brokers;
use crate::consumer_groups::server::{self, TYPES};
use crate::runtime::{self, Out, Stop, Thrown};

const ABOUT: &str = "This tool helps to list groups of all types.";

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-groups", args, groups)
}

pub(crate) fn parser() -> Parser {
    let mut p = Parser::new();
    p.takes(
        "bootstrap-server",
        "REQUIRED: The Kafka server to connect to.",
        "server to connect to",
        Kind::Text,
    )
    .required();
    p.takes(
        "command-config",
        "Property file containing configs to be passed to Admin Client.",
        "command config property file",
        Kind::Text,
    );
    p.flag("list", "List the groups.");
    p.takes(
        "group-type",
        "Filter the groups based on group type. Valid types are: 'classic', 'consumer', 'share' and 'streams'.",
        "type",
        Kind::Text,
    );
    p.takes("protocol", "Filter the groups based on protocol type.", "protocol", Kind::Text);
    p.flag(
        "consumer",
        "Filter the groups to show all kinds of consumer groups, including classic and simple consumer groups. This matches group type 'consumer', and group type 'classic' where the protocol type is 'consumer' or empty.",
    );
    p.flag("share", "Filter the groups to show share groups.");
    p.flag("streams", "Filter the groups to show streams groups.");
    p
}

fn groups(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let mut p = parser();
    let found = match p.parse(args) {
        Ok(found) => found,
        Err(misuse) => return Err(p.usage(misuse.message()).and_err(misuse.more())),
    };
    p.help_or_version(&found, ABOUT, out)?;
    if !found.has("list") {
        return Err(p.usage("Command must include exactly one action: --list."));
    }
    let wanted = found.value("group-type").map(known_type);
    if wanted == Some(None) {
        return Err(Stop::error("--group-type must be a valid group type.")
            .and_err("    next: --group-type classic, consumer, share or streams"));
    }
    p.check_invalid(&found, "consumer", &["group-type", "protocol", "share", "streams"])?;
    p.check_invalid(&found, "share", &["consumer", "group-type", "protocol", "streams"])?;
    p.check_invalid(&found, "streams", &["consumer", "group-type", "protocol", "share"])?;
    let properties = runtime::properties(found.value("command-config"))?;
    let server = found.value("bootstrap-server").unwrap_or_default();
    runtime::block_on(async {
        let done = async {
            let cluster = runtime::open(server, &properties).await.map_err(|thrown| no_brokers(&thrown))?;
            server::list(&cluster, &[], &[], None).await
        };
        let groups = done.await.map_err(|thrown| said(&thrown))?;
        let filter = Filter::of(&found);
        let groups: Vec<ListedGroup> = groups.into_iter().filter(|group| filter.passes(group)).collect();
        write!(out, "{}", table(&groups))?;
        Ok(())
    })
}

/// Kafka says the message on standard output and logs the exception.
fn said(thrown: &Thrown) -> Stop {
    let line = format!("{}: {}", thrown.class, thrown.message);
    runtime::log("ERROR", &line, "org.apache.kafka.tools.GroupsCommand");
    Stop::said(format!("Error while executing groups command : {}", thrown.message)).and_err(&thrown.causes)
}

fn known_type(text: &str) -> Option<&'static str> {
    TYPES.into_iter().find(|name| name.eq_ignore_ascii_case(text))
}

/// Which groups are shown.
#[derive(Debug, Default)]
struct Filter<'a> {
    group_type: Option<&'static str>,
    protocol: Option<&'a str>,
    consumer: bool,
    share: bool,
    streams: bool,
}

impl Filter<'_> {
    fn of(found: &Found) -> Filter<'_> {
        Filter {
            group_type: found.value("group-type").and_then(known_type),
            protocol: found.value("protocol"),
            consumer: found.has("consumer"),
            share: found.has("share"),
            streams: found.has("streams"),
        }
    }

    fn passes(&self, group: &ListedGroup) -> bool {
        let (kind, protocol) = (group.group_type.as_str(), group.protocol_type.as_str());
        let speaks = self.protocol.is_none_or(|wanted| wanted == protocol);
        match self.group_type {
            Some(wanted) => kind.eq_ignore_ascii_case(wanted) && speaks,
            None if self.protocol.is_some() => speaks,
            None if self.consumer => {
                matches!(protocol, "consumer" | "") || kind.eq_ignore_ascii_case("Consumer")
            }
            None if self.share => kind.eq_ignore_ascii_case("Share"),
            None if self.streams => kind.eq_ignore_ascii_case("Streams"),
            None => true,
        }
    }
}

fn table(groups: &[ListedGroup]) -> String {
    let cells =
        |group: &ListedGroup| [group.group_id.clone(), group.group_type.clone(), group.protocol_type.clone()];
    let widest = groups.iter().flat_map(cells).map(|cell| cell.encode_utf16().count()).max();
    let width = widest.unwrap_or(0).max(20);
    let mut text = format!("{:width$} {:width$} {:width$}\n", "GROUP", "TYPE", "PROTOCOL");
    for group in groups {
        for cell in cells(group) {
            text.push_str(&format!("{cell:width$} "));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(id: &str, kind: &str, protocol: &str) -> ListedGroup {
        ListedGroup {
            group_id: id.into(),
            group_type: kind.into(),
            protocol_type: protocol.into(),
            ..ListedGroup::default()
        }
    }

    #[test]
    fn columns_are_20_wide_or_more_and_rows_end_with_a_blank() {
        let text = table(&[group("g", "Classic", "consumer")]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("{:20} {:20} {:20}", "GROUP", "TYPE", "PROTOCOL"));
        assert_eq!(lines[1], format!("{:20} {:20} {:20} ", "g", "Classic", "consumer"));
        let text = table(&[group("a-group-with-a-very-long-name", "Classic", "")]);
        assert!(text.starts_with(&format!("{:29} {:29} ", "GROUP", "TYPE")), "{text}");
    }

    #[test]
    fn filters_pass_what_kafka_passes() {
        let connect = group("c", "Classic", "connect");
        let simple = group("s", "Classic", "");
        let share = group("h", "Share", "share");
        let consumer = Filter { consumer: true, ..Filter::default() };
        assert!(consumer.passes(&simple) && !consumer.passes(&connect) && !consumer.passes(&share));
        let typed =
            Filter { group_type: known_type("CLASSIC"), protocol: Some("connect"), ..Filter::default() };
        assert!(typed.passes(&connect) && !typed.passes(&simple));
        let spoken = Filter { protocol: Some("share"), ..Filter::default() };
        assert!(spoken.passes(&share) && !spoken.passes(&connect));
        assert!(Filter { share: true, ..Filter::default() }.passes(&share));
        assert_eq!(known_type("unknown"), None);
    }
}
