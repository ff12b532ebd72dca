//! What the tools of consumer, share and streams groups do alike: read their options, open the cluster, say an error, list
//! groups, choose those that an action means, and delete one.

use std::io::Write;

use ottla_client::{Cluster, CoordinatorKind};
use ottla_protocol::messages::DeleteGroupsRequest;
use ottla_protocol::messages::list_groups_response::ListedGroup;

use super::options::available;
use super::{Failure, error_line, executed, rethrown, server};
use crate::args::jopt::{Found, Kind, Parser};
use crate::runtime::{self, Out, Stop, Thrown};

/// One of the tools.
pub(crate) struct Command {
    /// The kind of groups, as its messages spell it.
    pub(crate) kind: &'static str,
    pub(crate) parser: fn() -> Parser,
    /// Which options go together; help and version are answered there.
    pub(crate) check: fn(&Parser, &Found, &mut Out) -> Result<(), Stop>,
    /// What is said beside the error of a cluster that has no such groups.
    pub(crate) not_served: Option<&'static str>,
}

impl Command {
    /// The options of a command line. joptsimple's exceptions leave these tools uncaught.
    pub(crate) fn read(&self, args: &[String], out: &mut Out) -> Result<(Parser, Found), Stop> {
        let mut parser = (self.parser)();
        let found =
            parser.parse(args).map_err(|misuse| Stop::error(misuse.message()).and_err(misuse.more()))?;
        (self.check)(&parser, &found, out)?;
        Ok((parser, found))
    }

    /// Runs `act` on the cluster that the options name.
    pub(crate) fn on_cluster(
        &self,
        parser: &Parser,
        found: &Found,
        act: impl AsyncFnOnce(&Cluster) -> Result<(), Failure>,
    ) -> Result<(), Stop> {
        let mut properties = runtime::properties(found.value("command-config"))?;
        if let Some(timeout) = found.long("timeout") {
            properties.set("default.api.timeout.ms", &timeout.to_string());
        }
        let server = found.value("bootstrap-server").unwrap_or_default();
        runtime::block_on(async {
            let done = async {
                let cluster = runtime::open(server, &properties).await;
                let cluster = cluster.map_err(|thrown| self.unreached(thrown, found))?;
                act(&cluster).await
            };
            done.await.map_err(|failure| self.stop(failure, parser))
        })
    }

    /// A cluster that does not answer, in the words of the call for which it was needed.
    fn unreached(&self, thrown: Thrown, found: &Found) -> Thrown {
        if thrown.class.ends_with("ConfigException") {
            let causes = thrown.text();
            return Thrown::new(KAFKA_EXCEPTION, "Failed to create new KafkaAdminClient").caused(&causes);
        }
        if found.has("list") || found.has("all-groups") {
            let named = found.has("state") || found.has("type");
            return if named { executed(no_brokers(&thrown)) } else { rethrown(no_brokers(&thrown)) };
        }
        // What the first call of each action is named.
        let call = match (self.kind, found.has("delete")) {
            (_, true) => "deleteConsumerGroups(api=FIND_COORDINATOR)".to_owned(),
            (kind, _) => format!("describe{}Groups(api=FIND_COORDINATOR)", capital(kind)),
        };
        executed(thrown.calling(&call))
    }

    /// An error on standard output, as these tools say it. Kafka ends with 0 all the same; here it is 1.
    pub(crate) fn stop(&self, failure: Failure, parser: &Parser) -> Stop {
        match failure {
            Failure::Thrown(thrown) if thrown.class == "java.lang.IllegalArgumentException" => {
                parser.usage(&thrown.message)
            }
            Failure::Thrown(thrown) => {
                let why = self.not_served.filter(|_| thrown.message.contains("does not support"));
                let line = format!("Executing {} group command failed due to {}", self.kind, thrown.message);
                let stop = Stop::said(error_line(&line)).and_err(thrown.causes);
                match why {
                    Some(why) => stop.and_err(why),
                    None => stop,
                }
            }
            Failure::Stop(stop) => stop,
        }
    }
}

const KAFKA_EXCEPTION: &str = "org.apache.kafka.common.KafkaException";

/// What ListGroups says, which asks every broker and therefore for the brokers first, when there is none.
pub(crate) fn no_brokers(thrown: &Thrown) -> Thrown {
    Thrown::new(KAFKA_EXCEPTION, "Failed to find brokers to send ListGroups").caused(&thrown.causes)
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// The groups of one type, as ListGroups spells it, in `states` or in any.
pub(crate) async fn listed(
    cluster: &Cluster,
    of: &str,
    states: &[String],
) -> Result<Vec<ListedGroup>, Thrown> {
    server::list(cluster, &[of.to_owned()], states, None).await
}

/// `--list` of a tool of one type: names alone, or with their states.
pub(crate) async fn list(
    cluster: &Cluster,
    of: &str,
    states: &[&str],
    found: &Found,
    out: &mut Out,
) -> Result<(), Failure> {
    use crate::share_groups::layout;
    if !found.has("state") {
        for group in listed(cluster, of, &[]).await.map_err(rethrown)? {
            writeln!(out, "{}", group.group_id)?;
        }
        return Ok(());
    }
    let states = layout::states(found.value("state").unwrap_or_default(), states)?;
    let groups = listed(cluster, of, &states).await.map_err(executed)?;
    write!(out, "{}", layout::list(&groups))?;
    Ok(())
}

/// The groups that `--all-groups` or `--group` mean.
pub(crate) async fn names(cluster: &Cluster, of: &str, found: &Found) -> Result<Vec<String>, Failure> {
    if found.has("all-groups") {
        let groups = listed(cluster, of, &[]).await.map_err(rethrown)?;
        return Ok(groups.into_iter().map(|group| group.group_id).collect());
    }
    Ok(found.values("group").into_iter().map(str::to_owned).collect())
}

/// Deletes one group.
pub(crate) async fn delete(cluster: &Cluster, group: &str) -> Result<(), Thrown> {
    let request = DeleteGroupsRequest { groups_names: vec![group.to_owned()] };
    let answer = cluster.coordinator(CoordinatorKind::Group, group, &request).await?;
    answer.results.iter().try_for_each(|result| Thrown::of_item(result.error_code, None))
}

/// `--bootstrap-server` of share and streams groups.
pub(crate) fn takes_server(p: &mut Parser) {
    p.takes("bootstrap-server", "REQUIRED: The server(s) to connect to.", "server to connect to", Kind::Text);
}

/// `--timeout` and `--command-config` of share and streams groups.
pub(crate) fn takes_timeout(p: &mut Parser) {
    p.takes("timeout", "The timeout that can be set for some use cases. For example, it can be used when describing the group to specify the maximum amount of time in milliseconds to wait before the group stabilizes.", "timeout (ms)", Kind::Long)
        .default(30000);
    p.takes(
        "command-config",
        "Property file containing configs to be passed to Admin Client.",
        "command config property file",
        Kind::Text,
    );
}

/// `--to-datetime`.
pub(crate) fn takes_datetime(p: &mut Parser) {
    p.takes(
        "to-datetime",
        "Reset offsets to offset from datetime. Format: 'YYYY-MM-DDThh:mm:ss.sss'",
        "datetime",
        Kind::Text,
    );
}

/// `--by-duration`.
pub(crate) fn takes_duration(p: &mut Parser) {
    p.takes(
        "by-duration",
        "Reset offsets to offset by duration from current timestamp. Format: 'PnDTnHnMnS'",
        "duration",
        Kind::Text,
    );
}

/// `--to-offset` and `--from-file`.
pub(crate) fn takes_offset_or_file(p: &mut Parser) {
    p.takes("to-offset", "Reset offsets to a specific offset.", "offset", Kind::Long);
    p.takes("from-file", "Reset offsets to values defined in CSV file.", "path to CSV file", Kind::Text);
}

/// `--shift-by`.
pub(crate) fn takes_shift(p: &mut Parser) {
    p.takes(
        "shift-by",
        "Reset offsets shifting current offset by 'n', where 'n' can be positive or negative.",
        "number-of-offsets",
        Kind::Long,
    );
}

/// What the tools of share and streams groups look at first: options that mean nothing alone, help, the server, `--describe`.
pub(crate) fn check_first(p: &Parser, found: &Found, about: &str, out: &mut Out) -> Result<(), Stop> {
    available(
        found,
        &[
            ("members", &["describe"][..]),
            ("offsets", &["describe"]),
            ("state", &["describe", "list"]),
            ("verbose", &["describe"]),
        ],
    )?;
    p.help_or_version(found, about, out)?;
    p.check_required(found, &["bootstrap-server"])?;
    check_describe(p, found)
}

/// What goes with `--describe`.
pub(crate) fn check_describe(p: &Parser, found: &Found) -> Result<(), Stop> {
    if !found.has("describe") {
        return Ok(());
    }
    if !found.has("group") && !found.has("all-groups") {
        return Err(p.usage("Option [describe] takes one of these options: [all-groups], [group]"));
    }
    if ["members", "offsets", "state"].iter().filter(|option| found.has(option)).count() > 1 {
        return Err(
            p.usage("Option [describe] takes at most one of these options: [members], [offsets], [state]")
        );
    }
    if found.has_argument("state") {
        return Err(p.usage("Option [describe] does not take a value for [state]"));
    }
    Ok(())
}

/// That `--reset-offsets` is told to plan or to do, and not both.
pub(crate) fn check_dry_or_real(p: &Parser, found: &Found, may_be_neither: bool) -> Result<(), Stop> {
    match (found.has("dry-run"), found.has("execute")) {
        (true, true) => Err(p.usage("Option [reset-offsets] only accepts one of [execute] and [dry-run]")),
        (false, false) if !may_be_neither => {
            Err(p.usage("Option [reset-offsets] takes the option: [execute] or [dry-run]"))
        }
        _ => Ok(()),
    }
}

/// That at most one of `scenarios` is given.
pub(crate) fn check_scenarios(p: &Parser, found: &Found, scenarios: &[&str]) -> Result<(), Stop> {
    for scenario in scenarios {
        let others: Vec<&str> = scenarios.iter().copied().filter(|other| other != scenario).collect();
        p.check_invalid(found, scenario, &others)?;
    }
    Ok(())
}

/// The first line of what a tool says to a command line that it refuses.
#[cfg(test)]
pub(crate) fn refused(tool: fn(&[String], &mut Out) -> Result<(), Stop>, line: &str) -> String {
    let words = ["--bootstrap-server", "h:1"].into_iter().chain(line.split(' '));
    let args: Vec<String> = words.map(str::to_owned).collect();
    let stop = tool(&args, &mut Out::new_for_test()).expect_err("refused");
    assert_eq!(stop.code, 1, "{line}");
    stop.err.lines().next().unwrap_or_default().to_owned()
}
