//! The options of `kafka-share-groups`, and which of them go together.

use crate::args::jopt::{Found, Kind, Parser};
use crate::consumer_groups::command;
use crate::runtime::{Out, Stop};

const ABOUT: &str = "This tool helps to list, describe, reset and delete share groups.";
const ACTIONS: [&str; 5] = ["list", "describe", "delete", "reset-offsets", "delete-offsets"];
const SCENARIOS: [&str; 3] = ["to-datetime", "to-earliest", "to-latest"];

pub(crate) fn parser() -> Parser {
    let mut p = Parser::new();
    command::takes_server(&mut p);
    p.takes("group", "The share group we wish to act on.", "share group", Kind::Text);
    p.takes("topic", "The topic whose offset information should be deleted or included in the reset offset process. When resetting offsets, partitions can be specified using this format: 'topic1:0,1,2', where 0,1,2 are the partitions to be included.", "topic", Kind::Text);
    p.flag("all-topics", "Consider all topics assigned to a share group in the 'reset-offsets' process.");
    p.flag("list", "List all share groups.");
    p.flag("describe", "Describe share group, members and offset information.");
    p.flag("all-groups", "Apply to all share groups.");
    p.flag("delete", "Delete share group.");
    command::takes_timeout(&mut p);
    p.flag("reset-offsets", "Reset offsets of share group. Supports one share group at the time, and instances must be inactive.\nHas 2 execution options: --dry-run to plan which offsets to reset, and --execute to reset the offsets. \nYou must choose one of the following reset specifications: --to-datetime, --to-earliest, --to-latest.\nTo define the scope use --all-topics or --topic.\nFails if neither '--dry-run' nor '--execute' is specified.");
    p.flag(
        "delete-offsets",
        "Delete offsets of share group. Supports one share group at the time, and multiple topics.",
    );
    p.flag(
        "dry-run",
        "Only show results without executing changes on share groups. Supported operations: reset-offsets.",
    );
    p.flag("execute", "Execute operation. Supported operations: reset-offsets.");
    command::takes_datetime(&mut p);
    p.flag("to-earliest", "Reset offsets to earliest offset.");
    p.flag("to-latest", "Reset offsets to latest offset.");
    p.flag(
        "members",
        "Describe members of the group. This option may be used with the '--describe' option only.",
    );
    p.flag("offsets", "Describe the group and list all topic partitions in the group along with their offset information. This is the default sub-action and may be used with the '--describe' option only.");
    p.may_take("state", "When specified with '--describe', includes the state of the group.\nWhen specified with '--list', it displays the state of all groups. It can also be used to list groups with specific states. Valid values are Empty, Stable and Dead.", "", Kind::Text);
    p.flag("verbose", "Provide additional information, if any, when describing the group. This option may be used with the '--describe' option only.");
    p
}

pub(super) fn check(p: &Parser, found: &Found, out: &mut Out) -> Result<(), Stop> {
    command::check_first(p, found, ABOUT, out)?;
    let refuse = |wrong: bool, message: &str| if wrong { Err(p.usage(message)) } else { Ok(()) };
    let has = |name: &str| found.has(name);
    let scoped = has("group") || has("all-groups");
    if has("delete") {
        refuse(!scoped, "Option [delete] takes the options [group] or [all-groups]")?;
        refuse(
            has("group") && has("all-groups"),
            "Option [delete] takes either [group] or [all-groups], not both.",
        )?;
        refuse(has("topic"), "Option [delete] does not take the option: [topic]")?;
    }
    refuse(
        has("delete-offsets") && !(has("group") && has("topic")),
        "Option [delete-offsets] takes the following options: [group], [topic]",
    )?;
    if has("reset-offsets") {
        command::check_dry_or_real(p, found, false)?;
        refuse(!has("group"), "Option [reset-offsets] takes the option: [group]")?;
        refuse(
            !has("topic") && !has("all-topics"),
            "Option [reset-offsets] takes one of these options: [all-topics], [topic]",
        )?;
        refuse(
            !SCENARIOS.iter().any(|scenario| has(scenario)),
            "Option [reset-offsets] takes one of these options: [to-datetime], [to-earliest], [to-latest]",
        )?;
        command::check_scenarios(p, found, &SCENARIOS)?;
    }
    p.check_invalid(found, "group", &["all-groups"])?;
    p.check_invalid(found, "group", &["list"])?;
    p.check_invalid(found, "topic", &["list", "describe"])?;
    refuse(
        ACTIONS.iter().filter(|action| has(action)).count() != 1,
        "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets.",
    )
}
