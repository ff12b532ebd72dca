//! The options of `kafka-acls`, and which of them go together.

use super::words::Operation;
use crate::args::jopt::{Found, Kind, Parser};
use crate::runtime::{Out, Stop};

const ABOUT: &str = "This tool helps to manage acls on kafka.";
const SERVERS: &str = "A list of host/port pairs to use for establishing the connection to the Kafka cluster. This list should be in the form host1:port1,host2:port2,... This config is required for acl management using admin client API.";

pub(crate) fn parser() -> Parser {
    let mut p = Parser::new();
    p.takes("bootstrap-server", SERVERS, "server to connect to", Kind::Text);
    p.takes("bootstrap-controller", SERVERS, "controller to connect to", Kind::Text);
    p.may_take(
        "command-config",
        "A property file containing configs to be passed to Admin Client.",
        "command-config",
        Kind::Text,
    );
    p.takes(
        "topic",
        "topic to which ACLs should be added or removed. A value of '*' indicates ACL should apply to all topics.",
        "topic",
        Kind::Text,
    );
    p.flag("cluster", "Add/Remove cluster ACLs.");
    p.takes(
        "group",
        "Consumer Group to which the ACLs should be added or removed. A value of '*' indicates the ACLs should apply to all groups.",
        "group",
        Kind::Text,
    );
    p.takes(
        "transactional-id",
        "The transactionalId to which ACLs should be added or removed. A value of '*' indicates the ACLs should apply to all transactionalIds.",
        "transactional-id",
        Kind::Text,
    );
    p.flag(
        "idempotent",
        "Enable idempotence for the producer. This should be used in combination with the --producer option. Note that idempotence is enabled automatically if the producer is authorized to a particular transactional-id.",
    );
    p.takes(
        "delegation-token",
        "Delegation token to which ACLs should be added or removed. A value of '*' indicates ACL should apply to all tokens.",
        "delegation-token",
        Kind::Text,
    );
    p.takes(
        "resource-pattern-type",
        "The type of the resource pattern or pattern filter. When adding acls, this should be a specific pattern type, e.g. 'literal' or 'prefixed'. When listing or removing acls, a specific pattern type can be used to list or remove acls from specific resource patterns, or use the filter values of 'any' or 'match', where 'any' will match any pattern type, but will match the resource name exactly, where as 'match' will perform pattern matching to list or remove all acls that affect the supplied resource(s). WARNING: 'match', when used in combination with the '--remove' switch, should be used with care.",
        "",
        Kind::Class("ANY|MATCH|LITERAL|PREFIXED"),
    )
    .default("LITERAL");
    p.flag("add", "Indicates you are trying to add ACLs.");
    p.flag("remove", "Indicates you are trying to remove ACLs.");
    p.flag(
        "list",
        "List ACLs for the specified resource, use --topic <topic> or --group <group> or --cluster to specify a resource.",
    );
    let operations = Operation::ALL_OF_THEM.iter().skip(2).map(|it| format!("\t{}", it.pascal()));
    p.takes(
        "operation",
        &format!(
            "Operation that is being allowed or denied. Valid operation names are: \n{}\n",
            operations.collect::<Vec<_>>().join("\n")
        ),
        "",
        Kind::Text,
    )
    .default("All");
    p.takes(
        "allow-principal",
        "principal is in principalType:name format. Note that principalType must be supported by the Authorizer being used. For example, User:'*' is the wild card indicating all users.",
        "allow-principal",
        Kind::Text,
    );
    p.takes(
        "deny-principal",
        "principal is in principalType:name format. By default anyone not added through --allow-principal is denied access. You only need to use this option as negation to already allowed set. Note that principalType must be supported by the Authorizer being used. For example if you wanted to allow access to all users in the system but not test-user you can define an ACL that allows access to User:'*' and specify --deny-principal=User:test@EXAMPLE.COM. AND PLEASE REMEMBER DENY RULES TAKES PRECEDENCE OVER ALLOW RULES.",
        "deny-principal",
        Kind::Text,
    );
    p.may_take(
        "principal",
        "List ACLs for the specified principal. principal is in principalType:name format. Note that principalType must be supported by the Authorizer being used. Multiple --principal option can be passed.",
        "principal",
        Kind::Text,
    );
    p.takes(
        "allow-host",
        "Host from which principals listed in --allow-principal will have access. If you have specified --allow-principal then the default for this option will be set to '*' which allows access from all hosts.",
        "allow-host",
        Kind::Text,
    );
    p.takes(
        "deny-host",
        "Host from which principals listed in --deny-principal will be denied access. If you have specified --deny-principal then the default for this option will be set to '*' which denies access from all hosts.",
        "deny-host",
        Kind::Text,
    );
    p.flag(
        "producer",
        "Convenience option to add/remove ACLs for producer role. This will generate ACLs that allows WRITE,DESCRIBE and CREATE on topic.",
    );
    p.flag(
        "consumer",
        "Convenience option to add/remove ACLs for consumer role. This will generate ACLs that allows READ,DESCRIBE on topic and READ on group.",
    );
    p.flag("force", "Assume Yes to all queries and do not prompt.");
    p.takes(
        "user-principal",
        "Specifies a user principal as a resource in relation with the operation. For instance one could grant CreateTokens or DescribeTokens permission on a given user principal.",
        "user-principal",
        Kind::Text,
    );
    p
}

pub(super) fn check(p: &Parser, found: &Found, out: &mut Out) -> Result<(), Stop> {
    p.help_or_version(found, ABOUT, out)?;
    let refuse = |wrong: bool, message: &str| if wrong { Err(p.usage(message)) } else { Ok(()) };
    let has = |name: &str| found.has(name);
    refuse(
        has("bootstrap-server") && has("bootstrap-controller"),
        "Only one of --bootstrap-server or --bootstrap-controller must be specified",
    )?;
    refuse(
        !has("bootstrap-server") && !has("bootstrap-controller"),
        "One of --bootstrap-server or --bootstrap-controller must be specified",
    )?;
    let actions = ["add", "remove", "list"].iter().filter(|action| has(action)).count();
    refuse(actions != 1, "Command must include exactly one action: --list, --add, --remove. ")?;
    p.check_invalid(
        found,
        "list",
        &["producer", "consumer", "allow-host", "allow-principal", "deny-host", "deny-principal"],
    )?;
    p.check_invalid(found, "producer", &["operation", "deny-principal", "deny-host"])?;
    p.check_invalid(found, "consumer", &["operation", "deny-principal", "deny-host"])?;
    refuse(has("principal") && !has("list"), "The --principal option is only available if --list is set")?;
    refuse(has("producer") && !has("topic"), "With --producer you must specify a --topic")?;
    refuse(
        has("idempotent") && !has("producer"),
        "The --idempotent option is only available if --producer is set",
    )?;
    let alone = !has("producer") && (has("cluster") || has("transactional-id"));
    refuse(
        has("consumer") && (!has("topic") || !has("group") || alone),
        "With --consumer you must specify a --topic and a --group and no --cluster or --transactional-id option should be specified.",
    )
}
