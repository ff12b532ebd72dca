//! Which entities are meant, and what is refused before anything is sent.

use super::*;

fn read(line: &str) -> (crate::args::jopt::Parser, Found) {
    let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let mut parser = options::parser();
    let found = parser.parse(&args).expect("read");
    (parser, found)
}

fn refused(line: &str) -> String {
    let (parser, found) = read(&format!("--bootstrap-server a:1 {line}"));
    let stop = options::check(&parser, &found, &Entities::of(&found)).expect_err(line);
    assert_eq!(stop.code, 1, "{line}");
    stop.err.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn names_belong_to_kinds_in_the_order_given() {
    let of = |line: &str| {
        let entities = Entities::of(&read(line).1);
        (entities.types, entities.names)
    };
    let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        of("--entity-type users --entity-default --entity-type clients --entity-name c"),
        (list(&["users", "clients"]), list(&["", "c"]))
    );
    assert_eq!(of("--user u --client-defaults"), (list(&["users", "clients"]), list(&["u", ""])));
    assert_eq!(of("--broker-defaults"), (list(&["brokers"]), list(&[""])));
}

#[test]
fn wrong_entities_are_refused_in_kafkas_words() {
    for (line, message) in [
        ("--entity-type topics", "Command must include exactly one action: --describe, --alter"),
        ("--describe", "At least one entity type must be specified"),
        (
            "--describe --entity-type topics --entity-type topics",
            "Duplicate entity type(s) specified: topics",
        ),
        (
            "--describe --topic t --broker 1",
            "Only 'users' and 'clients' entity types may be specified together",
        ),
        (
            "--describe --broker x",
            "The entity name for brokers must be a valid integer broker id, but it is: x",
        ),
        (
            "--alter --entity-type topics --add-config a=b",
            "An entity name must be specified with --alter of topics",
        ),
        (
            "--alter --topic t",
            "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter",
        ),
        (
            "--describe --topic t --entity-name t",
            "--entity-{type,name,default} should not be used in conjunction with specific entity flags",
        ),
    ] {
        assert_eq!(refused(line), message, "{line}");
    }
    assert!(
        refused("--describe --entity-type x")
            .starts_with("Invalid entity type x, the entity type must be one of")
    );
}
