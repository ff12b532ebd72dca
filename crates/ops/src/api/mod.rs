//! The JSON API: one file for each subject. What the console shows is what is told here.

mod configs;
mod groups;
mod messages;
mod overview;
mod topics;

use hyper::StatusCode;
use ottla_client::{Cluster, Isolation, OffsetSpec, TopicPartition};
use serde_json::{Value, json};
use std::collections::BTreeMap;

use crate::health;
use crate::query::Target;
use crate::route::Shared;

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// What is wrong, in a sentence for people.
    pub(crate) why: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, why: impl Into<String>) -> Problem {
        Problem { status, why: why.into() }
    }

    fn asked_wrongly(why: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, why)
    }

    fn not_found(why: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, why)
    }
}

/// What there is to ask, for people who ask for nothing.
const INDEX: &[(&str, &str)] = &[
    ("/api/node", "this node: whether it is ready and why not"),
    (
        "/api/overview",
        "the cluster: health, brokers, quorum, what needs somebody's eyes; this node's traffic",
    ),
    ("/api/topics?search=&sort=name&offset=0&limit=50", "topics"),
    ("/api/topics/NAME?offset=0&limit=200", "partitions of a topic: leader, replicas, in sync, offsets"),
    ("/api/topics/NAME/configs", "the configuration of a topic"),
    (
        "/api/topics/NAME/messages?partition=&from=latest|earliest|OFFSET|@MILLISECONDS&contains=&limit=50",
        "records of a topic, the newest first",
    ),
    ("/api/nodes/ID/configs", "the configuration of a node"),
    ("/api/groups?search=&offset=0&limit=50", "groups with their lag"),
    ("/api/groups/NAME", "members of a group, and its lag by partition"),
];

/// Answers a question: `path` is what stands behind `/api/`.
pub(crate) async fn answer(shared: &Shared, path: &[&str], target: &Target) -> Result<Value, Problem> {
    match *path {
        [] | [""] => Ok(INDEX.iter().map(|(path, what)| json!({"path": path, "what": what})).collect()),
        ["node"] => Ok(health::told(&shared.node.standing())),
        ["overview"] => overview::told(shared).await,
        ["topics"] => topics::list(&shared.reach.brokers().await?, target).await,
        ["topics", name] => topics::one(&shared.reach.brokers().await?, name, target).await,
        ["topics", name, "configs"] => configs::of_topic(&shared.reach.brokers().await?, name).await,
        ["topics", name, "messages"] => messages::look(&shared.reach, name, target).await,
        ["nodes", id, "configs"] => configs::of_node(&shared.reach.brokers().await?, id).await,
        ["groups"] => groups::list(&shared.reach.brokers().await?, target).await,
        ["groups", name] => groups::one(&shared.reach.brokers().await?, name).await,
        _ => Err(Problem::not_found("no such question; /api lists them")),
    }
}

/// A part of a list: `offset` and `limit` of the question, within bounds.
fn page<T>(target: &Target, most: i64, otherwise: i64, rows: Vec<T>) -> Result<(usize, Vec<T>), Problem> {
    let offset = target.number("offset", 0, 0, i64::MAX).map_err(Problem::asked_wrongly)?;
    let limit = target.number("limit", otherwise, 1, most).map_err(Problem::asked_wrongly)?;
    let all = rows.len();
    let skip = usize::try_from(offset).unwrap_or(usize::MAX);
    Ok((all, rows.into_iter().skip(skip).take(usize::try_from(limit).unwrap_or(1)).collect()))
}

/// The first and the next offset of partitions; those that cannot tell are left out.
async fn extents(
    cluster: &Cluster,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, (i64, i64)>, Problem> {
    let ask = |spec: OffsetSpec| partitions.iter().map(move |at| (at.clone(), spec)).collect::<Vec<_>>();
    let (first, next) = (ask(OffsetSpec::Earliest), ask(OffsetSpec::Latest));
    let isolation = Isolation::ReadUncommitted;
    let (first, next) =
        tokio::join!(cluster.list_offsets(&first, isolation), cluster.list_offsets(&next, isolation));
    let (first, next) = (first?, next?);
    let extent = |(at, found): (TopicPartition, Result<ottla_client::OffsetAndTimestamp, _>)| {
        let next = found.ok()?.offset;
        let first = first.get(&at)?.as_ref().ok()?.offset;
        Some((at, (first, next)))
    };
    Ok(next.into_iter().filter_map(extent).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_a_part_of_a_list_within_bounds() {
        let of = |query: &str| {
            let target = Target::read("/", Some(query)).expect("a target");
            page(&target, 3, 2, (0..10).collect::<Vec<i32>>())
        };
        assert_eq!(of("").expect("a page"), (10, vec![0, 1]));
        assert_eq!(of("offset=8&limit=3").expect("a page"), (10, vec![8, 9]));
        assert_eq!(of("limit=1000000").expect("a page"), (10, vec![0, 1, 2]));
        assert_eq!(of("offset=99").expect("a page"), (10, vec![]));
        assert_eq!(of("limit=x").expect_err("no number").status, 400);
    }
}
