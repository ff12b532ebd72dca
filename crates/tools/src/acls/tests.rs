//! Which rules the options of kafka-acls mean.

use super::words::{Operation, Resource};
use super::{Plan, options};
use crate::runtime::{Out, Stop};

fn plan(line: &str) -> Result<Plan, Stop> {
    let args: Vec<String> =
        ["--bootstrap-server", "h:1"].into_iter().chain(line.split(' ')).map(str::to_owned).collect();
    let mut p = options::parser();
    let found = p.parse(&args)?;
    options::check(&p, &found, &mut Out::new_for_test())?;
    Ok(Plan::of(&p, &found)?)
}

/// The rules of `--add` or `--remove`, a line each.
fn rules(line: &str) -> Vec<String> {
    match plan(line) {
        Ok(Plan::Add(rules) | Plan::Remove(rules)) => rules
            .iter()
            .flat_map(|(resource, entries)| {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|entry| {
                        format!(
                            "{} {} {} {} {}",
                            resource.name, entry.principal, entry.host, entry.operation, entry.permission
                        )
                    })
                    .collect();
                if entries.is_empty() { vec![format!("{} all", resource.name)] } else { entries }
            })
            .collect(),
        Ok(Plan::List(..)) => panic!("a list: {line}"),
        Err(stop) => panic!("{line}: {stop:?}"),
    }
}

fn refused(line: &str) -> String {
    let stop = plan(line).err().unwrap_or_else(|| panic!("taken: {line}"));
    assert_eq!(stop.code, 1);
    let said = if stop.out.is_empty() { stop.err } else { stop.out };
    said.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn roles_stand_for_what_they_need() {
    assert_eq!(
        rules("--add --allow-principal User:p --producer --topic t --transactional-id tx --idempotent"),
        [
            "t User:p * WRITE ALLOW",
            "t User:p * CREATE ALLOW",
            "t User:p * DESCRIBE ALLOW",
            "kafka-cluster User:p * IDEMPOTENT_WRITE ALLOW",
            "tx User:p * WRITE ALLOW",
            "tx User:p * DESCRIBE ALLOW",
        ]
    );
    assert_eq!(
        rules("--add --allow-principal User:c --consumer --topic t --group g"),
        ["t User:c * READ ALLOW", "t User:c * DESCRIBE ALLOW", "g User:c * READ ALLOW"]
    );
    assert_eq!(
        rules("--add --allow-principal User:c --producer --consumer --topic t --group g").len(),
        5,
        "both roles on one topic"
    );
}

#[test]
fn each_principal_gets_each_operation_from_each_host() {
    assert_eq!(
        rules(
            "--add --allow-principal User:b --allow-principal User:a --allow-host h --operation read --deny-principal User:x --topic t"
        ),
        ["t User:a h READ ALLOW", "t User:b h READ ALLOW", "t User:x * READ DENY"]
    );
    assert_eq!(rules("--remove --topic t --force"), ["t all"]);
}

#[test]
fn misuse_is_told_in_kafkas_words() {
    for (line, said) in [
        (
            "--add --topic t",
            "You must specify one of: --allow-principal, --deny-principal when trying to add ACLs.",
        ),
        (
            "--add --allow-principal User:b --operation Create --group g",
            "ResourceType GROUP only supports operations [ALL, READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS]",
        ),
        (
            "--add --allow-principal b --topic t",
            "Error while executing ACL command: expected a string in format principalType:principalName but got b",
        ),
        (
            "--add --allow-principal User:b --topic t --resource-pattern-type any",
            "A '--resource-pattern-type' value of 'ANY' is not valid when adding acls.",
        ),
        (
            "--list --resource-pattern-type wrong",
            "Error while executing ACL command: Cannot parse argument 'wrong' of option resource-pattern-type",
        ),
        ("--list --add", "Command must include exactly one action: --list, --add, --remove. "),
        ("--add --principal User:b", "The --principal option is only available if --list is set"),
        ("--add --producer --allow-principal User:p", "With --producer you must specify a --topic"),
        (
            "--add --allow-principal User:b",
            "You must provide at least one resource: --topic <topic> or --cluster or --group <group> or --delegation-token <Delegation Token ID>",
        ),
        ("--list --allow-host h", "Option \"[list]\" can't be used with option \"[allow-host]\""),
        (
            "--list --bootstrap-controller h:2",
            "Only one of --bootstrap-server or --bootstrap-controller must be specified",
        ),
    ] {
        assert_eq!(refused(line), said, "{line}");
    }
}

#[test]
fn a_slip_in_an_operation_is_explained() {
    let stop = plan("--add --allow-principal User:b --operation Reed --topic t").err().expect("refused");
    assert!(stop.err.ends_with("did you mean Read?"), "{}", stop.err);
    assert!(!Operation::of_resource(Resource::Topic).contains(&Operation::Unknown));
}
