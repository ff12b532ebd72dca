//! The consumer's embedded protocol, as far as the coordinator must understand it: which topics a member
//! subscribes to. Everything else in it is between the members.

use ottla_protocol::consumer_protocol::consumer_protocol_subscription::ConsumerProtocolSubscription;
use ottla_protocol::wire::{DecodeError, Message, Reader};

/// The protocol type of consumers.
pub(crate) const CONSUMER: &str = "consumer";

/// The topics of a subscription (`i16` version, then the message).
///
/// Whatever version it claims, it is read by version 0: later versions only add fields at the end, so a
/// newer client is understood, too (Kafka's `ClassicGroup.computeSubscribedTopics`).
pub(crate) fn topics(subscription: &[u8]) -> Result<Vec<String>, DecodeError> {
    let mut r = Reader::new(subscription, 0, false);
    r.i16()?;
    Ok(ConsumerProtocolSubscription::read(&mut r)?.topics)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn every_version_is_read_by_its_prefix() {
        let subscription = ConsumerProtocolSubscription {
            topics: vec!["a".into(), "b".into()],
            user_data: Some(Bytes::from_static(b"mine")),
            generation_id: 7,
            rack_id: Some("r".into()),
            ..Default::default()
        };
        for version in 0..=3 {
            let mut bytes = i16::to_be_bytes(version).to_vec();
            subscription.encode(&mut bytes, version).unwrap();
            assert_eq!(topics(&bytes).unwrap(), ["a", "b"]);
            bytes.extend(b"of a later version");
            assert_eq!(topics(&bytes).unwrap(), ["a", "b"]);
        }
        assert!(topics(b"").is_err());
        assert!(topics(b"\0\x01\x7f\xff\xff\xff").is_err());
    }
}
