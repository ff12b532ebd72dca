//! Every message in every version: what the schema says, the generated code reads and writes byte for byte.

mod support;

use bytes::Bytes;
use ottla_protocol::messages::{FetchResponse, ProduceRequest, ProduceRequestView};
use ottla_protocol::wire::{Message as _, View as _};
use support::{each_value, generate, hex, messages};

#[test]
fn values_come_back_byte_for_byte() {
    let mut values = 0;
    each_value(20, |message, entry, version, value| {
        let again = (entry.recode)(value, version)
            .unwrap_or_else(|e| panic!("{} v{version}: {e}: {}", message.name, hex(value)));
        assert_eq!(hex(&again), hex(value), "{} v{version}", message.name);
        values += 1;
    });
    assert!(values > 14_000, "{values} values");
}

#[test]
fn every_request_has_a_view_that_reads_the_same_values() {
    let mut views = 0;
    each_value(10, |message, entry, version, value| {
        assert_eq!(entry.view.is_some(), message.kind == "request");
        if let Some(view) = entry.view {
            view(value, version, &mut String::new())
                .unwrap_or_else(|e| panic!("{} v{version}: {e}: {}", message.name, hex(value)));
            views += 1;
        }
    });
    assert!(views > 2_500, "{views} views");
}

#[test]
fn other_versions_are_refused() {
    for (message, entry) in messages() {
        for version in [message.versions.min - 1, message.versions.max + 1, -1, i16::MAX, i16::MIN] {
            let error = (entry.recode)(&[], version).expect_err(&message.name).to_string();
            assert!(error.contains("is not supported"), "{} v{version}: {error}", message.name);
        }
    }
}

/// KIP-482: a reader skips tags that it does not know. The last byte of the least flexible request or response is the
/// count of its tags, none, so that others can be put there.
#[test]
fn tags_of_the_future_are_skipped() {
    let mut checked = 0;
    for (message, entry) in messages() {
        for version in message.versions.min..=message.versions.max {
            let value = generate::values(&message, version, 1).expect("the least value").remove(0);
            if !message.flexible.has(version)
                || message.key.is_none()
                || message.kind.starts_with("coordinator")
            {
                continue;
            }
            let (last, body) = value.split_last().expect("a flexible message ends in its tags");
            assert_eq!(*last, 0, "{} v{version}", message.name);
            // Tag 9999, then tag 70000, of 3 and 0 bytes.
            let tags = [&[2][..], &[0x8f, 0x4e, 3, 1, 2, 3], &[0xf0, 0xa2, 0x04, 0]].concat();
            let extended = [body, &tags].concat();
            let again = (entry.recode)(&extended, version)
                .unwrap_or_else(|e| panic!("{} v{version}: {e}", message.name));
            assert_eq!(hex(&again), hex(&value), "{} v{version}", message.name);
            // A tag that claims more bytes than there are is refused.
            let tags = [&[1][..], &[0x8f, 0x4e, 4, 1, 2, 3]].concat();
            let short = [body, &tags].concat();
            (entry.recode)(&short, version).expect_err("a tag longer than the message");
            checked += 1;
        }
    }
    assert!(checked > 350, "{checked} messages and versions");
}

#[test]
fn trailing_bytes_are_refused() {
    each_value(2, |message, entry, version, value| {
        let longer = [value, &[0]].concat();
        let error = (entry.recode)(&longer, version).expect_err(&message.name).to_string();
        assert!(error.contains("left over"), "{} v{version}: {error}", message.name);
    });
}

#[test]
fn shared_decoding_copies_no_records() {
    let all = messages();
    for name in ["ProduceRequest", "FetchResponse"] {
        let (message, _) = all.iter().find(|(m, _)| m.name == name).expect(name);
        for version in message.versions.min..=message.versions.max {
            for value in generate::values(message, version, 20).expect("values") {
                let owner = Bytes::from(value);
                let inside = |part: &[u8]| part.is_empty() || owner.as_ptr_range().contains(&part.as_ptr());
                let again = if name == "ProduceRequest" {
                    let request = ProduceRequest::decode_sharing(&owner, version).expect(name);
                    let partitions = request.topic_data.iter().flat_map(|t| &t.partition_data);
                    for records in partitions.filter_map(|p| p.records.as_ref()) {
                        assert!(inside(records.as_bytes().expect("bytes in memory")));
                    }
                    request.to_vec(version)
                } else {
                    let response = FetchResponse::decode_sharing(&owner, version).expect(name);
                    let partitions = response.responses.iter().flat_map(|t| &t.partitions);
                    for records in partitions.filter_map(|p| p.records.as_ref()) {
                        assert!(inside(records.as_bytes().expect("bytes in memory")));
                    }
                    response.to_vec(version)
                };
                assert_eq!(
                    hex(&again.expect("what was decoded can be encoded")),
                    hex(&owner),
                    "{name} v{version}"
                );
            }
        }
    }
}

#[test]
fn a_view_and_the_owned_form_hold_the_same() {
    let all = messages();
    let (message, _) = all.iter().find(|(m, _)| m.name == "ProduceRequest").expect("ProduceRequest");
    for version in message.versions.min..=message.versions.max {
        for value in generate::values(message, version, 20).expect("values") {
            let view = ProduceRequestView::view(&value, version).expect("a view");
            let owned = ProduceRequest::decode(&value, version).expect("an owned request");
            assert_eq!(view.transactional_id, owned.transactional_id.as_deref());
            assert_eq!((view.acks, view.timeout_ms), (owned.acks, owned.timeout_ms));
            assert_eq!(view.topic_data.len(), owned.topic_data.len());
            for (v, o) in view.topic_data.iter().zip(&owned.topic_data) {
                assert_eq!((v.name, v.topic_id), (o.name.as_str(), o.topic_id));
                assert_eq!(v.partition_data.len(), o.partition_data.len());
                for (v, o) in v.partition_data.iter().zip(&o.partition_data) {
                    let records = o.records.as_ref().map(|r| &r.as_bytes().expect("bytes in memory")[..]);
                    assert_eq!((v.index, v.records), (o.index, records));
                }
            }
        }
    }
}
