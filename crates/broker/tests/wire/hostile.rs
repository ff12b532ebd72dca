//! Frames that no client sends: the protocol's error where there is one, else the connection closes; the node goes on.

use ottla_protocol::messages::{ApiVersionsRequest, MetadataRequest};
use ottla_protocol::{ApiKey, ErrorCode};

use crate::support::{Server, code, decode, frame, framed};

/// Sends bytes on a new connection and expects it to be closed without an answer.
fn refused(server: &Server, what: &str, bytes: &[u8]) {
    let mut client = server.client();
    client.write(bytes);
    assert!(client.is_closed(), "{what}");
    server.assert_serves();
}

#[test]
fn lengths_that_are_none_close_the_connection() {
    let server = Server::with("socket.request.max.bytes=100000");
    for length in [-1, i32::MIN, i32::MAX, 100_001] {
        refused(&server, &format!("length {length}"), &[&length.to_be_bytes()[..], &[0; 100]].concat());
    }
    refused(&server, "no head", &[0, 0, 0, 0]);
    refused(&server, "half a head", &[0, 0, 0, 3, 0, 18, 0]);
    let mut longest = framed(ApiKey::ApiVersions, 0, 5, &[]);
    assert!(longest.len() < 100_000);
    longest.extend(framed(ApiKey::Metadata, 1, 6, &[0xff, 0xff, 0xff, 0xff]));
    let mut client = server.client();
    client.write(&longest);
    assert_eq!(decode::<ApiVersionsRequest>(&client.receive_bytes(), 0).0, 5);
    assert_eq!(decode::<MetadataRequest>(&client.receive_bytes(), 1).0, 6);
}

#[test]
fn keys_and_versions_that_nobody_has_close_the_connection() {
    let server = Server::start();
    for key in [-1i16, 4, 5, 6, 7, 93, 1000, i16::MAX] {
        let mut bytes = framed(ApiKey::Metadata, 1, 1, &[0; 4]);
        bytes[4..6].copy_from_slice(&key.to_be_bytes());
        refused(&server, &format!("key {key}"), &bytes);
    }
    for (api, version) in [
        (ApiKey::Metadata, 14),
        (ApiKey::Metadata, -1),
        (ApiKey::Produce, 2),
        (ApiKey::Fetch, 3),
        (ApiKey::Fetch, i16::MAX),
        (ApiKey::ListOffsets, 0),
    ] {
        refused(&server, &format!("{api:?} {version}"), &framed(api, version, 1, &[0; 30]));
    }
    // Of the controllers' and brokers' own requests, a client's listener serves none.
    refused(&server, "Vote", &framed(ApiKey::Vote, 0, 1, &[0; 30]));
    refused(&server, "BrokerHeartbeat", &framed(ApiKey::BrokerHeartbeat, 0, 1, &[0; 30]));
}

#[test]
fn unknown_versions_of_api_versions_are_answered_in_version_0() {
    let server = Server::start();
    for version in [5, 99, i16::MAX, -1] {
        let mut client = server.client();
        client.write(&framed(ApiKey::ApiVersions, version, 77, &[1, 2, 3]));
        let (id, answer) = decode::<ApiVersionsRequest>(&client.receive_bytes(), 0);
        assert_eq!((id, answer.error_code), (77, code(ErrorCode::UnsupportedVersion)));
        let told: Vec<_> =
            answer.api_keys.iter().map(|k| (k.api_key, k.min_version, k.max_version)).collect();
        assert_eq!(told, [(18, 0, 4)]);
        // The client may go on with what it was told.
        client.write(&frame(78, 0, &ApiVersionsRequest::default()));
        assert_eq!(decode::<ApiVersionsRequest>(&client.receive_bytes(), 0).1.error_code, 0);
    }
    for (name, expected) in [("", 42), ("-x", 42), ("a b", 42), ("x", 0)] {
        let request =
            ApiVersionsRequest { client_software_name: name.into(), client_software_version: "1".into() };
        assert_eq!(server.client().ask(4, &request).error_code, expected, "{name:?}");
    }
}

#[test]
fn counts_that_the_bytes_cannot_hold_close_the_connection() {
    let server = Server::start();
    refused(&server, "classic count", &framed(ApiKey::Metadata, 1, 1, &[0x7f, 0xff, 0xff, 0xff, 0, 1, b'a']));
    refused(&server, "negative count", &framed(ApiKey::Metadata, 1, 1, &[0x80, 0, 0, 0]));
    let compact = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
    for version in 9..=13 {
        refused(&server, "compact count", &framed(ApiKey::Metadata, version, 1, &compact));
    }
    refused(
        &server,
        "produce",
        &framed(ApiKey::Produce, 9, 1, &[&[0, 0, 1, 0, 0, 0, 0][..], &compact].concat()),
    );
    refused(&server, "fetch", &framed(ApiKey::Fetch, 12, 1, &[&[0xff; 21][..], &compact].concat()));
    refused(&server, "endless varint", &framed(ApiKey::Metadata, 9, 1, &[0xff; 40]));
    let groups = [0, 0xff, 0xff, 0xff, 0x7f];
    refused(&server, "groups", &framed(ApiKey::DescribeGroups, 5, 1, &groups));
}

#[test]
fn floods_of_tags_are_passed_over_or_refused() {
    let server = Server::start();
    let mut tags = vec![0x80, 0x80, 0x04];
    for tag in 0..65536u32 {
        tags.extend([0x80 | (tag & 0x7f) as u8, 0x80 | (tag >> 7 & 0x7f) as u8, (tag >> 14) as u8, 1, 0xaa]);
    }
    // In the body: a software name and version, then 65,536 fields that nobody knows.
    let body = [&[5, b't', b'e', b's', b't', 2, b'1'][..], &tags].concat();
    let mut client = server.client();
    client.write(&framed(ApiKey::ApiVersions, 3, 9, &body));
    assert_eq!(decode::<ApiVersionsRequest>(&client.receive_bytes(), 3).0, 9);
    let short = [5, b't', b'e', b's', b't', 2, b'1', 0xff, 0xff, 0xff, 0xff, 0x0f];
    refused(&server, "tags that are not there", &framed(ApiKey::ApiVersions, 3, 9, &short));
    let long = [5, b't', b'e', b's', b't', 2, b'1', 1, 0, 0xff, 0xff, 0xff, 0xff, 0x07];
    refused(&server, "a tag longer than all", &framed(ApiKey::ApiVersions, 3, 9, &long));
}

/// Bodies of small requests about `count` things each.
fn about_many(count: i32) -> [(ApiKey, i16, Vec<u8>); 3] {
    // Topics by names of three letters.
    let mut names = count.to_be_bytes().to_vec();
    for n in 0..count {
        names.extend([0, 3, b'a' + (n % 26) as u8, b'a' + (n / 26 % 26) as u8, b'0' + (n / 676 % 10) as u8]);
    }
    // Partitions of one topic, most of which there are not.
    let mut partitions = [&(-1i32).to_be_bytes()[..], &[0; 8], &[0, 0x10, 0, 0], &[0]].concat();
    partitions.extend([&1i32.to_be_bytes()[..], &[0, 1, b't'], &count.to_be_bytes()].concat());
    for n in 0..count {
        partitions.extend(n.to_be_bytes());
        partitions.extend([0; 12]);
    }
    // Offsets of one and the same partition.
    let mut offsets = [&[0, 1, b'g'][..], &[0xff; 4], &[0; 2], &[0xff; 8], &1i32.to_be_bytes()].concat();
    offsets.extend([&[0, 1, b't'][..], &count.to_be_bytes()].concat());
    offsets.extend([0; 14].repeat(count as usize));
    [(ApiKey::Metadata, 1, names), (ApiKey::Fetch, 4, partitions), (ApiKey::OffsetCommit, 2, offsets)]
}

#[test]
fn one_request_cannot_make_a_thousand_times_as_much() {
    let server = Server::with("auto.create.topics.enable=false");
    for (api, version, body) in about_many(600_000) {
        refused(&server, &format!("{api:?}"), &framed(api, version, 1, &body));
    }
    for (api, version, body) in about_many(5_000) {
        let mut client = server.client();
        client.write(&framed(api, version, 1, &body));
        assert!(client.receive_bytes().len() > 10_000, "{api:?}: what is no nonsense is answered");
    }
}
