//! What argparse4j prints for small parsers, as observed.

use super::*;
use crate::runtime::{Out, Stop};

fn sample() -> Parser {
    Parser::new("kafka-sample")
        .default_help()
        .description("This tool does a little of everything, so that every kind of line is in its help.")
        .exclusive(
            true,
            vec![
                Arg::option(&["--bootstrap-server"]).help("Where the brokers are."),
                Arg::option(&["--bootstrap-controller"]).help("Where the controllers are."),
            ],
        )
        .subcommands("command")
        .subcommand(
            Parser::sub("remove-it")
                .about("Remove a thing from the set of all the things that there are")
                .arg(Arg::option(&["--thing-id", "-i"]).required().kind(Kind::Integer).help("The id."))
                .arg(Arg::option(&["--dry-run"]).store_true().help("Only say it.")),
        )
        .subcommand(Parser::sub("show").about("Show it"))
}

fn parse(line: &str) -> Result<Namespace, Stop> {
    let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    sample().parse(&args, &mut Out::new_for_test())
}

fn error(line: &str) -> String {
    let stop = parse(line).expect_err("refused");
    assert_eq!(stop.code, 1);
    let at = stop.err.find("kafka-sample:").expect("a message behind the usage");
    // The text is in blocks: the number of blanks says nothing.
    stop.err[at..].split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn usage_lists_the_exclusive_ones_last_and_breaks_where_argparse4j_does() {
    assert_eq!(
        sample().usage(),
        "usage: kafka-sample [-h] (--bootstrap-server BOOTSTRAP_SERVER |\n                    --bootstrap-controller BOOTSTRAP_CONTROLLER)\n                    {remove-it,show} ...\n"
    );
}

#[test]
fn help_is_a_block_of_text() {
    let help = sample().help();
    assert!(
        help.contains(
            "\n\nThis tool does a little of  everything,  so  that  every kind of line is in\nits help.\n\n"
        ),
        "{help}"
    );
    assert!(help.contains("positional arguments:\n  {remove-it,show}\n    remove-it            Remove a thing  from  the  set  of  all the things\n                         that there are\n    show                 Show it\n"), "{help}");
    assert!(
        help.contains(
            "  --bootstrap-server BOOTSTRAP_SERVER\n                         Where the brokers are.\n"
        ),
        "{help}"
    );
}

#[test]
fn commands_and_options_may_be_shortened() {
    let found = parse("--bootstrap-s a:1 rem --thing 7 --dry").expect("read");
    assert_eq!(found.text("bootstrap_server"), Some("a:1"));
    assert_eq!(found.text("command"), Some("remove-it"));
    assert_eq!(found.integer("thing_id"), Some(7));
    assert!(found.flag("dry_run"));
    assert!(!found.given("bootstrap_controller"));
    let found = parse("--bootstrap-server=a:1 remove-it -i-3").expect("read");
    assert_eq!(found.integer("thing_id"), Some(-3));
    assert!(!found.flag("dry_run"));
}

#[test]
fn messages_are_argparse4js() {
    for (line, message) in [
        ("", "too few arguments"),
        ("--bootstrap-server", "argument --bootstrap-server: expected one argument"),
        ("show", "one of the arguments --bootstrap-server --bootstrap- controller is required"),
        (
            "--bootstrap a show",
            "ambiguous option: --bootstrap could match --bootstrap- controller, --bootstrap-server",
        ),
        ("--bootstrap-server a nope", "invalid choice: 'nope' (choose from 'remove-it', 'show')"),
        ("--bootstrap-server a remove-it", "argument --thing-id/-i is required"),
        (
            "--bootstrap-server a remove-it -i x",
            "argument --thing-id/-i: could not convert 'x' to Integer (For input string: \"x\")",
        ),
        ("--bootstrap-server a show more", "unrecognized arguments: 'more'"),
        ("show --bogus", "unrecognized arguments: '--bogus'"),
    ] {
        let error = error(line);
        assert!(error.starts_with(&format!("kafka-sample: error: {message}")), "{line}: {error}");
    }
    let both = error("--bootstrap-server a --bootstrap-controller b show");
    assert!(
        both.ends_with("argument --bootstrap-controller: not allowed with argument --bootstrap-server"),
        "{both}"
    );
    let typo = error("--bootstrap-servr a show");
    assert!(
        typo.ends_with("unrecognized arguments: '--bootstrap-servr' Did you mean: --bootstrap-server"),
        "{typo}"
    );
}
