//! Paths, and the heads of answers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::api::{self, Problem};
use crate::guard::{self, Names};
use crate::observed::Observed;
use crate::query::Target;
use crate::reach::Reach;
use crate::{health, metrics};

/// An answer takes at most this long.
const DEADLINE: Duration = Duration::from_secs(10);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// The console, as it lies in the binary.
const PAGE: &[(&str, &str, &str)] = &[
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/console.css", "text/css; charset=utf-8", include_str!("page/console.css")),
    ("/console.js", "text/javascript; charset=utf-8", include_str!("page/console.js")),
    ("/views.js", "text/javascript; charset=utf-8", include_str!("page/views.js")),
    ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

/// What the page may do: load its own files and ask its own origin, and nothing else; nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What all connections share.
pub(crate) struct Shared {
    names: Names,
    pub(crate) node: Arc<dyn Observed>,
    pub(crate) reach: Reach,
}

impl Shared {
    pub(crate) fn new(names: Names, node: Arc<dyn Observed>) -> Arc<Shared> {
        Arc::new(Shared { names, reach: Reach::new(node.clone()), node })
    }
}

pub(crate) type Answer = Response<Full<Bytes>>;

/// Answers one request, always and in time.
pub(crate) async fn answer(shared: &Shared, head: &Parts) -> Answer {
    if let Err(refused) = guard::check(head, &shared.names) {
        let mut answer = with(refused.status, TEXT, refused.why + "\n");
        if refused.status == StatusCode::METHOD_NOT_ALLOWED {
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        return answer;
    }
    let path = head.uri.path();
    if let Some((_, kind, body)) = PAGE.iter().find(|(known, ..)| *known == path) {
        return with(StatusCode::OK, kind, *body);
    }
    let Some(target) = Target::read(path, head.uri.query()) else {
        return with(StatusCode::BAD_REQUEST, TEXT, "this target is no text\n");
    };
    let parts: Vec<&str> = target.path.iter().map(String::as_str).collect();
    match parts[..] {
        ["livez"] => {
            // A node whose state cannot be read hangs here, and is found out by the prober's patience.
            let standing = shared.node.standing();
            with(StatusCode::OK, TEXT, format!("ok: node {} {}\n", standing.node_id, standing.state.name()))
        }
        ["readyz"] => {
            let (status, text) = health::ready(&shared.node.standing());
            with(status, TEXT, text)
        }
        ["healthz"] => {
            let standing = shared.node.standing();
            let (status, text) = health::ready(&standing);
            if target.has("verbose") {
                json(status, &health::told(&standing))
            } else {
                with(status, TEXT, text)
            }
        }
        ["v1", "broker-state"] => {
            with(StatusCode::OK, TEXT, format!("{}\n", shared.node.standing().state as u8))
        }
        ["metrics"] => {
            let format = metrics::Format::wanted(&head.headers);
            with(StatusCode::OK, format.content_type(), metrics::text(&*shared.node, format))
        }
        ["api", ref rest @ ..] => {
            let late =
                || Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, "the cluster did not answer in time"));
            match timeout(DEADLINE, api::answer(shared, rest, &target)).await.unwrap_or_else(|_| late()) {
                Ok(value) => json(StatusCode::OK, &value),
                Err(problem) => json(problem.status, &json!({"error": problem.why})),
            }
        }
        _ => with(StatusCode::NOT_FOUND, TEXT, "nothing is here; / is the console\n"),
    }
}

fn json(status: StatusCode, value: &Value) -> Answer {
    with(status, JSON, value.to_string() + "\n")
}

fn with(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // What is told is true for a moment; the page changes with the program.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}

#[cfg(test)]
mod tests;
