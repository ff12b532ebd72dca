//! Values, defaults and complaints of a client's configuration.

use super::*;

#[test]
fn a_file_then_overrides() {
    let mut properties =
        Properties::parse("client.properties", b"acks = 1\n# no\nlinger.ms: 7\nacks=0\n").unwrap();
    assert_eq!(properties.get("acks"), Some("0"));
    properties.set_pair("client.id=a=b").unwrap();
    properties.extend(&Properties::new().with("linger.ms", "9"));
    properties.set_default("linger.ms", "1");
    assert_eq!(properties.get("client.id"), Some("a=b"));
    assert_eq!(properties.long("linger.ms"), Ok(9));
    assert!(properties.set_pair("nothing").is_err());
}

#[test]
fn defaults_are_those_of_kafka() {
    let none = Properties::new();
    assert_eq!(none.text("acks"), "all");
    assert_eq!(none.int("batch.size"), Ok(16384));
    assert_eq!(none.long("linger.ms"), Ok(5));
    assert_eq!(none.bool("enable.idempotence"), Ok(true));
    assert_eq!(none.millis("session.timeout.ms"), Ok(Duration::from_secs(45)));
    for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
        check(key, key.default).unwrap_or_else(|error| panic!("the default of {}: {error}", key.name));
    }
}

#[test]
fn complaints_are_worded_as_kafka_words_them() {
    let complaint = |key: &str, value: &str, role| {
        Properties::new().with(key, value).check(role).unwrap_err().to_string()
    };
    assert_eq!(
        complaint("linger.ms", "soon", Role::Producer),
        "Invalid value soon for configuration linger.ms: Not a number of type LONG"
    );
    assert_eq!(
        complaint("acks", "2", Role::Producer),
        "Invalid value 2 for configuration acks: String must be one of: all, -1, 0, 1"
    );
    assert_eq!(
        complaint("fetch.min.bytes", "-1", Role::Consumer),
        "Invalid value -1 for configuration fetch.min.bytes: Value must be at least 0"
    );
    assert!(
        complaint("security.protocol", "SASL_SSL", Role::Admin).contains("not served by this release yet")
    );
}

#[test]
fn unknown_keys_are_named_with_the_one_that_was_meant() {
    let properties =
        Properties::new().with("lingr.ms", "5").with("ssl.keystore.location", "x").with("acks", "1");
    let unknown = properties.check(Role::Producer).unwrap();
    assert_eq!(unknown, [Unknown { key: "lingr.ms".to_owned(), nearest: Some("linger.ms") }]);
    assert!(unknown[0].to_string().contains("did you mean 'linger.ms'?"));
    let unknown = properties.check(Role::Consumer).unwrap();
    assert!(unknown.iter().any(|unknown| unknown.key == "acks"), "a consumer has no acks");
}
