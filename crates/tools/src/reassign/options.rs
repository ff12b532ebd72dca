//! The options of `kafka-reassign-partitions`, and which of them go with which action.

use crate::args::jopt::{Found, Kind, Parser};
use crate::runtime::{Out, Stop};

const ABOUT: &str = "This tool helps to move topic partitions between replicas.";
const ACTIONS: [&str; 5] = ["generate", "execute", "verify", "cancel", "list"];

pub(crate) fn parser() -> Parser {
    let mut p = Parser::new();
    p.flag(
        "verify",
        "Verify if the reassignment completed as specified by the --reassignment-json-file option. If there is a throttle engaged for the replicas specified, and the rebalance has completed, the throttle will be removed",
    );
    p.flag(
        "generate",
        "Generate a candidate partition reassignment configuration. Note that this only generates a candidate assignment, it does not execute it.",
    );
    p.flag("execute", "Kick off the reassignment as specified by the --reassignment-json-file option.");
    p.flag("cancel", "Cancel an active reassignment.");
    p.flag("list", "List all active partition reassignments.");
    p.may_take(
        "bootstrap-server",
        "the server(s) to use for bootstrapping.",
        "Server(s) to use for bootstrapping",
        Kind::Text,
    );
    p.takes(
        "command-config",
        "Property file containing configs to be passed to Admin Client.",
        "Admin client property file",
        Kind::Text,
    );
    p.takes(
        "reassignment-json-file",
        "The JSON file with the partition reassignment configurationThe format to use is - \n{\"partitions\":\n\t[{\"topic\": \"foo\",\n\t  \"partition\": 1,\n\t  \"replicas\": [1,2,3],\n\t  \"log_dirs\": [\"dir1\",\"dir2\",\"dir3\"] }],\n\"version\":1\n}\nNote that \"log_dirs\" is optional. When it is specified, its length must equal the length of the replicas list. The value in this list can be either \"any\" or the absolution path of the log directory on the broker. If absolute log directory path is specified, the replica will be moved to the specified log directory on the broker.",
        "manual assignment json file path",
        Kind::Text,
    );
    p.takes(
        "topics-to-move-json-file",
        "Generate a reassignment configuration to move the partitions of the specified topics to the list of brokers specified by the --broker-list option. The format to use is - \n{\"topics\":\n\t[{\"topic\": \"foo\"},{\"topic\": \"foo1\"}],\n\"version\":1\n}",
        "topics to reassign json file path",
        Kind::Text,
    );
    p.takes(
        "broker-list",
        "The list of brokers to which the partitions need to be reassigned in the form \"0,1,2\". This is required if --topics-to-move-json-file is used to generate reassignment configuration",
        "brokerlist",
        Kind::Text,
    );
    p.may_take(
        "bootstrap-controller",
        "The controller to use for reassignment. By default, the tool will get the quorum controller. This option supports the actions --cancel and --list.",
        "bootstrap controller to connect to",
        Kind::Text,
    );
    p.flag("disable-rack-aware", "Disable rack aware replica assignment");
    p.takes(
        "throttle",
        "The movement of partitions between brokers will be throttled to this value (bytes/sec). This option can be included with --execute when a reassignment is started, and it can be altered by resubmitting the current reassignment along with the --additional flag. The throttle rate should be at least 1 KB/s.",
        "throttle",
        Kind::Long,
    )
    .default(-1);
    p.takes(
        "replica-alter-log-dirs-throttle",
        "The movement of replicas between log directories on the same broker will be throttled to this value (bytes/sec). This option can be included with --execute when a reassignment is started, and it can be altered by resubmitting the current reassignment along with the --additional flag. The throttle rate should be at least 1 KB/s.",
        "replicaAlterLogDirsThrottle",
        Kind::Long,
    )
    .default(-1);
    p.takes(
        "timeout",
        "The maximum time in ms to wait for log directory replica assignment to begin.",
        "timeout",
        Kind::Long,
    )
    .default(10000);
    p.flag(
        "additional",
        "Execute this reassignment in addition to any other ongoing ones. This option can also be used to change the throttle of an ongoing reassignment.",
    );
    p.flag("preserve-throttles", "Do not modify broker or topic throttles.");
    p.flag(
        "disallow-replication-factor-change",
        "Denies the ability to change a partition's replication factor as part of this reassignment through adding validation against it.",
    );
    p
}

pub(super) fn check(p: &Parser, found: &Found, out: &mut Out) -> Result<(), Stop> {
    p.help_or_version(found, ABOUT, out)?;
    let given: Vec<&str> = ACTIONS.into_iter().filter(|action| found.has(action)).collect();
    let [action] = given.as_slice() else {
        let actions: Vec<String> = ACTIONS.iter().map(|action| format!("--{action}")).collect();
        return Err(p.usage(format!("Command must include exactly one action: {}", actions.join(", "))));
    };
    let (server, controller) = (found.has("bootstrap-server"), found.has("bootstrap-controller"));
    if server && controller {
        return Err(p.usage("Please don't specify both --bootstrap-server and --bootstrap-controller"));
    }
    if !server && !controller {
        return Err(p.usage("Please specify either --bootstrap-server or --bootstrap-controller"));
    }
    let (required, permitted): (&[&str], &[&str]) = match *action {
        "verify" => {
            (&["reassignment-json-file"], &["bootstrap-server", "command-config", "preserve-throttles"])
        }
        "generate" => (
            &["topics-to-move-json-file", "broker-list"],
            &["bootstrap-server", "command-config", "disable-rack-aware"],
        ),
        "execute" => (
            &["reassignment-json-file"],
            &[
                "additional",
                "bootstrap-server",
                "command-config",
                "throttle",
                "replica-alter-log-dirs-throttle",
                "timeout",
                "disallow-replication-factor-change",
            ],
        ),
        "cancel" => (
            &["reassignment-json-file"],
            &["bootstrap-server", "bootstrap-controller", "command-config", "preserve-throttles", "timeout"],
        ),
        _ => (&[], &["bootstrap-server", "bootstrap-controller", "command-config"]),
    };
    p.check_required(found, required)?;
    for option in found.order() {
        if option != action && !required.contains(option) && !permitted.contains(option) {
            return Err(p.usage(format!("Option \"[{option}]\" can't be used with action \"[{action}]\"")));
        }
    }
    Ok(())
}
