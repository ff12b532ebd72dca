//! The options of `kafka-console-consumer`, and the properties they make.

use std::collections::BTreeSet;

use ottla_client::{Properties, Start};

use super::formatter::Formatter;
use crate::args::jopt::{self, Found, Kind, Parser};
use crate::runtime::{self, Out, Stop, java};

const DEFAULT_FORMATTER: &str = "org.apache.kafka.tools.consumer.DefaultMessageFormatter";

fn parser() -> Parser {
    let mut p = Parser::new();
    p.takes("topic", "The topic to consume from.", "topic", Kind::Text);
    p.takes(
        "include",
        "Regular expression specifying list of topics to include for consumption.",
        "Java regex (String)",
        Kind::Text,
    );
    p.takes(
        "partition",
        "The partition to consume from. Consumption starts from the end of the partition unless \
         '--offset' is specified.",
        "partition",
        Kind::Integer,
    );
    p.takes(
        "offset",
        "The offset to consume from (a non-negative number), or 'earliest' which means from \
         beginning, or 'latest' which means from end",
        "consume offset",
        Kind::Text,
    )
    .default("latest");
    p.takes(
        "consumer-property",
        "(DEPRECATED) Consumer config properties in the form key=value. This option will be \
         removed in a future version. Use --command-property instead.",
        "consumer_prop",
        Kind::Text,
    );
    p.takes(
        "command-property",
        "Consumer config properties in the form key=value.",
        "consumer_prop",
        Kind::Text,
    );
    p.takes(
        "consumer.config",
        "(DEPRECATED) Consumer config properties file. Note that [command-property] takes \
         precedence over this config. This option will be removed in a future version. Use \
         --command-config instead.",
        "config file",
        Kind::Text,
    );
    p.takes(
        "command-config",
        "Consumer config properties file. Note that [command-property] takes precedence over this \
         config.",
        "config file",
        Kind::Text,
    );
    p.takes(
        "formatter",
        "The name of a class to use for formatting kafka messages for display.",
        "class",
        Kind::Text,
    )
    .default("org.apache.kafka.tools.consumer.DefaultMessageFormatter");
    p.takes(
        "property",
        "(DEPRECATED) The properties to initialize the message formatter. Default properties \
         include: \n print.timestamp=true|false\n print.key=true|false\n \
         print.offset=true|false\n print.epoch=true|false\n print.partition=true|false\n \
         print.headers=true|false\n print.value=true|false\n key.separator=<key.separator>\n \
         line.separator=<line.separator>\n headers.separator=<headers.separator>\n \
         null.literal=<null.literal>\n key.deserializer=<key.deserializer>\n \
         value.deserializer=<value.deserializer>\n \
         header.deserializer=<header.deserializer>\n\nUsers can also pass in customized \
         properties for their formatter; more specifically, users can pass in properties keyed \
         with 'key.deserializer.', 'value.deserializer.' and 'headers.deserializer.' prefixes to \
         configure their deserializers. \nThis option will be removed in a future version. Use \
         --formatter-property instead.",
        "prop",
        Kind::Text,
    );
    p.takes(
        "formatter-property",
        "The properties to initialize the message formatter. Default properties include: \n \
         print.timestamp=true|false\n print.key=true|false\n print.offset=true|false\n \
         print.epoch=true|false\n print.partition=true|false\n print.headers=true|false\n \
         print.value=true|false\n key.separator=<key.separator>\n \
         line.separator=<line.separator>\n headers.separator=<headers.separator>\n \
         null.literal=<null.literal>\n key.deserializer=<key.deserializer>\n \
         value.deserializer=<value.deserializer>\n \
         header.deserializer=<header.deserializer>\n\nUsers can also pass in customized \
         properties for their formatter; more specifically, users can pass in properties keyed \
         with 'key.deserializer.', 'value.deserializer.' and 'headers.deserializer.' prefixes to \
         configure their deserializers.",
        "prop",
        Kind::Text,
    );
    p.takes(
        "formatter-config",
        "Config properties file to initialize the message formatter. Note that \
         [formatter-property] takes precedence over this config.",
        "config file",
        Kind::Text,
    );
    p.flag(
        "from-beginning",
        "If the consumer does not already have an established offset to consume from, start with \
         the earliest message present in the log rather than the latest message.",
    );
    p.takes(
        "max-messages",
        "The maximum number of messages to consume before exiting. If not set, consumption is \
         continual.",
        "num_messages",
        Kind::Integer,
    );
    p.takes(
        "timeout-ms",
        "If specified, exit if no message is available for consumption for the specified \
         interval.",
        "timeout_ms",
        Kind::Long,
    );
    p.flag(
        "skip-message-on-error",
        "If there is an error when processing a message, skip it instead of halt.",
    );
    p.takes("bootstrap-server", "REQUIRED: The server(s) to connect to.", "server to connect to", Kind::Text);
    p.takes(
        "key-deserializer",
        "The name of the class to use for deserializing keys.",
        "deserializer for keys",
        Kind::Text,
    );
    p.takes(
        "value-deserializer",
        "The name of the class to use for deserializing values.",
        "deserializer for values",
        Kind::Text,
    );
    p.flag(
        "enable-systest-events",
        "Log lifecycle events of the consumer in addition to logging consumed messages. (This is \
         specific for system tests.)",
    );
    p.takes(
        "isolation-level",
        "Set to read_committed in order to filter out transactional messages which are not \
         committed. Set to read_uncommitted to read all messages.",
        "",
        Kind::Text,
    )
    .default("read_uncommitted");
    p.takes("group", "The consumer group id of the consumer.", "consumer group id", Kind::Text);
    p
}

/// What was asked for.
pub(super) struct Options {
    pub(super) bootstrap: String,
    pub(super) topic: Option<String>,
    pub(super) include: Option<String>,
    /// A partition, and where to begin; without it the group gives partitions.
    pub(super) partition: Option<(i32, Start)>,
    /// End after this many; `None` for never.
    pub(super) max_messages: Option<u64>,
    /// End when nothing came for this long.
    pub(super) timeout_ms: Option<u64>,
    pub(super) skip_on_error: bool,
    pub(super) system_test_events: bool,
    pub(super) properties: Properties,
    pub(super) formatter: Formatter,
}

impl Options {
    pub(super) fn parse(args: &[String], out: &mut Out) -> Result<Options, Stop> {
        let mut p = parser();
        let found = match p.parse(args) {
            Ok(found) => found,
            Err(misuse) => return Err(p.usage(misuse)),
        };
        p.help_or_version(
            &found,
            "This tool helps to read data from Kafka topics and outputs it to standard output.",
            out,
        )?;
        check(&p, &found)?;
        for (old, new) in [("consumer-property", "command-property"), ("consumer.config", "command-config")] {
            if found.has(old) {
                runtime::deprecated(&format!(
                    "Option --{old} is deprecated and will be removed in a future version. Use --{new} instead."
                ));
            }
        }
        let properties = properties(&p, &found)?;
        let offset = offset(&p, &found)?;
        let text = |name: &str| found.has(name).then(|| found.value(name).unwrap_or_default().to_owned());
        let given = |name: &str| found.has(name).then(|| found.long(name)).flatten();
        Ok(Options {
            bootstrap: found.value("bootstrap-server").unwrap_or_default().to_owned(),
            topic: text("topic"),
            include: text("include"),
            partition: found.integer("partition").filter(|_| found.has("partition")).map(|p| (p, offset)),
            max_messages: given("max-messages").and_then(|n| match n {
                -1 => None,
                n => Some(u64::try_from(n).unwrap_or(0)),
            }),
            timeout_ms: given("timeout-ms").and_then(|ms| u64::try_from(ms).ok()),
            skip_on_error: found.has("skip-message-on-error"),
            system_test_events: found.has("enable-systest-events"),
            properties,
            formatter: formatter(&p, &found)?,
        })
    }
}

fn check(p: &Parser, found: &Found) -> Result<(), Stop> {
    p.check_one_of(found, &["topic", "include"])?;
    if found.has("partition") {
        if !found.has("topic") {
            return Err(p.usage("The topic is required when partition is specified."));
        }
        if found.has("from-beginning") && found.has("offset") {
            return Err(p.usage("Options from-beginning and offset cannot be specified together."));
        }
    } else if found.has("offset") {
        return Err(p.usage("The partition is required when offset is specified."));
    }
    p.check_required(found, &["bootstrap-server"])?;
    for (old, new) in [("consumer-property", "command-property"), ("consumer.config", "command-config")] {
        if found.has(old) && found.has(new) {
            return Err(p.usage(format!("Options --{old} and --{new} cannot be specified together.")));
        }
    }
    Ok(())
}

/// The option by its old name if that was given, else by its new one.
fn either<'f>(found: &'f Found, new: &str, old: &str) -> Vec<&'f str> {
    if found.has(old) { found.values(old) } else { found.values(new) }
}

fn properties(p: &Parser, found: &Found) -> Result<Properties, Stop> {
    let file = runtime::properties(either(found, "command-config", "consumer.config").last().copied())?;
    let mut extra = Properties::new();
    for (key, value) in jopt::key_values(&either(found, "command-property", "consumer-property")) {
        extra.set(&key, &value);
    }
    let option = found.has("group").then(|| found.value("group")).flatten();
    let groups: BTreeSet<&str> =
        [option, file.get("group.id"), extra.get("group.id")].into_iter().flatten().collect();
    if groups.len() > 1 {
        let groups = java::hash_order(groups.into_iter().collect(), |group| group);
        let groups: Vec<String> = groups.iter().map(|group| format!("'{group}'")).collect();
        return Err(p.usage(format!(
            "The group ids provided in different places (directly using '--group', via '--consumer-property', or via \
             '--consumer.config') do not match. Detected group ids: {}",
            groups.join(", ")
        )));
    }
    if !groups.is_empty() && found.has("partition") {
        return Err(p.usage("Options group and partition cannot be specified together."));
    }
    let group = groups.first().map(|group| (*group).to_owned());
    let mut properties = file.clone();
    properties.extend(&extra);
    let beginning = found.has("from-beginning");
    match properties.get("auto.offset.reset") {
        Some(reset) if beginning && reset != "earliest" => {
            return Err(Stop::error(format!(
                "Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', please remove one \
                 option"
            )));
        }
        Some(_) => {}
        None => properties.set("auto.offset.reset", if beginning { "earliest" } else { "latest" }),
    }
    properties.set_default("client.id", "console-consumer");
    if found.has("isolation-level") || properties.get("isolation.level").is_none() {
        properties.set("isolation.level", found.value("isolation-level").unwrap_or("read_uncommitted"));
    }
    match group {
        Some(group) => properties.set("group.id", &group),
        None => {
            let number = uuid::Uuid::new_v4().as_u128() % 100_000;
            properties.set("group.id", &format!("console-consumer-{number}"));
            properties.set_default("enable.auto.commit", "false");
        }
    }
    Ok(properties)
}

fn offset(p: &Parser, found: &Found) -> Result<Start, Stop> {
    if !found.has("offset") {
        return Ok(if found.has("from-beginning") { Start::Earliest } else { Start::Latest });
    }
    let text = found.value("offset").unwrap_or_default();
    Ok(match text.to_lowercase().as_str() {
        "earliest" => Start::Earliest,
        "latest" => Start::Latest,
        _ => match text.parse::<i64>() {
            Ok(offset) if offset >= 0 => Start::Offset(offset),
            _ => {
                return Err(p.usage(format!(
                    "The provided offset value '{text}' is incorrect. Valid values are 'earliest', 'latest', or a \
                     non-negative long."
                )));
            }
        },
    })
}

fn formatter(p: &Parser, found: &Found) -> Result<Formatter, Stop> {
    let class = found.value("formatter").unwrap_or(DEFAULT_FORMATTER);
    let mut pairs: Vec<(String, String)> = Vec::new();
    if let Some(file) = found.value("formatter-config") {
        // What is wrong with the file is said above the help.
        let file = runtime::properties(Some(file)).map_err(|stop| p.usage(stop.err))?;
        pairs.extend(file.iter().map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
    for (option, key) in
        [("key-deserializer", "key.deserializer"), ("value-deserializer", "value.deserializer")]
    {
        if let Some(class) = found.value(option).filter(|class| !class.is_empty()) {
            pairs.push((key.to_owned(), class.to_owned()));
        }
    }
    if found.has("formatter-property") && found.has("property") {
        return Err(p.usage("Options --property and --formatter-property cannot be specified together."));
    }
    if found.has("property") {
        runtime::deprecated(
            "Option --property is deprecated and will be removed in a future version. Use --formatter-property \
             instead.",
        );
    }
    pairs.extend(jopt::key_values(&either(found, "formatter-property", "property")));
    // Kafka says only the class's name here, and its whole help.
    Formatter::new(class, &pairs).ok_or_else(|| {
        p.usage(class).and_err(format!(
            "    cause: there is no formatter {class} here, and no Java class can be loaded\n    next: use {}",
            Formatter::NAMES.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options, Stop> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Options::parse(&args, &mut Out::new_for_test())
    }

    const LEAST: [&str; 4] = ["--topic", "t", "--bootstrap-server", "h:1"];

    fn err(more: &[&str]) -> String {
        let stop = parse(&[&LEAST[..], more].concat()).err().unwrap();
        stop.err.lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_group_of_its_own_commits_nothing() {
        let options = parse(&LEAST).unwrap();
        let get = |options: &Options, key: &str| options.properties.get(key).map(str::to_owned);
        assert!(get(&options, "group.id").unwrap().starts_with("console-consumer-"));
        assert_eq!(get(&options, "enable.auto.commit").as_deref(), Some("false"));
        assert_eq!(get(&options, "auto.offset.reset").as_deref(), Some("latest"));
        assert_eq!(get(&options, "isolation.level").as_deref(), Some("read_uncommitted"));
        let options = parse(&[&LEAST[..], &["--group", "g", "--from-beginning"]].concat()).unwrap();
        assert_eq!(get(&options, "group.id").as_deref(), Some("g"));
        assert_eq!(get(&options, "enable.auto.commit"), None);
        assert_eq!(get(&options, "auto.offset.reset").as_deref(), Some("earliest"));
    }

    #[test]
    fn partitions_and_offsets() {
        let at = |more: &[&str]| parse(&[&LEAST[..], more].concat()).unwrap().partition;
        assert!(matches!(at(&["--partition", "3"]), Some((3, Start::Latest))));
        assert!(matches!(at(&["--partition", "3", "--from-beginning"]), Some((3, Start::Earliest))));
        assert!(matches!(at(&["--partition", "0", "--offset", "Earliest"]), Some((0, Start::Earliest))));
        assert!(matches!(at(&["--partition", "0", "--offset", "12"]), Some((0, Start::Offset(12)))));
        assert_eq!(err(&["--offset", "3"]), "The partition is required when offset is specified.");
        assert_eq!(
            err(&["--partition", "0", "--offset", "-3"]),
            "The provided offset value '-3' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long."
        );
        assert_eq!(
            err(&["--partition", "0", "--group", "g"]),
            "Options group and partition cannot be specified together."
        );
    }

    #[test]
    fn what_does_not_go_together() {
        assert!(
            err(&["--group", "a", "--command-property", "group.id=b"])
                .ends_with("Detected group ids: 'a', 'b'")
        );
        assert_eq!(
            err(&["--from-beginning", "--command-property", "auto.offset.reset=latest"]),
            "Can't simultaneously specify --from-beginning and 'auto.offset.reset=latest', please remove one option"
        );
        assert_eq!(err(&["--formatter", "no.Such"]), "no.Such");
        assert_eq!(
            err(&["--include", "x"]),
            "Exactly one of the following arguments is required: [topic], [include]"
        );
    }
}
