//! What is answered to whom, on a node whose state the test says.

use http_body_util::BodyExt;
use hyper::Request;

use super::*;
use crate::health::tests::standing;
use crate::observed::{Figure, Kind, Standing, State, WayIn};

/// A node that nobody can be asked of.
struct Alone(Standing);

impl Observed for Alone {
    fn standing(&self) -> Standing {
        self.0.clone()
    }

    fn measure(&self, tell: &mut dyn FnMut(Figure<'_>)) {
        let name = "kafka_server_brokertopicmetrics_messagesin_total";
        for (topic, value) in [("a", 3.0), ("b", 4.0)] {
            let labels = &[("topic", topic)];
            tell(Figure { name, help: "Records.", kind: Kind::Counter, labels, value });
        }
    }

    /// Nobody listens there.
    fn way_in(&self) -> Option<WayIn> {
        Some(WayIn { address: ([127, 0, 0, 1], 1).into(), is_controller: false })
    }
}

fn starting() -> Standing {
    let obstacles = vec!["Waiting for controller quorum: 1 of 2 reachable, need 2.".to_owned()];
    Standing { state: State::Starting, obstacles, leader: None, ..standing() }
}

async fn asked_with(at: Standing, request: hyper::http::request::Builder) -> (Answer, String) {
    let shared = Shared::new(Names::new([]), Arc::new(Alone(at)));
    let (head, ()) = request.body(()).expect("a request").into_parts();
    let answer = answer(&shared, &head).await;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("it is all there").to_bytes();
    let text = String::from_utf8(body.to_vec()).expect("text");
    (Response::from_parts(head, Full::new(body)), text)
}

async fn asked(at: Standing, path: &str) -> (u16, String) {
    let (answer, text) = asked_with(at, Request::get(path).header("host", "localhost")).await;
    (answer.status().as_u16(), text)
}

#[tokio::test]
async fn a_node_that_waits_lives_and_is_not_ready() {
    assert_eq!(asked(starting(), "/livez").await, (200, "ok: node 1 STARTING\n".to_owned()));
    let why = "not ready\nWaiting for controller quorum: 1 of 2 reachable, need 2.\n".to_owned();
    assert_eq!(asked(starting(), "/readyz").await, (503, why.clone()));
    assert_eq!(asked(starting(), "/healthz").await, (503, why));
    let (status, verbose) = asked(starting(), "/healthz?verbose").await;
    let verbose: Value = serde_json::from_str(&verbose).expect("JSON");
    assert_eq!((status, &verbose["is_ready"], &verbose["state"]), (503, &json!(false), &json!("STARTING")));
    assert_eq!(asked(starting(), "/v1/broker-state").await, (200, "1\n".to_owned()));
    assert_eq!(asked(standing(), "/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(asked(standing(), "/healthz").await.0, 200);
    let (status, node) = asked(starting(), "/api/node").await;
    assert_eq!((status, serde_json::from_str::<Value>(&node).expect("JSON")), (200, verbose));
}

#[tokio::test]
async fn before_a_node_serves_it_says_why_and_asks_nobody() {
    let (status, text) = asked(starting(), "/api/topics").await;
    let said: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((status, &said["error"]), (503, &json!(starting().obstacles[0])));
    let (status, text) = asked(starting(), "/api/overview").await;
    let said: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (status, &said["cluster"], &said["error"]),
        (200, &Value::Null, &json!(starting().obstacles[0]))
    );
    assert_eq!(
        (&said["traffic"]["messages_in"], &said["traffic"]["bytes_in"]),
        (&json!(7), &json!(0)),
        "of all topics"
    );
    assert_eq!(said["node"]["state"], json!("STARTING"));
}

#[tokio::test]
async fn every_answer_says_what_a_page_may_do_with_it() {
    for (path, status) in
        [("/", 200), ("/metrics", 200), ("/api", 200), ("/nothing", 404), ("/%ff", 400), ("/api/x", 404)]
    {
        let (answer, _) = asked_with(standing(), Request::get(path).header("host", "localhost")).await;
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let has = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        assert!(has("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(has("cache-control"), "no-store", "{path}");
        assert_eq!(
            (has("x-content-type-options"), has("x-frame-options")),
            ("nosniff".into(), "DENY".into())
        );
        assert_eq!(has("cross-origin-resource-policy"), "same-origin");
    }
}

#[tokio::test]
async fn whoever_may_not_ask_gets_no_answer() {
    let foreign = Request::get("/api/node").header("host", "evil.example");
    let (answer, text) = asked_with(standing(), foreign).await;
    assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST);
    assert!(!text.contains("is_ready"), "{text}");
    let (answer, _) = asked_with(standing(), Request::post("/livez")).await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers()[ALLOW], "GET, HEAD");
}

#[tokio::test]
async fn figures_come_in_the_format_that_is_asked_for() {
    for (accept, kind, end) in [
        ("*/*", "text/plain; version=0.0.4", "messagesin_total{topic=\"b\"} 4\n"),
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0", "# EOF\n"),
    ] {
        let request = Request::get("/metrics").header("accept", accept);
        let (answer, text) = asked_with(standing(), request).await;
        let told = answer.headers()[CONTENT_TYPE].to_str().expect("text");
        assert!(told.starts_with(kind) && text.ends_with(end), "{told}: {text}");
    }
}

#[tokio::test]
async fn the_console_is_in_the_binary() {
    let (status, page) = asked(standing(), "/").await;
    assert_eq!(status, 200);
    for file in ["/console.css", "/console.js"] {
        assert!(page.contains(file.trim_start_matches('/')), "the page loads {file}");
    }
    for (path, kind, body) in PAGE {
        let (answer, text) = asked_with(standing(), Request::get(*path).header("host", "localhost")).await;
        assert_eq!(
            (&answer.headers()[CONTENT_TYPE], text.as_str()),
            (&HeaderValue::from_static(kind), *body),
            "{path}"
        );
    }
}
