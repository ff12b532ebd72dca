//! The options of `kafka-consumer-groups`, and which of them go together.

use super::command;
use crate::args::jopt::{Found, Kind, Parser};
use crate::runtime::{Out, Stop};

const ABOUT: &str = "This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or reset consumer group offsets.";
pub(super) const ACTIONS: [&str; 6] =
    ["list", "describe", "delete", "reset-offsets", "delete-offsets", "validate-regex"];
pub(crate) const SCENARIOS: [&str; 8] = [
    "to-offset",
    "to-datetime",
    "by-duration",
    "to-earliest",
    "to-latest",
    "to-current",
    "shift-by",
    "from-file",
];

pub(crate) fn parser() -> Parser {
    let mut p = Parser::new();
    p.takes(
        "bootstrap-server",
        "The server(s) to connect to. REQUIRED for all options except for --validate-regex.",
        "server to connect to",
        Kind::Text,
    );
    p.takes("group", "The consumer group we wish to act on.", "consumer group", Kind::Text);
    p.takes(
        "topic",
        "The topic whose consumer group information should be deleted or topic whose should be included in the reset offset process. In `reset-offsets` case, partitions can be specified using this format: `topic1:0,1,2`, where 0,1,2 are the partition to be included in the process. Reset-offsets also supports multiple topic inputs.",
        "topic",
        Kind::Text,
    );
    p.flag("all-topics", "Consider all topics assigned to a group in the `reset-offsets` process.");
    p.flag("list", "List all consumer groups.");
    p.flag(
        "describe",
        "Describe consumer group and list offset lag (number of messages not yet processed) related to given group.",
    );
    p.flag("all-groups", "Apply to all consumer groups.");
    p.flag(
        "delete",
        "Pass in groups to delete topic partition offsets and ownership information over the entire consumer group. For instance --group g1 --group g2",
    );
    p.takes(
        "timeout",
        "The timeout that can be set for some use cases. For example, it can be used when describing the group to specify the maximum amount of time in milliseconds to wait before the group stabilizes (when the group is just created, or is going through some changes).",
        "timeout (ms)",
        Kind::Long,
    )
    .default(30000);
    p.takes(
        "command-config",
        "Property file containing configs to be passed to Admin Client and Consumer.",
        "command config property file",
        Kind::Text,
    );
    p.flag(
        "reset-offsets",
        "Reset offsets of consumer group. Supports one consumer group at the time, and instances should be inactive\nHas 2 execution options: --dry-run (the default) to plan which offsets to reset, and --execute to update the offsets. Additionally, the --export option is used to export the results to a CSV format.\nYou must choose one of the following reset specifications: --to-datetime, --by-duration, --to-earliest, --to-latest, --shift-by, --from-file, --to-current, --to-offset.\nTo define the scope use --all-topics or --topic. One scope must be specified unless you use '--from-file'.",
    );
    p.flag(
        "delete-offsets",
        "Delete offsets of consumer group. Supports one consumer group at the time, and multiple topics.",
    );
    p.flag(
        "dry-run",
        "Only show results without executing changes on Consumer Groups. Supported operations: reset-offsets.",
    );
    p.flag("execute", "Execute operation. Supported operations: reset-offsets.");
    p.flag("export", "Export operation execution to a CSV file. Supported operations: reset-offsets.");
    command::takes_offset_or_file(&mut p);
    command::takes_datetime(&mut p);
    command::takes_duration(&mut p);
    p.flag("to-earliest", "Reset offsets to earliest offset.");
    p.flag("to-latest", "Reset offsets to latest offset.");
    p.flag("to-current", "Reset offsets to current offset.");
    command::takes_shift(&mut p);
    p.flag(
        "members",
        "Describe members of the group. This option may be used with '--describe' and '--bootstrap-server' options only.\nExample: --bootstrap-server localhost:9092 --describe --group group1 --members",
    );
    p.flag(
        "verbose",
        "Provide additional information, if any, when describing the group. This option may be used with '--offsets'/'--members'/'--state' and '--bootstrap-server' options only.\nExample: --bootstrap-server localhost:9092 --describe --group group1 --members --verbose",
    );
    p.flag(
        "offsets",
        "Describe the group and list all topic partitions in the group along with their offset lag. This is the default sub-action of and may be used with '--describe' and '--bootstrap-server' options only.\nExample: --bootstrap-server localhost:9092 --describe --group group1 --offsets",
    );
    p.may_take(
        "state",
        "When specified with '--describe', includes the state of the group.\nExample: --bootstrap-server localhost:9092 --describe --group group1 --state\nWhen specified with '--list', it displays the state of all groups. It can also be used to list groups with specific states.\nExample: --bootstrap-server localhost:9092 --list --state stable,empty\nThis option may be used with '--describe', '--list' and '--bootstrap-server' options only.",
        "",
        Kind::Text,
    );
    p.may_take(
        "type",
        "When specified with '--list', it displays the types of all the groups. It can also be used to list groups with specific types.\nExample: --bootstrap-server localhost:9092 --list --type classic,consumer\nThis option may be used with the '--list' option only.",
        "",
        Kind::Text,
    );
    p.takes(
        "validate-regex",
        "Validate that the syntax of the provided regular expression is valid according to the RE2 format.",
        "regex",
        Kind::Text,
    );
    p
}

pub(super) fn check(p: &Parser, found: &Found, out: &mut Out) -> Result<(), Stop> {
    p.help_or_version(found, ABOUT, out)?;
    if !found.has("validate-regex") {
        p.check_required(found, &["bootstrap-server"])?;
    }
    available(
        found,
        &[
            ("members", &["describe"][..]),
            ("verbose", &["describe"]),
            ("offsets", &["describe"]),
            ("state", &["describe", "list"]),
            ("type", &["list"]),
        ],
    )?;
    let has_scope = found.has("group") || found.has("all-groups");
    // In the order of the Java set that Kafka prints.
    let scopes = "[all-groups], [group]";
    command::check_describe(p, found)?;
    if found.has("delete") {
        if !has_scope {
            return Err(p.usage(format!("Option [delete] takes one of these options: {scopes}")));
        }
        if found.has("topic") {
            return Err(p.usage(
                "The consumer does not support topic-specific offset deletion from a consumer group.",
            ));
        }
    }
    if found.has("delete-offsets") && !(found.has("group") && found.has("topic")) {
        return Err(p.usage("Option [delete-offsets] takes the following options: [topic], [group]"));
    }
    if found.has("reset-offsets") {
        command::check_dry_or_real(p, found, true)?;
        if !found.has("dry-run") && !found.has("execute") {
            eprintln!(
                "WARN: No action will be performed as the --execute option is missing. In version 5.0, this command will require either --dry-run or --execute to be specified. You should add the --dry-run option explicitly if you are scripting this command and want to keep the current default behavior without prompting."
            );
        }
        if !has_scope {
            return Err(p.usage(format!("Option [reset-offsets] takes one of these options: {scopes}")));
        }
        command::check_scenarios(p, found, &SCENARIOS)?;
    }
    p.check_invalid(found, "group", &["all-groups"])?;
    p.check_invalid(found, "group", &["list"])?;
    p.check_invalid(found, "topic", &["list", "describe"])?;
    if ACTIONS.iter().filter(|action| found.has(action)).count() != 1 {
        let actions: Vec<String> = ACTIONS.iter().map(|action| format!("--{action}")).collect();
        return Err(p.usage(format!("Command must include exactly one action: {}", actions.join(", "))));
    }
    Ok(())
}

/// joptsimple's `availableIf`: options that mean nothing without one of others.
pub(crate) fn available(found: &Found, rules: &[(&str, &[&str])]) -> Result<(), Stop> {
    for (option, with) in rules {
        if found.has(option) && !with.iter().any(|other| found.has(other)) {
            let message =
                format!("Option(s) [{option}] are unavailable given other options on the command line");
            return Err(Stop::error(message)
                .and_err(format!("    next: give --{option} together with --{}", with.join(" or --"))));
        }
    }
    Ok(())
}
