//! Who may ask. The port needs no password, so what a browser is made to ask by a page of somebody else must not get
//! an answer: a name that was made to point here (DNS rebinding) is not one of this node's, and a page of another
//! origin says so.

use std::net::IpAddr;

use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, ORIGIN, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

/// Paths for programs that probe and scrape; they tell nothing of what is in the cluster's records, and are reached by
/// whatever name a machine has.
const OPEN: [&str; 3] = ["/livez", "/metrics", "/readyz"];

/// The names by which this node may be asked, in lower case, besides addresses and `localhost`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(Vec<String>);

impl Names {
    pub(crate) fn new(names: impl IntoIterator<Item = String>) -> Names {
        Names(names.into_iter().map(|name| canonical(&name)).filter(|name| !name.is_empty()).collect())
    }

    /// Whether `host` is this node's: an address cannot be rebound, a name can.
    fn has(&self, host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = canonical(bare);
        bare.parse::<IpAddr>().is_ok()
            || name == "localhost"
            || name.ends_with(".localhost")
            || self.0.contains(&name)
    }
}

fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) why: String,
}

fn refused(status: StatusCode, why: impl Into<String>) -> Result<(), Refused> {
    Err(Refused { status, why: why.into() })
}

/// Looks at the head of a request.
pub(crate) fn check(head: &Parts, names: &Names) -> Result<(), Refused> {
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return refused(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD: everything here is read only");
    }
    let has_body = head.headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    if has_body || head.headers.contains_key(TRANSFER_ENCODING) {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, "a request here has no body");
    }
    if OPEN.contains(&head.uri.path()) {
        return Ok(());
    }
    let host = asked_host(head)?;
    if !names.has(name_of(&host)) {
        let why = format!(
            "{} is no name of this node: ask by address, by localhost, or by a name in ottla.ops.listener or advertised.listeners",
            name_of(&host)
        );
        return refused(StatusCode::MISDIRECTED_REQUEST, why);
    }
    same_origin(&head.headers, &host)
}

/// The host that is asked, with its port where there is one: that of the target, else the one Host header.
fn asked_host(head: &Parts) -> Result<String, Refused> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(one), None) => one.to_str().ok().map(str::to_owned),
        _ => None,
    };
    let host = match head.uri.authority() {
        // Whoever names both must mean the same.
        Some(authority) => host.filter(|host| host == authority.as_str()),
        None => host,
    };
    host.ok_or(Refused { status: StatusCode::BAD_REQUEST, why: "one Host header is needed".to_owned() })
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    if host.starts_with('[') {
        return host.find(']').map_or(host, |end| &host[..=end]);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn same_origin(headers: &HeaderMap, host: &str) -> Result<(), Refused> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(origin) = headers.get(ORIGIN) {
        let bare = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")));
        if bare.is_none_or(|bare| !bare.eq_ignore_ascii_case(host)) {
            return refused(StatusCode::FORBIDDEN, "a page of another origin may not ask");
        }
    }
    // A link from elsewhere may lead here; what a page from elsewhere loads may not.
    let is_foreign = matches!(text("sec-fetch-site"), Some(site) if site != "same-origin" && site != "none");
    if is_foreign && text("sec-fetch-mode") != Some("navigate") {
        return refused(StatusCode::FORBIDDEN, "a page of another site may not ask");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn asked(method: &str, path: &str, headers: &[(&str, &str)]) -> Result<(), u16> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).expect("a request").into_parts();
        let names = Names::new(["Kafka1.example.com".to_owned(), String::new()]);
        check(&head, &names).map_err(|refused| refused.status.as_u16())
    }

    fn by_host(host: &str) -> Result<(), u16> {
        asked("GET", "/api/overview", &[("host", host)])
    }

    #[test]
    fn only_names_of_the_node_are_answered() {
        for own in [
            "localhost",
            "localhost:8781",
            "LOCALHOST.:8781",
            "app.localhost:1",
            "127.0.0.1:8781",
            "[::1]:8781",
            "[::1]",
            "10.1.2.3",
            "kafka1.example.com:8781",
        ] {
            assert_eq!(by_host(own), Ok(()), "{own}");
        }
        for foreign in [
            "evil.example",
            "evil.example:8781",
            "127.0.0.1.evil.example",
            "localhost.evil.example:8781",
            "kafka1.example.com.evil.example",
            "",
            ":8781",
            "[::1",
        ] {
            assert_eq!(by_host(foreign), Err(421), "{foreign}");
        }
    }

    #[test]
    fn probes_and_scrapers_may_use_any_name() {
        for path in OPEN {
            assert_eq!(asked("GET", path, &[("host", "kafka-0.kafka.svc:8781")]), Ok(()), "{path}");
            assert_eq!(asked("GET", path, &[]), Ok(()), "{path}");
        }
        assert_eq!(asked("GET", "/healthz", &[("host", "kafka-0.kafka.svc:8781")]), Err(421));
        assert_eq!(asked("GET", "/metrics/", &[("host", "evil.example")]), Err(421));
    }

    #[test]
    fn one_host_is_needed_and_the_target_may_not_say_another() {
        assert_eq!(asked("GET", "/", &[]), Err(400));
        assert_eq!(asked("GET", "/", &[("host", "localhost"), ("host", "evil.example")]), Err(400));
        assert_eq!(asked("GET", "http://localhost/", &[("host", "localhost")]), Ok(()));
        assert_eq!(asked("GET", "http://localhost/", &[("host", "evil.example")]), Err(400));
        assert_eq!(asked("GET", "http://evil.example/", &[("host", "evil.example")]), Err(421));
    }

    #[test]
    fn pages_of_others_get_nothing() {
        let from = |headers: &[(&str, &str)]| {
            let all: Vec<_> = [("host", "localhost:8781")].iter().chain(headers).copied().collect();
            asked("GET", "/api/overview", &all)
        };
        assert_eq!(from(&[("origin", "http://localhost:8781")]), Ok(()));
        assert_eq!(from(&[("origin", "http://localhost:3000")]), Err(403));
        assert_eq!(from(&[("origin", "http://evil.example")]), Err(403));
        assert_eq!(from(&[("origin", "null")]), Err(403));
        assert_eq!(from(&[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")]), Ok(()));
        assert_eq!(from(&[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors")]), Err(403));
        assert_eq!(from(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]), Ok(()));
    }

    #[test]
    fn nothing_is_written() {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            assert_eq!(asked(method, "/livez", &[]), Err(405), "{method}");
        }
        assert_eq!(asked("GET", "/livez", &[("content-length", "1")]), Err(413));
        assert_eq!(asked("GET", "/livez", &[("content-length", "0")]), Ok(()));
        assert_eq!(asked("GET", "/livez", &[("transfer-encoding", "chunked")]), Err(413));
    }
}
