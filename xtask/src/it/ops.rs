//! The operations port of a node: health, figures, the API behind the console, and whom it does not answer.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::batch::{self, Batch, record};
use super::batches::of_zeros;
use super::cluster::nodes::{Nodes, Shape, Voters};
use crate::frame;
use crate::server::{Server, Site, System, resident_mib};
use crate::tally::Tally;

const LIMIT: Duration = Duration::from_secs(20);
/// What must be shown as it is, and never become a part of the page.
const MARKUP: &str = "<script>alert(1)</script>";

pub fn run(tally: &mut Tally) -> Result<()> {
    let site = Site::fresh("it-ops")?.with("ottla.ops.listener", "127.0.0.1:0");
    let server = Server::start(System::Ottla, &site)?;
    let port = said(&server.log()).context("the log does not say where the port is")?;
    let at = server.site.port;
    batch::create_topic(at, "letters", 1)?;
    batch::produce(at, "letters", &Batch::plain(3).bytes())?;
    batch::produce(at, "letters", &Batch::of(record(0, MARKUP.as_bytes()), 1).bytes())?;
    tally.check("S1-22 /livez and /readyz of a node that serves", || health(port));
    tally.check("S1-26 /metrics under the names that dashboards know, with what happened", || metrics(port));
    tally.check("S4-16 the API tells topics, partitions and records; markup stays text", || api(port));
    tally.check("S3-07 the console is one page that loads nothing from elsewhere", || page(port));
    tally.check("names of others, pages of others, and writes are refused", || strangers(port));
    tally.check("a head without end is refused, and forty silent connections keep nobody out", || {
        idlers(port)
    });
    tally.check("a batch that becomes very large is not opened to be shown", || bomb(&server, port));
    tally.check(
        "S1-22 a node without its quorum, and one that lost it: /readyz says what the log says",
        waiting,
    );
    Ok(())
}

/// The port that a node said last.
fn said(log: &str) -> Option<u16> {
    let line =
        log.lines().rev().find_map(|line| Some(line.split_once("metrics and health at http://")?.1))?;
    line.split_once('/')?.0.rsplit_once(':')?.1.parse().ok()
}

/// Status, head and body of an answer.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn ok(self) -> Result<Answer> {
        ensure!(self.status == 200, "{}: {}", self.status, self.body);
        Ok(self)
    }

    fn json(self) -> Result<Value> {
        let answer = self.ok()?;
        ensure!(answer.head.contains("content-type: application/json"), "{}", answer.head);
        serde_json::from_str(&answer.body).with_context(|| answer.body.clone())
    }
}

fn send(port: u16, request: &str) -> Result<Answer> {
    let mut stream = frame::connect(port, LIMIT)?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no end of the head")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}

fn get(port: u16, target: &str) -> Result<Answer> {
    send(port, &format!("GET {target} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"))
}

fn health(port: u16) -> Result<()> {
    ensure!(get(port, "/livez")?.ok()?.body == "ok: node 1 RUNNING\n");
    let ready = get(port, "/readyz")?.ok()?.body;
    ensure!(ready.starts_with("ready\n"), "{ready}");
    ensure!(ready.contains("1 controller: no fault tolerance for metadata"), "{ready}");
    ensure!(get(port, "/v1/broker-state")?.ok()?.body == "3\n");
    let told = get(port, "/healthz?verbose")?.json()?;
    ensure!(told["is_ready"] == true && told["quorum"]["leader"] == 1, "{told}");
    Ok(())
}

/// The value of a figure, whose labels are written as they stand.
fn figure(text: &str, name: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.with_context(|| format!("no {name} in\n{text}"))?.parse().with_context(|| name.to_owned())
}

fn metrics(port: u16) -> Result<()> {
    let answer = get(port, "/metrics")?.ok()?;
    ensure!(answer.head.contains("text/plain; version=0.0.4"), "{}", answer.head);
    let text = answer.body;
    for (name, value) in [
        ("kafka_server_brokertopicmetrics_messagesin_total{topic=\"letters\"}", 4.0),
        ("kafka_server_replicamanager_leadercount", 1.0),
        ("kafka_server_replicamanager_underreplicatedpartitions", 0.0),
        ("kafka_controller_kafkacontroller_activecontrollercount", 1.0),
        ("kafka_controller_kafkacontroller_globaltopiccount", 1.0),
        ("kafka_server_raftmetrics_current_state{state=\"leader\"}", 1.0),
        ("kafka_log_log_logendoffset{topic=\"letters\",partition=\"0\"}", 4.0),
        ("kafka_topic_partition_current_offset{topic=\"letters\",partition=\"0\"}", 4.0),
        ("kafka_cluster_partition_insyncreplicascount{topic=\"letters\",partition=\"0\"}", 1.0),
        ("kafka_brokers", 1.0),
    ] {
        let found = figure(&text, name)?;
        ensure!(found == value, "{name} is {found}, not {value}");
    }
    // The creation of the topic asked with an empty set of records, perhaps more than once.
    let produced =
        figure(&text, "kafka_server_brokertopicmetrics_totalproducerequests_total{topic=\"letters\"}")?;
    ensure!(produced >= 3.0, "{produced}");
    ensure!(figure(&text, "kafka_network_requestmetrics_requests_total{request=\"Produce\"}")? >= produced);
    ensure!(figure(&text, "process_resident_memory_bytes")? > 1e6);
    // A family is named once, before its figures.
    let mut families: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let all = families.len();
    families.sort_unstable();
    families.dedup();
    ensure!(families.len() == all && all > 40, "{all} families, {} of them different", families.len());
    Ok(())
}

fn api(port: u16) -> Result<()> {
    let topics = get(port, "/api/topics")?.json()?;
    ensure!(topics["topics"][0]["name"] == "letters" && topics["topics"][0]["records"] == 4, "{topics}");
    let topic = get(port, "/api/topics/letters")?.json()?;
    let first = &topic["partitions"][0];
    ensure!(first["leader"] == 1 && first["in_sync"] == serde_json::json!([1]), "{topic}");
    ensure!(first["first_offset"] == 0 && first["next_offset"] == 4, "{topic}");
    let seen = get(port, "/api/topics/letters/messages?limit=2&from=earliest")?.json()?;
    ensure!(seen["messages"].as_array().is_some_and(|all| all.len() == 2), "{seen}");
    let seen = get(port, "/api/topics/letters/messages?contains=alert")?.json()?;
    ensure!(seen["scanned"] == 4 && seen["matched"] == 1, "{seen}");
    ensure!(seen["messages"][0]["value"]["text"] == MARKUP && seen["messages"][0]["offset"] == 3, "{seen}");
    let configs = get(port, "/api/nodes/1/configs")?.json()?;
    ensure!(configs.as_array().is_some_and(|all| all.len() > 100), "{configs}");
    let overview = get(port, "/api/overview")?.json()?;
    ensure!(
        overview["cluster"]["health"] == "healthy" && overview["traffic"]["messages_in"] == 4,
        "{overview}"
    );
    ensure!(get(port, "/api/topics/none")?.status == 404);
    ensure!(get(port, "/api/topics/letters/messages?partition=7")?.status == 404);
    ensure!(get(port, "/api/topics/letters/messages?from=yesterday")?.status == 400);
    Ok(())
}

fn page(port: u16) -> Result<()> {
    let page = get(port, "/")?.ok()?;
    ensure!(page.head.contains("text/html") && page.body.contains("<html"), "{}", page.head);
    ensure!(page.head.contains("default-src 'none'") && page.head.contains("nosniff"), "{}", page.head);
    for part in page.body.split(['"', '\'']).filter(|part| part.contains('/') && !part.contains(' ')) {
        if part.starts_with('/') && part.contains('.') {
            let loaded = get(port, part)?.ok()?;
            let text = loaded.body.replace("http://www.w3.org/2000/svg", "");
            ensure!(!text.contains("http://") && !text.contains("https://"), "{part} names another place");
            ensure!(!text.contains("innerHTML") && !text.contains("eval("), "{part} makes text to markup");
        }
    }
    ensure!(!page.body.contains("//"), "the page names another place");
    Ok(())
}

fn strangers(port: u16) -> Result<()> {
    let ask = |line: &str, headers: &str| {
        send(port, &format!("{line} HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n"))
    };
    ensure!(
        ask("GET /api/topics", "Host: evil.example")?.status == 421,
        "a name that was made to point here"
    );
    ensure!(ask("GET /", &format!("Host: evil.example:{port}"))?.status == 421);
    let origin = format!("Host: localhost:{port}\r\nOrigin: http://evil.example");
    ensure!(ask("GET /api/topics", &origin)?.status == 403, "a page of another origin");
    ensure!(ask("POST /api/topics", &format!("Host: localhost:{port}"))?.status == 405);
    ensure!(ask("GET /metrics", "Host: node-1.monitoring")?.status == 200, "a scraper's name for it");
    ensure!(ask("GET /readyz", "Host: node-1.monitoring")?.status == 200);
    Ok(())
}

fn idlers(port: u16) -> Result<()> {
    let mut held: Vec<TcpStream> = Vec::new();
    for _ in 0..40 {
        held.push(frame::connect(port, LIMIT)?);
    }
    let mut endless = frame::connect(port, LIMIT)?;
    let line = format!("X-Long: {}\r\n", "x".repeat(1000));
    endless.write_all(b"GET /livez HTTP/1.1\r\n")?;
    let start = Instant::now();
    loop {
        // Refused while it writes, or afterwards.
        if endless.write_all(line.as_bytes()).is_err() {
            break;
        }
        endless.set_read_timeout(Some(Duration::from_millis(5)))?;
        match endless.read(&mut [0; 256]) {
            Ok(_) => break,
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
        ensure!(start.elapsed() < LIMIT, "a head without end is read on and on");
    }
    get(port, "/livez")?.ok()?;
    drop(held);
    Ok(())
}

fn bomb(server: &Server, port: u16) -> Result<()> {
    let at = server.site.port;
    batch::create_topic(at, "bombs", 1)?;
    let (code, _) = batch::produce(at, "bombs", &of_zeros(120_000_000))?;
    ensure!(code == 0, "the broker takes what it would take too much to look into, error {code}");
    let seen = get(port, "/api/topics/bombs/messages?from=earliest")?.json()?;
    ensure!(seen["troubles"].as_array().is_some_and(|all| !all.is_empty()), "{seen}");
    let used = resident_mib(server.pid())?;
    ensure!(used < 100.0, "{used:.0} MiB after a look at it");
    Ok(())
}

fn waiting() -> Result<()> {
    let mut nodes = Nodes::make(System::Ottla, "it-ops-waiting", Shape::Combined(2), Voters::Static)?;
    nodes.configure(1, &[("ottla.ops.listener", "127.0.0.1:0")])?;
    nodes.start(1)?;
    let start = Instant::now();
    let port = loop {
        if let Some(port) = said(&nodes.node(1).log()) {
            break port;
        }
        ensure!(start.elapsed() < LIMIT, "no port: {}", nodes.node(1).log());
        std::thread::sleep(Duration::from_millis(20));
    };
    let waits = "Waiting for controller quorum: 1 of 2 reachable, need 2. Missing: 2@localhost:";
    loop {
        // Before the port is open there is no answer at all.
        if let Ok(answer) = get(port, "/readyz") {
            ensure!(answer.status == 503, "ready without a quorum: {}", answer.body);
            if answer.body.contains(waits) {
                ensure!(
                    answer.body.contains("2 controllers tolerate no failure; use 1 or 3"),
                    "{}",
                    answer.body
                );
                break;
            }
        }
        if start.elapsed() > LIMIT {
            bail!("/readyz does not say `{waits}`:\n{}", nodes.node(1).log());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    ensure!(get(port, "/livez")?.ok()?.body.contains("STARTING"));
    ensure!(get(port, "/api/topics")?.status == 503);
    let overview = get(port, "/api/overview")?.json()?;
    ensure!(overview["error"].as_str().is_some_and(|error| error.contains("Waiting for")), "{overview}");
    nodes.start(2)?;
    nodes.ready()?;
    while get(port, "/readyz")?.status != 200 {
        ensure!(start.elapsed() < LIMIT * 2, "never ready: {}", get(port, "/readyz")?.body);
        std::thread::sleep(Duration::from_millis(20));
    }
    ensure!(!get(port, "/readyz")?.body.contains("Waiting"), "it waits for nothing any more");
    nodes.kill(2)?;
    loop {
        let answer = get(port, "/readyz")?;
        ensure!(answer.status == 200, "a broker serves what it leads: {}", answer.body);
        if answer.body.contains(&format!("note: {waits}")) {
            break;
        }
        ensure!(start.elapsed() < LIMIT * 2, "the lost quorum is not told: {}", answer.body);
        std::thread::sleep(Duration::from_millis(20));
    }
    let overview = get(port, "/api/overview")?.json()?;
    ensure!(overview["cluster"]["health"] != "healthy", "{overview}");
    nodes.no_panic()
}
