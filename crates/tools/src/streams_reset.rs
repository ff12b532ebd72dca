//! `kafka-streams-application-reset`: an application of Kafka Streams made to begin anew: its offsets are moved, its
//! internal topics deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use ottla_client::{Cluster, CoordinatorKind, OffsetSpec, TopicPartition, exception};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_topics_request::DeleteTopicState;
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use ottla_protocol::messages::{DeleteTopicsRequest, LeaveGroupRequest};

use crate::args::jopt::{Found, Kind, Parser};
use crate::consumer_groups::server::{self, Group};
use crate::consumer_groups::{plan, reset};
use crate::runtime::{self, Out, Stop, Thrown, java};

const ABOUT: &str = "This tool helps to quickly reset an application in order to reprocess its data from scratch.
* This tool resets offsets of input topics to the earliest available offset (by default), or to a specific defined position* This tool deletes the internal topics that were created by Kafka Streams (topics starting with \"<application.id>-\").
The tool finds these internal topics automatically. If the topics flagged automatically for deletion by the dry-run are unsuitable, you can specify a subset with the \"--internal-topics\" option.
* This tool will not delete output topics (if you want to delete them, you need to do it yourself with the bin/kafka-topics.sh command).
* This tool will not clean up the local state on the stream application instances (the persisted stores used to cache aggregation results).
You need to call KafkaStreams#cleanUp() in your application or manually delete them from the directory specified by \"state.dir\" configuration (${java.io.tmpdir}/kafka-streams/<application.id> by default).
* When long session timeout has been configured, active members could take longer to get expired on the broker thus blocking the reset job to complete. Use the \"--force\" option could remove those left-over members immediately. Make sure to stop all stream applications when this option is specified to avoid unexpected disruptions.

*** Important! You will get wrong output if you don't clean up the local stores after running the reset tool!

*** Warning! This tool makes irreversible changes to your application. It is strongly recommended that you run this once with \"--dry-run\" to preview your changes before making them.

";
/// How offsets may be chosen; one at most.
const SCENARIOS: [&str; 7] =
    ["to-offset", "to-datetime", "by-duration", "to-earliest", "to-latest", "from-file", "shift-by"];
const TIMEOUT_MS: i32 = 30_000;

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-streams-application-reset", args, application_reset)
}

pub(crate) fn parser() -> Parser {
    let mut p = Parser::new();
    p.takes(
        "application-id",
        "REQUIRED: The Kafka Streams application ID (application.id).",
        "id",
        Kind::Text,
    )
    .required();
    p.takes("bootstrap-server", "The server(s) to connect to. The broker list string in the form HOST1:PORT1,HOST2:PORT2. (default: localhost:9092)", "server to connect to", Kind::Text);
    p.takes("input-topics", "Comma-separated list of user input topics. For these topics, the tool by default will reset the offset to the earliest available offset. Reset to other offset position by appending other reset offset option, ex: --input-topics foo --shift-by 5", "list", Kind::Text)
        .separated_by(',');
    p.takes("intermediate-topics", "[deprecated] Comma-separated list of intermediate user topics (topics that are input and output topics). For these topics, the tool will skip to the end.", "list", Kind::Text)
        .separated_by(',');
    p.takes("internal-topics", "Comma-separated list of internal topics to delete. Must be a subset of the internal topics marked for deletion by the default behaviour (do a dry-run without this option to view these topics).", "list", Kind::Text)
        .separated_by(',');
    p.takes("to-offset", "Reset offsets to a specific offset.", "", Kind::Long);
    p.takes(
        "to-datetime",
        "Reset offsets to offset from datetime. Format: 'YYYY-MM-DDThh:mm:ss.sss'",
        "",
        Kind::Text,
    );
    p.takes(
        "by-duration",
        "Reset offsets to offset by duration from current timestamp. Format: 'PnDTnHnMnS'",
        "",
        Kind::Text,
    );
    p.flag("to-earliest", "Reset offsets to earliest offset.");
    p.flag("to-latest", "Reset offsets to latest offset.");
    p.takes("from-file", "Reset offsets to values defined in CSV file.", "", Kind::Text);
    p.takes(
        "shift-by",
        "Reset offsets shifting current offset by 'n', where 'n' can be positive or negative",
        "number-of-offsets",
        Kind::Long,
    );
    p.takes("config-file", "(DEPRECATED) Property file containing configs to be passed to admin clients and embedded consumer. This option will be removed in a future version. Use --command-config instead.", "file name", Kind::Text);
    p.takes(
        "command-config",
        "Config properties file to be passed to admin clients and embedded consumer.",
        "file name",
        Kind::Text,
    );
    p.flag("force", "Force the removal of members of the consumer group (intended to remove stopped members if a long session timeout was used). Make sure to shut down all stream applications when this option is specified to avoid unexpected rebalances.");
    p.flag("dry-run", "Display the actions that would be performed without executing the reset commands.");
    p
}

fn application_reset(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let mut p = parser();
    let found = p.parse(args).map_err(|misuse| p.usage(misuse.message()).and_err(misuse.more()))?;
    p.help_or_version(&found, ABOUT, out)?;
    for scenario in SCENARIOS {
        let others: Vec<&str> = SCENARIOS.into_iter().filter(|other| *other != scenario).collect();
        p.check_invalid(&found, scenario, &others)?;
    }
    p.check_invalid(&found, "config-file", &["command-config"])?;
    let config = found.value("config-file").inspect(|_| {
        runtime::deprecated("Option --config-file has been deprecated and will be removed in a future version. Use --command-config instead.");
    });
    let properties = runtime::properties(config.or(found.value("command-config")))?;
    let server = found.value("bootstrap-server").unwrap_or("localhost:9092");
    runtime::block_on(async {
        let cluster = runtime::open(server, &properties).await;
        let cluster = cluster.map_err(|thrown| failed(&thrown.calling("findCoordinator")))?;
        let mut application = Application { cluster: &cluster, found: &found, topics: Vec::new() };
        match application.reset(out).await {
            Ok(true) => Ok(()),
            // A topic was not there; what was is done.
            Ok(false) => Err(Stop::quiet(1)),
            Err(End::Stop(stop)) => Err(stop),
            Err(End::Thrown(thrown)) => Err(failed(&thrown)),
        }
    })
}

fn failed(thrown: &Thrown) -> Stop {
    Stop::error(format!("ERROR: {}", thrown.text()))
}

enum End {
    Stop(Stop),
    Thrown(Thrown),
}

impl From<Thrown> for End {
    fn from(thrown: Thrown) -> End {
        End::Thrown(thrown)
    }
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> End {
        End::Stop(error.into())
    }
}

struct Application<'a> {
    cluster: &'a Cluster,
    found: &'a Found,
    /// Every topic of the cluster that is not Kafka's own.
    topics: Vec<String>,
}

impl Application<'_> {
    fn id(&self) -> &str {
        self.found.value("application-id").unwrap_or_default()
    }

    fn is_dry(&self) -> bool {
        self.found.has("dry-run")
    }

    /// Whether every topic that was named is there.
    async fn reset(&mut self, out: &mut Out) -> Result<bool, End> {
        self.empty_group(out).await?;
        let metadata = self.cluster.metadata(None).await.map_err(Thrown::from)?;
        let topics = metadata.topics.into_iter().filter(|topic| !topic.is_internal);
        self.topics = java::hash_order(topics.filter_map(|topic| topic.name).collect(), |name| name);
        if self.is_dry() {
            writeln!(
                out,
                "----Dry run displays the actions which will be performed when running Streams Reset Tool----"
            )?;
        }
        let moved = self.move_offsets(out).await;
        // Kafka's tool says it of what it expects to go wrong here: files, and texts that are not what they should be.
        if let Err(End::Thrown(thrown)) = &moved
            && ["java.io.IOException", "java.text.ParseException"].contains(&thrown.class)
        {
            eprintln!("ERROR: Resetting offsets failed.");
        }
        let are_there = moved?;
        self.delete_topics(out).await?;
        Ok(are_there)
    }

    /// A running application would go on where it is: its group must have no members.
    async fn empty_group(&self, out: &mut Out) -> Result<(), End> {
        let id = self.id();
        let group = match server::describe(self.cluster, id).await {
            Ok(group) => group,
            Err(thrown) if thrown.class == exception::class(ErrorCode::GroupIdNotFound) => return Ok(()),
            Err(thrown) => return Err(crate::consumer_groups::executed(thrown).into()),
        };
        if group.members.is_empty() {
            return Ok(());
        }
        if !self.found.has("force") {
            let members: Vec<String> =
                group.members.iter().map(|member| format!("{} ({})", member.id, member.client)).collect();
            return Err(Thrown::new(
                "java.lang.IllegalStateException",
                format!(
                    "Consumer group '{id}' is still active and has following members: {}. Make sure to stop all running application instances before running the reset tool. You can use option '--force' to remove active members from the group.",
                    runtime::java_list(members)
                ),
            )
            .into());
        }
        writeln!(out, "Force deleting all active members in the group: {id}")?;
        self.remove(&group).await
    }

    async fn remove(&self, group: &Group) -> Result<(), End> {
        let identity = |member: &server::Member| MemberIdentity {
            member_id: if member.instance.is_some() { String::new() } else { member.id.clone() },
            group_instance_id: member.instance.clone(),
            reason: Some("member was removed by an admin".into()),
        };
        let request = LeaveGroupRequest {
            group_id: group.id.clone(),
            members: group.members.iter().map(identity).collect(),
            ..LeaveGroupRequest::default()
        };
        let answer = self.cluster.coordinator(CoordinatorKind::Group, &group.id, &request).await;
        let answer = answer.map_err(|error| crate::consumer_groups::executed(error.into()))?;
        Thrown::of_item(answer.error_code, None)?;
        for member in answer.members {
            // One that has left by itself in the meantime is gone all the same.
            if ErrorCode::from_i16(member.error_code) != Some(ErrorCode::UnknownMemberId) {
                Thrown::of_item(member.error_code, None)?;
            }
        }
        Ok(())
    }

    async fn move_offsets(&self, out: &mut Out) -> Result<bool, End> {
        let (inputs, between) = (self.found.values("input-topics"), self.found.values("intermediate-topics"));
        if self.found.has("intermediate-topics") {
            runtime::deprecated(
                "WARN: `--intermediate-topics` is deprecated and will be removed in a future release",
            );
        }
        if inputs.is_empty() && between.is_empty() {
            writeln!(out, "No input or intermediate topics specified. Skipping seek.")?;
            return Ok(true);
        }
        if !inputs.is_empty() {
            writeln!(out, "Reset-offsets for input topics {}", runtime::java_list(&inputs))?;
        }
        if !between.is_empty() {
            writeln!(out, "Seek-to-end for intermediate topics {}", runtime::java_list(&between))?;
        }
        let is_there = |topic: &&str| self.topics.iter().any(|known| known == topic);
        let missing = |topics: &[&str]| -> Vec<String> {
            topics.iter().filter(|topic| !is_there(topic)).map(|topic| (*topic).to_owned()).collect()
        };
        let (no_inputs, no_between) = (missing(&inputs), missing(&between));
        if !no_inputs.is_empty() {
            writeln!(out, "Following input topics are not found, skipping them")?;
            no_inputs.iter().try_for_each(|topic| writeln!(out, "Topic: {topic}"))?;
        }
        if !no_between.is_empty() {
            writeln!(out, "Following intermediate topics are not found, skipping them")?;
            no_between.iter().try_for_each(|topic| writeln!(out, "Topic:{topic}"))?;
        }
        let all_there = no_inputs.is_empty() && no_between.is_empty();
        let topics: BTreeSet<&str> =
            inputs.iter().chain(&between).copied().filter(|topic| is_there(topic)).collect();
        if topics.is_empty() {
            return Ok(all_there);
        }
        let known = server::topics(self.cluster, &topics).await?;
        let (mut of_inputs, mut of_between) = (Vec::new(), Vec::new());
        for topic in &known.topics {
            let name = topic.name.as_deref().unwrap_or_default();
            let own = topic.partitions.iter().map(|at| TopicPartition::new(name, at.partition_index));
            if inputs.contains(&name) { of_inputs.extend(own) } else { of_between.extend(own) }
        }
        let mut offsets = Offsets::new();
        if !of_inputs.is_empty() {
            writeln!(
                out,
                "Following input topics offsets will be reset to (for consumer group {})",
                self.id()
            )?;
            let moved = self.targets(&of_inputs, out).await?;
            for (at, ()) in plan::java_order(of_inputs.into_iter().map(|at| (at, ())).collect()) {
                let Some(offset) = moved.get(&at) else {
                    let message = format!("no offset is given for partition {at}");
                    return Err(Thrown::new("java.lang.NullPointerException", message)
                        .caused(
                            "    next: a line TOPIC,PARTITION,OFFSET for every partition of the input topics",
                        )
                        .into());
                };
                writeln!(out, "Topic: {} Partition: {} Offset: {offset}", at.topic, at.partition)?;
                offsets.insert(at, *offset);
            }
        }
        if !of_between.is_empty() {
            writeln!(
                out,
                "Following intermediate topics offsets will be reset to end (for consumer group {})",
                self.id()
            )?;
            for at in &of_between {
                writeln!(out, "Topic: {}", at.topic)?;
            }
            offsets.extend(server::offsets(self.cluster, &of_between, OffsetSpec::Latest).await?);
        }
        if !self.is_dry() {
            reset::commit(self.cluster, self.id(), &offsets, known).await?;
        }
        writeln!(out, "Done.")?;
        Ok(all_there)
    }

    /// Where the input topics are moved to.
    async fn targets(&self, partitions: &[TopicPartition], out: &mut Out) -> Result<Offsets, End> {
        let found = self.found;
        let at = async |spec| server::offsets(self.cluster, partitions, spec).await;
        if found.has("to-latest") {
            return Ok(at(OffsetSpec::Latest).await?);
        }
        let wanted: Offsets = if let Some(offset) = found.long("to-offset") {
            partitions.iter().map(|at| (at.clone(), offset)).collect()
        } else if let Some(by) = found.long("shift-by") {
            // From where the group stands; where it has no offset, from the end: a consumer's auto.offset.reset.
            let committed = server::committed(self.cluster, self.id()).await?;
            let ends = at(OffsetSpec::Latest).await?;
            let stands = |at: &TopicPartition| {
                committed.get(at).map(|(offset, _)| *offset).or_else(|| ends.get(at).copied())
            };
            partitions.iter().filter_map(|at| Some((at.clone(), stands(at)?.saturating_add(by)))).collect()
        } else if let Some(file) = found.value("from-file") {
            from_csv(&read(file)?)?
        } else if let Some(text) = found.value("to-datetime") {
            return self.at_time(partitions, plan::date_time(text).map_err(unwrapped)?, out).await;
        } else if let Some(text) = found.value("by-duration") {
            let then = reset::now_ms().saturating_sub(plan::duration_ms(text)?);
            return self.at_time(partitions, then, out).await;
        } else {
            return Ok(at(OffsetSpec::Earliest).await?);
        };
        let (starts, ends) = (at(OffsetSpec::Earliest).await?, at(OffsetSpec::Latest).await?);
        let (offsets, notices) = within(&wanted, &starts, &ends);
        notices.iter().try_for_each(|notice| writeln!(out, "{notice}"))?;
        Ok(offsets)
    }

    async fn at_time(
        &self,
        partitions: &[TopicPartition],
        timestamp: i64,
        out: &mut Out,
    ) -> Result<Offsets, End> {
        let mut found = server::offsets(self.cluster, partitions, OffsetSpec::Timestamp(timestamp)).await?;
        let ends = server::offsets(self.cluster, partitions, OffsetSpec::Latest).await?;
        for (at, offset) in found.iter_mut().filter(|(_, offset)| **offset < 0) {
            *offset = ends.get(at).copied().unwrap_or_default();
            writeln!(
                out,
                "Partition {} from topic {} is empty, without a committed record. Falling back to latest known offset.",
                at.partition, at.topic
            )?;
        }
        Ok(found)
    }

    async fn delete_topics(&self, out: &mut Out) -> Result<(), End> {
        let (inputs, between) = (self.found.values("input-topics"), self.found.values("intermediate-topics"));
        let named_by_user = |topic: &str| inputs.contains(&topic) || between.contains(&topic);
        let inferred: Vec<&str> = self
            .topics
            .iter()
            .map(String::as_str)
            .filter(|topic| !named_by_user(topic) && is_internal(topic, self.id()))
            .collect();
        let wanted = self.found.values("internal-topics");
        let (kind, topics) = if wanted.is_empty() {
            ("inferred", inferred)
        } else {
            if !wanted.iter().all(|topic| inferred.contains(topic)) {
                return Err(Thrown::illegal_argument("Invalid topic specified in the --internal-topics option. Ensure that the topics specified are all internal topics. Do a dry run without the --internal-topics option to see the list of all internal topics that can be deleted.").into());
            }
            ("specified", wanted)
        };
        writeln!(out, "Deleting {kind} internal topics {}", runtime::java_list(&topics))?;
        if !self.is_dry() && !topics.is_empty() {
            self.delete(&topics).await?;
        }
        writeln!(out, "Done.")?;
        Ok(())
    }

    async fn delete(&self, topics: &[&str]) -> Result<(), End> {
        let state = |name: &&str| DeleteTopicState { name: Some((*name).to_owned()), ..Default::default() };
        let request = DeleteTopicsRequest {
            topics: topics.iter().map(state).collect(),
            topic_names: topics.iter().map(|name| (*name).to_owned()).collect(),
            timeout_ms: TIMEOUT_MS,
        };
        let answer = self.cluster.controller(&request).await.map_err(Thrown::from)?;
        let mut has_failed = false;
        for result in answer.responses {
            if let Err(thrown) = Thrown::of_item(result.error_code, result.error_message.as_deref()) {
                eprintln!("ERROR: deleting topic {}\n{}", result.name.unwrap_or_default(), thrown.text());
                has_failed = true;
            }
        }
        if has_failed {
            let message = "Encountered an error deleting one or more topics";
            return Err(Thrown::new("java.lang.RuntimeException", message).into());
        }
        Ok(())
    }
}

type Offsets = BTreeMap<TopicPartition, i64>;

/// A text that is no time: what the tools of groups throw within another exception, this one throws as it is.
fn unwrapped(thrown: Thrown) -> Thrown {
    const PARSE: &str = "java.text.ParseException";
    match thrown.message.strip_prefix(PARSE).and_then(|rest| rest.strip_prefix(": ")) {
        Some(message) => Thrown::new(PARSE, message).caused(&thrown.causes),
        None => thrown,
    }
}

fn read(file: &str) -> Result<String, Thrown> {
    std::fs::read_to_string(file).map_err(|error| {
        Thrown::new("java.io.IOException", format!("Unable to read file {file}"))
            .caused(&format!("    cause: {error}\n    next: check the path given with --from-file"))
    })
}

/// `TOPIC,PARTITION,OFFSET`, a line each.
fn from_csv(text: &str) -> Result<Offsets, Thrown> {
    const PARSE: &str = "java.text.ParseException";
    if text.is_empty() {
        return Err(Thrown::new(PARSE, "Error parsing reset plan CSV file. It is empty,"));
    }
    let mut offsets = Offsets::new();
    for (at, line) in text.trim_end_matches('\n').split('\n').enumerate() {
        let parts: Vec<&str> = line.trim_end_matches('\r').split(',').collect();
        let [topic, partition, offset] = parts.as_slice() else {
            let message = "Reset plan CSV file is not following the format `TOPIC,PARTITION,OFFSET`.";
            return Err(
                Thrown::new(PARSE, message).caused(&format!("    cause: line {} is {line:?}", at + 1))
            );
        };
        let number = |text: &str| {
            text.parse::<i64>().map_err(|_| {
                let message = format!("For input string: \"{text}\"");
                Thrown::new("java.lang.NumberFormatException", message)
                    .caused(&format!("    cause: line {} is {line:?}", at + 1))
            })
        };
        let partition = i32::try_from(number(partition)?).unwrap_or(-1);
        offsets.insert(TopicPartition::new(*topic, partition), number(offset)?);
    }
    Ok(offsets)
}

/// Offsets brought between the beginning and the end of each log. Partitions that are not there are left out.
fn within(wanted: &Offsets, starts: &Offsets, ends: &Offsets) -> (Offsets, Vec<String>) {
    let (mut offsets, mut notices) = (Offsets::new(), Vec::new());
    for (at, &offset) in wanted {
        let (Some(&start), Some(&end)) = (starts.get(at), ends.get(at)) else { continue };
        let offset = if offset >= end {
            notices.push(format!(
                "New offset ({offset}) is higher than latest offset. Value will be set to {end}"
            ));
            end
        } else if offset > start {
            offset
        } else {
            notices.push(format!(
                "New offset ({offset}) is lower than earliest offset. Value will be set to {start}"
            ));
            start
        };
        offsets.insert(at.clone(), offset);
    }
    (offsets, notices)
}

/// Whether a topic's name is one that Kafka Streams gives to its own topics of an application.
pub(crate) fn is_internal(topic: &str, application: &str) -> bool {
    let of_application = topic.strip_prefix(application).is_some_and(|rest| rest.starts_with('-'));
    let ends =
        ["-changelog", "-repartition", "-subscription-registration-topic", "-subscription-response-topic"];
    let numbered = |middle: &str| {
        topic.strip_suffix("-topic").and_then(|rest| rest.rsplit_once(middle)).is_some_and(
            |(before, number)| {
                !before.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
            },
        )
    };
    of_application
        && (ends.iter().any(|end| topic.ends_with(end))
            || numbered("-KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-")
            || numbered("-KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    #[test]
    fn internal_topics_are_those_of_the_application() {
        assert!(is_internal("app-store-changelog", "app") && is_internal("app-x-repartition", "app"));
        assert!(is_internal("app-KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-0000000006-topic", "app"));
        assert!(is_internal("app-x-subscription-response-topic", "app"));
        assert!(!is_internal("application-store-changelog", "app") && !is_internal("app-orders", "app"));
        assert!(!is_internal("app-KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-x-topic", "app"));
    }

    #[test]
    fn offsets_stay_in_the_log() {
        let all = |offset| Offsets::from([(at(0), offset)]);
        let (offsets, notices) = within(&all(50), &all(2), &all(9));
        assert_eq!((offsets, notices.len()), (all(9), 1));
        assert_eq!(notices[0], "New offset (50) is higher than latest offset. Value will be set to 9");
        let (offsets, notices) = within(&all(-1), &all(2), &all(9));
        assert_eq!(offsets, all(2));
        assert_eq!(notices[0], "New offset (-1) is lower than earliest offset. Value will be set to 2");
        assert_eq!(within(&all(5), &all(2), &all(9)), (all(5), vec![]));
    }

    #[test]
    fn plans_are_read_or_refused_with_their_line() {
        let read = from_csv("t,0,5\nt,1,7\n").expect("a plan");
        assert_eq!(read, Offsets::from([(at(0), 5), (at(1), 7)]));
        assert!(from_csv("").is_err_and(|thrown| thrown.message.ends_with("It is empty,")));
        assert!(from_csv("t,0,5\nt,1").is_err_and(|thrown| thrown.causes.contains("line 2")));
        assert!(from_csv("t,x,5").is_err_and(|thrown| thrown.message == "For input string: \"x\""));
    }

    #[test]
    fn one_way_to_choose_offsets() {
        let refused = |line: &str| {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let stop = application_reset(&args, &mut Out::new_for_test()).expect_err("refused");
            stop.err.lines().next().unwrap_or_default().to_owned()
        };
        assert_eq!(
            refused("--application-id a --to-offset 1 --to-latest"),
            "Option \"[to-offset]\" can't be used with option \"[to-latest]\""
        );
        assert_eq!(refused("--to-latest"), "Missing required option(s) [application-id]");
        assert_eq!(
            refused("--application-id a --to-offset x"),
            "Cannot parse argument 'x' of option to-offset"
        );
    }
}
