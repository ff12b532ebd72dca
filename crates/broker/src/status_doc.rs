//! The table of APIs in `docs/STATUS.md`, made from the dispatch table, so that it cannot say what is not so.
//!
//! `UPDATE_DOCS=1 cargo test -p ottla-broker status_doc` writes it anew.

use std::fmt::Write as _;

use ottla_protocol::{APIS, ApiInfo, ApiKey, Listener};

use crate::dispatch;

const BEGIN: &str = "<!-- apis: begin; UPDATE_DOCS=1 cargo test -p ottla-broker status_doc -->\n";
const END: &str = "<!-- apis: end -->";

/// What has to come before an API can be served on the listeners where it is not.
fn waits_for(api: ApiKey) -> &'static str {
    use ApiKey::*;
    match api {
        SaslHandshake | SaslAuthenticate => "SASL",
        DescribeUserScramCredentials | AlterUserScramCredentials => "SASL",
        DescribeClientQuotas | AlterClientQuotas => "quotas",
        AlterReplicaLogDirs => "moving replicas between directories",
        ConsumerGroupHeartbeat | ConsumerGroupDescribe => "KIP-848 groups",
        GetTelemetrySubscriptions | PushTelemetry => "metrics",
        ShareGroupHeartbeat
        | ShareGroupDescribe
        | ShareFetch
        | ShareAcknowledge
        | InitializeShareGroupState
        | ReadShareGroupState
        | WriteShareGroupState
        | DeleteShareGroupState
        | ReadShareGroupStateSummary
        | DescribeShareGroupOffsets
        | AlterShareGroupOffsets
        | DeleteShareGroupOffsets => "KIP-932 share groups",
        StreamsGroupHeartbeat | StreamsGroupDescribe => "KIP-1071 streams groups",
        other => panic!("{other:?} is not served somewhere: say here what it waits for"),
    }
}

fn cell(api: &ApiInfo, listener: Listener) -> String {
    if !api.on(listener) {
        "-".to_owned()
    } else if dispatch::is_served(api, listener) {
        "works".to_owned()
    } else {
        format!("waits for {}", waits_for(api.key))
    }
}

fn versions(api: &ApiInfo) -> String {
    let range = |low: i16, high: i16| if low == high { low.to_string() } else { format!("{low}-{high}") };
    let told = range(api.min_version, api.highest(false));
    if api.unstable_max { format!("{told} ({} unstable)", api.max_version) } else { told }
}

/// The block between the marks.
fn table() -> String {
    let mut out = String::new();
    for (listener, name) in [(Listener::Broker, "client"), (Listener::Controller, "controller")] {
        let kafka = APIS.iter().filter(|api| api.on(listener)).count();
        let served = APIS.iter().filter(|api| dispatch::is_served(api, listener)).count();
        _ = writeln!(out, "On a {name} listener {served} of {kafka} APIs are served.");
    }
    out += "\n| Key | API | Versions | Client listener | Controller listener |\n";
    out += "| --- | --- | --- | --- | --- |\n";
    for api in &APIS {
        let (client, controller) = (cell(api, Listener::Broker), cell(api, Listener::Controller));
        _ = writeln!(
            out,
            "| {} | {} | {} | {client} | {controller} |",
            api.key as i16,
            api.name,
            versions(api)
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_doc_has_the_dispatch_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/STATUS.md");
        let text = std::fs::read_to_string(path).expect("docs/STATUS.md is there");
        let (head, rest) = text.split_once(BEGIN).expect("the mark in front of the table");
        let (block, tail) = rest.split_once(END).expect("the mark behind the table");
        let table = table();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, format!("{head}{BEGIN}{table}{END}{tail}"))
                .expect("docs/STATUS.md can be written");
        } else {
            assert!(block == table, "docs/STATUS.md is not what is served; UPDATE_DOCS=1 writes:\n{table}");
        }
    }
}
