//! AlterConfigs (key 33) and IncrementalAlterConfigs (key 44).
//!
//! A broker answers for its own keys: changes of broker configuration are checked here, where the file is. What
//! remains goes to the controller. On a controller's listener everything goes there, loggers excepted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ottla_config::alter::{Change, Operation, apply, check_changes, check_replacement};
use ottla_config::{Overrides, Resource};
use ottla_metadata::image::ConfigResource;
use ottla_metadata::{Decision, Image, Refusal as Refused};
use ottla_protocol::Listener;
use ottla_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as Replaced;
use ottla_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse as Changed;
use ottla_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use ottla_protocol::wire::Request;

use super::{invalid, loggers, values};
use crate::config_rules;
use crate::controller_host::{Turn, Unavailable};
use crate::dispatch::Call;
use crate::node::Node;
use crate::reply::{Outcome, Refusal};

/// The time the controller gets: these requests have no timeout of their own.
const TIMEOUT_MS: i32 = 30_000;

/// What came of a resource.
type Verdict = Result<(), Refused>;
/// Verdicts by the type and name of the resource.
type Verdicts = HashMap<(i8, String), Verdict>;

/// What shall become of one resource.
struct Wanted {
    kind: i8,
    name: String,
    values: Values,
}

enum Values {
    /// These keys and no others.
    Replace(Vec<(String, Option<String>)>),
    /// Operations by their numbers.
    Change(Vec<(String, i8, Option<String>)>),
}

impl Wanted {
    fn key(&self) -> (i8, String) {
        (self.kind, self.name.clone())
    }
}

pub(crate) fn alter_incremental(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let mut request: IncrementalAlterConfigsRequest = call.owned()?;
    let wanted: Vec<Wanted> = request
        .resources
        .iter()
        .map(|resource| Wanted {
            kind: resource.resource_type,
            name: resource.resource_name.clone(),
            values: Values::Change(
                resource
                    .configs
                    .iter()
                    .map(|config| (config.name.clone(), config.config_operation, config.value.clone()))
                    .collect(),
            ),
        })
        .collect();
    let here = judge(call, &wanted);
    let (forwarded, asks) = (call.is_forwarded(), Asks::of(call));
    let mut verdicts = here.iter();
    request.resources.retain(|_| verdicts.next().is_some_and(Option::is_none));
    let (node, to) = (call.node().clone(), call.reply_to());
    Ok(Outcome::Later(Box::pin(async move {
        let mut there = Ok(Verdicts::new());
        if !request.resources.is_empty() {
            let answer = decide(&node, &asks, request, move |request, turn| {
                turn.controller.view().incremental_alter_configs(request, forwarded)
            });
            there = answer.await.map(|response| {
                let verdict =
                    |r: Changed| ((r.resource_type, r.resource_name), verdict(r.error_code, r.error_message));
                response.responses.into_iter().map(verdict).collect()
            });
        }
        let responses = assemble(&wanted, here, &there).map(|(wanted, error_code, error_message)| Changed {
            error_code,
            error_message,
            resource_type: wanted.kind,
            resource_name: wanted.name.clone(),
        });
        let responses = responses.collect();
        to.with(&IncrementalAlterConfigsResponse { responses, ..Default::default() })
    })))
}

pub(crate) fn alter(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let mut request: AlterConfigsRequest = call.owned()?;
    let wanted: Vec<Wanted> = request
        .resources
        .iter()
        .map(|resource| Wanted {
            kind: resource.resource_type,
            name: resource.resource_name.clone(),
            values: Values::Replace(
                resource.configs.iter().map(|config| (config.name.clone(), config.value.clone())).collect(),
            ),
        })
        .collect();
    let here = judge(call, &wanted);
    let (forwarded, asks) = (call.is_forwarded(), Asks::of(call));
    let mut verdicts = here.iter();
    request.resources.retain(|_| verdicts.next().is_some_and(Option::is_none));
    let (node, to) = (call.node().clone(), call.reply_to());
    Ok(Outcome::Later(Box::pin(async move {
        let mut there = Ok(Verdicts::new());
        if !request.resources.is_empty() {
            let answer = decide(&node, &asks, request, move |request, turn| {
                turn.controller.view().alter_configs(request, forwarded)
            });
            there = answer.await.map(|response| {
                let verdict = |r: Replaced| {
                    ((r.resource_type, r.resource_name), verdict(r.error_code, r.error_message))
                };
                response.responses.into_iter().map(verdict).collect()
            });
        }
        let responses = assemble(&wanted, here, &there).map(|(wanted, error_code, error_message)| Replaced {
            error_code,
            error_message,
            resource_type: wanted.kind,
            resource_name: wanted.name.clone(),
        });
        let responses = responses.collect();
        to.with(&AlterConfigsResponse { responses, ..Default::default() })
    })))
}

/// Who asks, and in which version.
struct Asks {
    version: i16,
    client: IpAddr,
    listener: Listener,
}

impl Asks {
    fn of(call: &Call<'_>) -> Asks {
        Asks { version: call.version(), client: call.peer.address.ip(), listener: call.peer.listener }
    }
}

/// Has the active controller decide. A broker finds it; a controller that is asked answers for itself.
async fn decide<R: Request<Response: Send> + Send + Sync + 'static>(
    node: &Arc<Node>,
    asks: &Asks,
    request: R,
    decide: impl Fn(&R, &mut Turn<'_>) -> Decision<R::Response> + Clone + Send + 'static,
) -> Result<R::Response, Unavailable> {
    let controller = node.controller();
    match asks.listener {
        Listener::Controller => controller.ask(node, TIMEOUT_MS, move |turn| decide(&request, turn)).await,
        Listener::Broker => {
            let timeout = Duration::from_millis(TIMEOUT_MS as u64);
            let request = (request, asks.version);
            controller.channel().decide_or_forward(node, request, asks.client, timeout, decide).await
        }
    }
}

fn verdict(error_code: i16, message: Option<String>) -> Verdict {
    match ottla_protocol::ErrorCode::from_i16(error_code) {
        Some(ottla_protocol::ErrorCode::None) => Ok(()),
        code => Err(Refused { code: code.unwrap_or(ottla_protocol::ErrorCode::UnknownServerError), message }),
    }
}

/// The answers in the order of the request: what was judged here, else what the controller said.
fn assemble<'a>(
    wanted: &'a [Wanted],
    here: Vec<Option<Verdict>>,
    there: &'a Result<Verdicts, Unavailable>,
) -> impl Iterator<Item = (&'a Wanted, i16, Option<String>)> {
    wanted.iter().zip(here).map(move |(wanted, here)| {
        let verdict = here.unwrap_or_else(|| match there {
            Ok(verdicts) => verdicts
                .get(&wanted.key())
                .cloned()
                .unwrap_or_else(|| Err(Refused::code(ottla_protocol::ErrorCode::UnknownServerError))),
            Err(error) => Err(Refused::new(error.code(), error.to_string())),
        });
        match verdict {
            Ok(()) => (wanted, 0, None),
            Err(refusal) => (wanted, refusal.code.code(), refusal.message),
        }
    })
}

/// What can be said of each resource before the controller is asked; nothing for those it is to decide on.
fn judge(call: &Call<'_>, wanted: &[Wanted]) -> Vec<Option<Verdict>> {
    let node = call.node();
    if call.peer.listener == Listener::Controller {
        let loggers = |wanted: &Wanted| match &wanted.values {
            Values::Change(changes) if wanted.kind == Resource::BrokerLogger.wire() => {
                Some(loggers::check(node.node_id(), &wanted.name, changes))
            }
            _ => None,
        };
        return wanted.iter().map(loggers).collect();
    }
    let image = node.image();
    judge_as_broker(node.node_id(), wanted, |name, values| check_broker(node, &image, name, values))
}

fn judge_as_broker(
    node_id: i32,
    wanted: &[Wanted],
    check_broker: impl Fn(&str, &Values) -> Verdict,
) -> Vec<Option<Verdict>> {
    let mut counts: HashMap<(i8, &str), usize> = HashMap::new();
    for one in wanted {
        *counts.entry((one.kind, &one.name)).or_default() += 1;
    }
    let judge = |one: &Wanted| -> Option<Verdict> {
        if counts[&(one.kind, one.name.as_str())] > 1 {
            return Some(Err(invalid("Each resource must appear at most once.")));
        }
        if let Err(refusal) = well_formed(&one.values) {
            return Some(Err(refusal));
        }
        match (Resource::of_wire(one.kind), &one.values) {
            (Some(Resource::Topic | Resource::ClientMetrics | Resource::Group), _) => None,
            (Some(Resource::BrokerLogger), Values::Change(changes)) => {
                Some(loggers::check(node_id, &one.name, changes))
            }
            (Some(Resource::Broker), values) => {
                let checked =
                    check_node_id(node_id, &one.name).and_then(|()| check_broker(&one.name, values));
                // What is allowed still has to be written by the controller.
                checked.err().map(Err)
            }
            (Some(Resource::BrokerLogger), Values::Replace(_)) | (None, _) => {
                Some(Err(invalid(format!("Unknown resource type {}", one.kind))))
            }
        }
    };
    wanted.iter().map(judge).collect()
}

/// No key twice, a value wherever one is needed.
fn well_formed(values: &Values) -> Verdict {
    let checked = match values {
        Values::Replace(values) => check_replacement(values).map(drop),
        Values::Change(changes) => {
            // Operations that do not exist are told later, resource by resource: here they need a value.
            let changes: Vec<Change> = changes
                .iter()
                .map(|(name, operation, value)| Change {
                    name: name.clone(),
                    operation: Operation::of_wire(*operation).unwrap_or(Operation::Set),
                    value: value.clone(),
                })
                .collect();
            check_changes(&changes)
        }
    };
    checked.map_err(|error| config_rules::refusal(&error))
}

/// A broker changes its own configuration and the cluster's, nobody else's.
fn check_node_id(node_id: i32, name: &str) -> Verdict {
    if name.is_empty() {
        return Ok(());
    }
    match name.parse::<i32>() {
        Err(_) => Err(invalid(format!("Node id must be an integer, but it is: {name}"))),
        Ok(id) if id != node_id => {
            Err(invalid(format!("Unexpected broker id, expected {node_id}, but received {name}")))
        }
        Ok(_) => Ok(()),
    }
}

fn check_broker(node: &Node, image: &Image, name: &str, wanted: &Values) -> Verdict {
    let refusal = |error: ottla_config::Refusal| config_rules::refusal(&error);
    let after: Overrides = match wanted {
        Values::Replace(values) => check_replacement(values).map_err(refusal)?,
        Values::Change(changes) => {
            let change = |(name, operation, value): &(String, i8, Option<String>)| {
                let operation = Operation::of_wire(*operation)?;
                Ok(Change { name: name.clone(), operation, value: value.clone() })
            };
            let changes: Vec<Change> =
                changes.iter().map(change).collect::<Result<_, _>>().map_err(refusal)?;
            let before = values(image, &ConfigResource::new(Resource::Broker.wire(), name));
            apply(Resource::Broker, &before, &changes).map_err(refusal)?
        }
    };
    node.broker_configs().validate(&after, !name.is_empty()).map(drop).map_err(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::ErrorCode;

    fn change(kind: i8, name: &str, changes: &[(&str, i8, Option<&str>)]) -> Wanted {
        let owned = |(key, operation, value): &(&str, i8, Option<&str>)| {
            ((*key).to_owned(), *operation, value.map(str::to_owned))
        };
        let values = Values::Change(changes.iter().map(owned).collect());
        Wanted { kind, name: name.to_owned(), values }
    }

    fn told(wanted: &[Wanted]) -> Vec<Option<String>> {
        let judged =
            judge_as_broker(
                1,
                wanted,
                |name, _| {
                    if name.is_empty() { Ok(()) } else { Err(invalid("not this one")) }
                },
            );
        let message =
            |verdict: Verdict| verdict.err().and_then(|refusal| refusal.message).unwrap_or_default();
        judged.into_iter().map(|verdict| verdict.map(message)).collect()
    }

    #[test]
    fn brokers_judge_what_is_theirs_and_pass_on_the_rest() {
        let set: &[(&str, i8, Option<&str>)] = &[("k", 0, Some("v"))];
        let judged = told(&[
            change(2, "t", set),
            change(4, "", set),
            change(4, "1", set),
            change(4, "2", set),
            change(4, "x", set),
            change(8, "1", set),
            change(99, "a", set),
        ]);
        let expected = [
            None,
            None,
            Some("not this one"),
            Some("Unexpected broker id, expected 1, but received 2"),
            Some("Node id must be an integer, but it is: x"),
            Some("Logger k does not exist!"),
            Some("Unknown resource type 99"),
        ];
        assert_eq!(judged, expected.map(|text| text.map(str::to_owned)));
    }

    #[test]
    fn malformed_resources_go_no_further() {
        let twice = told(&[change(2, "t", &[]), change(2, "u", &[]), change(2, "t", &[])]);
        let once = Some("Each resource must appear at most once.".to_owned());
        assert_eq!(twice, [once.clone(), None, once]);
        let keys = told(&[change(2, "t", &[("k", 0, Some("a")), ("k", 1, None)])]);
        assert_eq!(keys, [Some("Error due to duplicate config keys".to_owned())]);
        let null = told(&[change(2, "t", &[("k", 0, None)])]);
        assert_eq!(null, [Some("Null value not supported for : k".to_owned())]);
        let replace = Wanted { kind: 8, name: "1".into(), values: Values::Replace(Vec::new()) };
        assert_eq!(told(&[replace]), [Some("Unknown resource type 8".to_owned())]);
    }

    #[test]
    fn answers_keep_the_order_of_the_request() {
        let wanted = [change(2, "a", &[]), change(2, "b", &[]), change(2, "c", &[])];
        let here = || vec![None, Some(Err(invalid("here"))), None];
        let there = Ok(Verdicts::from([((2, "a".to_owned()), Ok(()))]));
        let answers: Vec<_> =
            assemble(&wanted, here(), &there).map(|(w, code, _)| (w.name.as_str(), code)).collect();
        assert_eq!(answers, [("a", 0), ("b", 42), ("c", -1)]);
        let gone = Err(Unavailable::NotController);
        let codes: Vec<i16> = assemble(&wanted, here(), &gone).map(|(_, code, _)| code).collect();
        let not_controller = ErrorCode::NotController.code();
        assert_eq!(codes, [not_controller, 42, not_controller]);
    }
}
