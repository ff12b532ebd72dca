//! The `kafka-protocol` crate as a second oracle, for the APIs and versions that it has (those of Kafka 4.1).

mod support;

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{self as theirs, ApiKey, RequestKind, ResponseKind};
use kafka_protocol::protocol::{Decodable, Encodable};
use support::{each_value, hex};

/// Values of every message and version.
const VALUES: usize = 20;

/// Versions that the crate's table names although its messages end before them: unstable ones in Kafka 4.1.
const ONLY_IN_THEIR_TABLE: [(&str, i16); 3] =
    [("InitProducerIdRequest", 6), ("OffsetCommitRequest", 10), ("OffsetFetchRequest", 10)];

/// What their code writes after it has read a value.
type Verdict = anyhow::Result<BytesMut>;

#[test]
fn requests_and_responses_agree() {
    let (mut requests, mut responses, mut wrong, mut lacking) = (0, 0, Vec::new(), BTreeSet::new());
    each_value(VALUES, |message, entry, version, value| {
        let Some(api) = message.key.and_then(|key| ApiKey::try_from(key).ok()) else { return };
        let versions = api.valid_versions();
        if !(versions.min..=versions.max).contains(&version) {
            return;
        }
        let mut input = Bytes::copy_from_slice(value);
        let verdict = match message.kind.as_str() {
            "request" => {
                requests += 1;
                RequestKind::decode(api, &mut input, version)
                    .and_then(|m| written(|out| m.encode(out, version)))
            }
            "response" => {
                responses += 1;
                ResponseKind::decode(api, &mut input, version)
                    .and_then(|m| written(|out| m.encode(out, version)))
            }
            _ => return,
        };
        if let Err(error) = &verdict
            && error.root_cause().to_string().contains("version not supported")
        {
            lacking.insert((message.name.clone(), version));
            return;
        }
        wrong.extend(judge(&message.name, entry, version, value, verdict, &input));
    });
    finish(&wrong, requests + responses);
    let lacking: Vec<(&str, i16)> = lacking.iter().map(|(name, version)| (name.as_str(), *version)).collect();
    assert_eq!(lacking, ONLY_IN_THEIR_TABLE);
    assert!(requests > 4_000 && responses > 4_000, "{requests} requests, {responses} responses");
}

#[test]
fn headers_and_records_agree() {
    let (mut count, mut wrong) = (0, Vec::new());
    each_value(VALUES, |message, entry, version, value| {
        let mut input = Bytes::copy_from_slice(value);
        let input = &mut input;
        let verdict = match message.name.as_str() {
            "RequestHeader" => recode::<theirs::RequestHeader>(input, version),
            "ResponseHeader" => recode::<theirs::ResponseHeader>(input, version),
            "ConsumerProtocolSubscription" => recode::<theirs::ConsumerProtocolSubscription>(input, version),
            "ConsumerProtocolAssignment" => recode::<theirs::ConsumerProtocolAssignment>(input, version),
            "DefaultPrincipalData" => recode::<theirs::DefaultPrincipalData>(input, version),
            "EndTxnMarker" => recode::<theirs::EndTxnMarker>(input, version),
            "KRaftVersionRecord" => recode::<theirs::KRaftVersionRecord>(input, version),
            // Not LeaderChangeMessage and VotersRecord: theirs take the field `Version` for the version being read.
            "SnapshotHeaderRecord" => recode::<theirs::SnapshotHeaderRecord>(input, version),
            "SnapshotFooterRecord" => recode::<theirs::SnapshotFooterRecord>(input, version),
            _ => return,
        };
        count += 1;
        wrong.extend(judge(&message.name, entry, version, value, verdict, input));
    });
    finish(&wrong, count);
    assert_eq!(count, VALUES * 17, "messages and versions");
}

fn recode<M: Decodable + Encodable>(input: &mut Bytes, version: i16) -> Verdict {
    let message = M::decode(input, version)?;
    written(|out| message.encode(out, version))
}

fn written(write: impl FnOnce(&mut BytesMut) -> anyhow::Result<()>) -> Verdict {
    let mut out = BytesMut::new();
    write(&mut out)?;
    Ok(out)
}

fn judge(
    name: &str,
    entry: &ottla_protocol::registry::Entry,
    version: i16,
    value: &[u8],
    verdict: Verdict,
    unread: &Bytes,
) -> Option<String> {
    let ours = (entry.recode)(value, version).unwrap_or_else(|e| panic!("{name} v{version}: {e}"));
    match verdict {
        Err(error) => Some(format!("{name} v{version}: {error:#}")),
        Ok(_) if !unread.is_empty() => Some(format!("{name} v{version}: {} bytes not read", unread.len())),
        Ok(theirs) if theirs != ours => {
            Some(format!("{name} v{version}: theirs {}\n  ours {}", hex(&theirs), hex(&ours)))
        }
        Ok(_) => None,
    }
}

fn finish(wrong: &[String], of: usize) {
    for line in wrong.iter().take(30) {
        println!("{line}");
    }
    assert!(wrong.is_empty(), "{} of {of} values differ", wrong.len());
}
