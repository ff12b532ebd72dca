//! The options of `kafka-streams-groups`, and which of them go together.

use crate::args::jopt::{Found, Kind, Parser};
use crate::consumer_groups::command;
pub(super) use crate::consumer_groups::options::SCENARIOS;
use crate::runtime::{Out, Stop};

const ABOUT: &str = "This tool helps to list, or describe streams groups.";
const ACTIONS: [&str; 5] = ["list", "describe", "reset-offsets", "delete", "delete-offsets"];

pub(crate) fn parser() -> Parser {
    let mut p = Parser::new();
    command::takes_server(&mut p);
    p.takes("group", "The streams group we wish to act on.", "streams group", Kind::Text);
    p.takes("input-topic", "The input topic whose committed offset should be deleted or reset. In `reset-offsets` case, partitions can be specified using this format: `topic1:0,1,2`, where 0,1,2 are the partition to be included in the process. Multiple input topics can be specified. Supported operations: delete-offsets, reset-offsets.", "topic", Kind::Text);
    p.flag("all-input-topics", "Consider all source topics used in the topology of the group. Supported operations: delete-offsets, reset-offsets.");
    p.flag("list", "List all streams groups.");
    p.flag("describe", "Describe streams group and list offset lag related to given group.");
    p.flag("all-groups", "Apply to all streams groups.");
    p.flag("delete", "Pass in groups to delete topic partition offsets and ownership information over the entire streams group. For instance --group g1 --group g2");
    p.flag(
        "delete-offsets",
        "Delete offsets of streams group. Supports one streams group at the time, and multiple topics.",
    );
    command::takes_timeout(&mut p);
    p.may_take("state", "When specified with '--list', it displays the state of all groups. It can also be used to list groups with specific states. Valid values are Empty, NotReady, Stable, Assigning, Reconciling, and Dead.", "", Kind::Text);
    p.flag(
        "members",
        "Describe members of the group. This option may be used with the '--describe' option only.",
    );
    p.flag("offsets", "Describe the group and list all topic partitions in the group along with their offset information.This is the default sub-action and may be used with the '--describe' option only.");
    p.flag("reset-offsets", "Reset offsets of streams group. The instances should be inactive.\nHas 2 execution options: --dry-run to plan which offsets to reset, and --execute to update the offsets.\nIf you use --execute, all internal topics linked to the group will also be deleted.\nYou must choose one of the following reset specifications: --to-datetime, --by-duration, --to-earliest, --to-latest, --shift-by, --from-file, --to-current, --to-offset.\nTo define the scope use --all-input-topics or --input-topic. One scope must be specified unless you use '--from-file'.\nFails if neither '--dry-run' nor '--execute' is specified.");
    command::takes_offset_or_file(&mut p);
    command::takes_datetime(&mut p);
    command::takes_duration(&mut p);
    p.flag("to-earliest", "Reset offsets to earliest offset.");
    p.flag("to-latest", "Reset offsets to latest offset.");
    p.flag("to-current", "Reset offsets to current offset.");
    command::takes_shift(&mut p);
    p.takes("delete-internal-topic", "Delete specified internal topic of the streams group. Supported operations: reset-offsets.This option is applicable only when --execute is used.", "", Kind::Text);
    p.flag("delete-all-internal-topics", "Delete all internal topics linked to the streams group. Supported operations: reset-offsets, delete.With reset-offsets, this option is applicable only when --execute is used.");
    p.flag("verbose", "Use with --describe --state  to show group epoch and target assignment epoch.\nUse with --describe --members to show for each member the member epoch, target assignment epoch, current assignment, target assignment, and whether member is still using the classic rebalance protocol.\nUse with --describe --offsets  and --describe  to show leader epochs for each partition.");
    p.flag(
        "dry-run",
        "Only show results without executing changes on streams group. Supported operations: reset-offsets.",
    );
    p.flag("execute", "Execute operation. Supported operations: reset-offsets.");
    p.flag("export", "Export operation execution to a CSV file. Supported operations: reset-offsets.");
    p
}

pub(super) fn check(p: &Parser, found: &Found, out: &mut Out) -> Result<(), Stop> {
    command::check_first(p, found, ABOUT, out)?;
    let refuse = |wrong: bool, message: &str| if wrong { Err(p.usage(message)) } else { Ok(()) };
    let has = |name: &str| found.has(name);
    let scoped = has("group") || has("all-groups");
    if has("delete") {
        refuse(!scoped, "Option [delete] takes one of these options: [all-groups], [group]")?;
        refuse(
            has("input-topic") || has("all-input-topics"),
            "Kafka Streams does not support topic-specific offset deletion from a streams group.",
        )?;
    }
    if has("delete-offsets") {
        refuse(
            !(has("input-topic") || has("all-input-topics")) || !has("group"),
            "Option [delete-offsets] takes the [group] and one of these options: [all-input-topics], [input-topic]",
        )?;
        let groups = found.values("group");
        refuse(
            groups.len() > 1,
            &format!(
                "Option [delete-offsets] supports only one [group] at a time, but found: [{}]",
                groups.join(", ")
            ),
        )?;
    }
    if has("reset-offsets") {
        command::check_dry_or_real(p, found, false)?;
        refuse(!scoped, "Option [reset-offsets] takes one of these options: [all-groups], [group]")?;
        command::check_scenarios(p, found, &SCENARIOS)?;
    }
    if has("delete-all-internal-topics") {
        refuse(
            !has("reset-offsets") && !has("delete"),
            "Option [delete-all-internal-topics] takes one of these options: [delete], [reset-offsets]",
        )?;
        refuse(
            has("reset-offsets") && !has("execute"),
            "Option [delete-all-internal-topics] takes [execute] when [reset-offsets] is used.",
        )?;
    } else {
        refuse(
            has("delete-internal-topic") && !(has("reset-offsets") && has("execute")),
            "Option [delete-internal-topic] takes [reset-offsets] when [execute] is used.",
        )?;
    }
    refuse(
        (has("dry-run") || has("execute")) && !has("reset-offsets"),
        "Only Option [reset-offsets] accepts [execute] or [dry-run]",
    )?;
    p.check_invalid(found, "list", &["members", "offsets"])?;
    p.check_invalid(found, "group", &["all-groups"])?;
    p.check_invalid(found, "group", &["list"])?;
    p.check_invalid(found, "input-topic", &["list", "describe", "delete"])?;
    refuse(
        ACTIONS.iter().filter(|action| has(action)).count() != 1,
        "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, or --delete-offsets.",
    )
}
