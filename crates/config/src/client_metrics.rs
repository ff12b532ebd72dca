//! The configuration of client metrics subscriptions (KIP-714): which clients push which metrics how often.

use crate::keys::client_metrics_key;
use crate::refusal::Refusal;
use crate::topic::Overrides;
use crate::value::{Value, split_list};

/// What a subscription may match clients by.
const MATCHERS: [&str; 6] = [
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// Checks the values a subscription shall have (Kafka's `ClientMetricsConfigs.validate`). The patterns of
/// `match` are regular expressions; whether they compile is for the room that will run them.
///
/// # Errors
/// The first thing that is wrong, in Kafka's words.
pub fn validate(subscription: &str, after: &Overrides) -> Result<(), Refusal> {
    if subscription.is_empty() {
        return Err(Refusal::request("Subscription name can't be empty"));
    }
    for name in after.keys() {
        if client_metrics_key(name).is_none() {
            return Err(Refusal::request(format!("Unknown client metrics configuration: {name}")));
        }
    }
    for (name, text) in after {
        let key = client_metrics_key(name).expect("CONFIG-10: the names were checked above");
        let value = key.parse(text).map_err(|error| Refusal::config(error.to_string()))?;
        match (name.as_str(), value) {
            ("interval.ms", Value::Integer(interval)) if !(100..=3_600_000).contains(&interval) => {
                return Err(Refusal::request(format!(
                    "Invalid value {interval} for interval.ms, interval must be between 100 and 3600000 (1 hour)"
                )));
            }
            ("match", Value::List(patterns)) => {
                for pattern in &patterns {
                    matcher(pattern)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The matchers of `match`: what is looked at, and the regular expression it must match.
///
/// # Errors
/// An entry that is no `name=pattern`, or a name that nothing is known by.
pub fn matchers(text: &str) -> Result<Vec<(String, String)>, Refusal> {
    split_list(text).iter().map(|entry| matcher(entry)).collect()
}

fn matcher(entry: &str) -> Result<(String, String), Refusal> {
    let illegal = || Refusal::config(format!("Illegal client matching pattern: {entry}"));
    let (name, pattern) = entry.split_once('=').ok_or_else(illegal)?;
    // Java's split leaves out what is empty at the end, and two parts are needed.
    let pattern = pattern.trim_end_matches('=');
    if pattern.is_empty() || pattern.contains('=') || !MATCHERS.contains(&name.trim()) {
        return Err(illegal());
    }
    Ok((name.trim().to_owned(), pattern.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(pairs: &[(&str, &str)]) -> Result<(), String> {
        let after = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        validate("s", &after).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn subscriptions_are_checked() {
        assert_eq!(
            checked(&[
                ("interval.ms", "100"),
                ("metrics", "*"),
                ("match", "client_id=a.*, client_source_port = 1")
            ]),
            Ok(())
        );
        assert_eq!(
            checked(&[("interval.ms", "99")]).unwrap_err(),
            "Invalid value 99 for interval.ms, interval must be between 100 and 3600000 (1 hour)"
        );
        assert_eq!(checked(&[("x", "1")]).unwrap_err(), "Unknown client metrics configuration: x");
        for bad in ["client_id", "client_id=", "who=me", "client_id=a=b"] {
            assert_eq!(
                checked(&[("match", bad)]).unwrap_err(),
                format!("Illegal client matching pattern: {bad}")
            );
        }
        assert!(validate("", &Overrides::new()).is_err());
    }
}
