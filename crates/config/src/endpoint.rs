//! Addresses as configuration files write them: `NAME://host:port` listeners, `id@host:port` voters,
//! `host:port` servers, and the map from listener names to security protocols.

use std::fmt;

/// How bytes are protected on a listener. The numbers are Kafka's ids on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i16)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext = 0,
    /// TLS.
    Ssl = 1,
    /// SASL without encryption.
    SaslPlaintext = 2,
    /// SASL over TLS.
    SaslSsl = 3,
}

impl SecurityProtocol {
    /// All four, in the order of their ids.
    pub const ALL: [Self; 4] = [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl];

    /// Kafka's name: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// The protocol of that name, whatever its case.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }

    /// The id in BrokerRegistration and in metadata records.
    #[must_use]
    pub fn id(self) -> i16 {
        self as i16
    }

    /// Whether clients authenticate with SASL.
    #[must_use]
    pub fn uses_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    /// Whether the connection is encrypted with TLS.
    #[must_use]
    pub fn uses_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }
}

/// One listener: a name, where it binds (or is advertised), and its protocol.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Listener {
    /// The name in upper case, as everything compares it.
    pub name: String,
    /// The host as written; `None` where it was left out: all interfaces for a listener, and for an
    /// advertised address the name of this machine.
    pub host: Option<String>,
    /// The port; 0 lets the system choose.
    pub port: u16,
    /// How it is protected.
    pub protocol: SecurityProtocol,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.name, host_port(self.host.as_deref().unwrap_or(""), self.port))
    }
}

/// `host:port`, an IPv6 address in brackets.
#[must_use]
pub fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// A host and a port that some node listens on, not resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Name or address; never empty for a voter that can be reached.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&host_port(&self.host, self.port))
    }
}

/// One entry of `controller.quorum.voters`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Voter {
    /// The node id of the controller.
    pub id: i32,
    /// Where its controller listener is.
    pub address: HostPort,
}

impl fmt::Display for Voter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.address)
    }
}

fn is_host_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '%' | '.' | '_' | ':')
}

/// Reads `host:port`, an IPv6 host with or without brackets, a `scheme://` before it ignored, with the rules
/// of Kafka's `Utils.getHost`.
///
/// # Errors
/// Names the part that cannot be read: `name` or `port`.
pub fn parse_host_port(text: &str) -> Result<HostPort, &'static str> {
    let address = match text.split_once("://") {
        Some((scheme, rest)) if scheme.chars().all(|c| is_host_char(c) && c != ':') => rest,
        Some(_) => return Err("name"),
        None => text,
    };
    let (host, port) = address.rsplit_once(':').ok_or("name")?;
    let host = unbracket(host);
    if !host.chars().all(is_host_char) || port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("name");
    }
    let port = port.parse().map_err(|_| "port")?;
    Ok(HostPort { host: host.to_owned(), port })
}

fn unbracket(host: &str) -> &str {
    let host = host.strip_prefix('[').unwrap_or(host);
    host.strip_suffix(']').unwrap_or(host)
}

/// Reads `id@host:port`.
///
/// # Errors
/// Kafka's message.
pub fn parse_voter(entry: &str) -> Result<Voter, String> {
    const KEY: &str = "controller.quorum.voters";
    const FORM: &str = "Each entry should be in the form `{id}@{host}:{port}`.";
    let mut parts = entry.split('@');
    let (Some(id), Some(address), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(format!("Invalid configuration value for {KEY}. {FORM}"));
    };
    let id = id.parse().map_err(|_| format!("Failed to parse voter ID as an integer from {id}"))?;
    let address = parse_host_port(address).map_err(|part| {
        format!("Failed to parse host {part} from entry {entry} for the configuration {KEY}. {FORM}")
    })?;
    Ok(Voter { id, address })
}

/// A listener entry split into its parts, before its name is looked up in the map of protocols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawListener {
    pub(crate) name: String,
    pub(crate) host: Option<String>,
    pub(crate) port: u16,
}

/// Reads `NAME://host:port` with the rules of Kafka's `SocketServerConfigs.listenerListToEndPoints`.
pub(crate) fn parse_listener(entry: &str) -> Result<RawListener, String> {
    let unreadable = || format!("Unable to parse {entry} to a broker endpoint");
    let (name, address) = entry.rsplit_once("://").ok_or_else(unreadable)?;
    let (host, port) = address.rsplit_once(':').ok_or_else(unreadable)?;
    let host = unbracket(host);
    let digits = port.strip_prefix('-').unwrap_or(port);
    if !host.chars().all(is_host_char) || digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(unreadable());
    }
    if name.trim().is_empty() {
        return Err("The provided listener name is null or empty string".to_owned());
    }
    let port = port.parse().map_err(|_| format!("{}: the port must be from 0 to 65535", unreadable()))?;
    let host = if host.is_empty() { None } else { Some(host.to_owned()) };
    Ok(RawListener { name: name.to_uppercase(), host, port })
}

/// Reads `key:value` pairs separated by commas, cut at the last colon of each, as Kafka's `Csv.parseCsvMap`.
///
/// # Errors
/// The entry that has no colon.
pub fn parse_map(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut out = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (key, value) = entry.rsplit_once(':').ok_or_else(|| entry.to_owned())?;
        out.push((key.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(name: &str, host: Option<&str>, port: u16) -> Result<RawListener, String> {
        Ok(RawListener { name: name.to_owned(), host: host.map(str::to_owned), port })
    }

    #[test]
    fn listeners() {
        assert_eq!(parse_listener("PLAINTEXT://:9092"), raw("PLAINTEXT", None, 9092));
        assert_eq!(parse_listener("plaintext://kafka1:9092"), raw("PLAINTEXT", Some("kafka1"), 9092));
        assert_eq!(parse_listener("SSL://[::1]:0"), raw("SSL", Some("::1"), 0));
        assert_eq!(parse_listener("SSL://::1:9092"), raw("SSL", Some("::1"), 9092));
        assert_eq!(parse_listener("A://0.0.0.0:1"), raw("A", Some("0.0.0.0"), 1));
        for bad in
            ["", "PLAINTEXT", "PLAINTEXT://host", "PLAINTEXT://ho st:1", "PLAINTEXT:/host:1", "A://h:x"]
        {
            assert_eq!(parse_listener(bad), Err(format!("Unable to parse {bad} to a broker endpoint")));
        }
        assert!(parse_listener("A://h:65536").unwrap_err().contains("65535"));
        assert!(parse_listener("A://h:-1").is_err());
        assert!(parse_listener("://h:1").unwrap_err().contains("listener name"));
    }

    #[test]
    fn voters() {
        let voter = parse_voter("1@kafka1.mydomain.com:9093").unwrap();
        assert_eq!((voter.id, voter.to_string().as_str()), (1, "1@kafka1.mydomain.com:9093"));
        assert_eq!(parse_voter("3000@[2001:db8::1]:9093").unwrap().to_string(), "3000@[2001:db8::1]:9093");
        assert!(parse_voter("x@h:1").unwrap_err().contains("Failed to parse voter ID as an integer from x"));
        assert!(parse_voter("h:1").unwrap_err().contains("in the form `{id}@{host}:{port}`"));
        assert!(parse_voter("1@h").unwrap_err().contains("Failed to parse host name from entry 1@h"));
        assert!(parse_voter("1@h:99999").unwrap_err().contains("Failed to parse host port"));
        // A host outside of ASCII, as in a tutorial that leaves a placeholder.
        assert!(parse_voter("0@외부IP:9093").unwrap_err().contains("Failed to parse host name"));
    }

    #[test]
    fn maps_are_cut_at_the_last_colon() {
        assert_eq!(
            parse_map(" a:1 , ::1:200 ").unwrap(),
            [("a".to_owned(), "1".to_owned()), ("::1".to_owned(), "200".to_owned())]
        );
        assert_eq!(parse_map("x"), Err("x".to_owned()));
        assert_eq!(parse_map(""), Ok(Vec::new()));
    }
}
