//! What a node holds while strangers send it the worst they can, measured as the memory of this process.

#[path = "../wire/support.rs"]
#[allow(dead_code)]
mod support;

use std::io::Write;
use std::time::Duration;

use ottla_protocol::ApiKey;
use ottla_protocol::messages::MetadataRequest;
use support::{Server, framed};

/// Resident memory of this process, in MiB.
fn resident_mib() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096 / (1 << 20)
}

/// One test, so that nothing else is measured.
#[test]
fn strangers_make_a_node_hold_no_more_than_they_send() {
    let server = Server::with("auto.create.topics.enable=false\nconnections.max.idle.ms=60000");
    server.topic("t", 1, &[]);
    server.assert_serves();
    let before = resident_mib();
    let mut most = before;
    let mut look = |what: &str, allowed: usize| {
        std::thread::sleep(Duration::from_millis(30));
        let now = resident_mib();
        most = most.max(now);
        assert!(now <= before + allowed, "{what}: {before} MiB before, {now} MiB now");
    };

    // Lengths of 100 MB, of which almost nothing comes.
    let mut held = Vec::new();
    for n in 0..200 {
        // Fewer at once than the system's backlog holds.
        if n % 25 == 0 {
            server.assert_serves();
        }
        let mut client = server.client();
        client.write(&[&104_857_600i32.to_be_bytes()[..], &[0; 100]].concat());
        held.push(client);
    }
    look("announced frames", 30);
    held.clear();

    // Counts of 2^31-1, tags without end, names by the hundred thousand, in frames of up to 8 MB.
    let count = [0x7f, 0xff, 0xff, 0xff];
    let tags: Vec<u8> = [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0; 1_000_000]].concat();
    let short_names: Vec<u8> = [&1_000_000i32.to_be_bytes()[..], &[0, 1, b'a'].repeat(1_000_000)].concat();
    for _ in 0..5 {
        for (api, version, body) in [
            (ApiKey::Metadata, 1, &count[..]),
            (ApiKey::Metadata, 9, &tags[..]),
            (ApiKey::ApiVersions, 3, &tags[..]),
            (ApiKey::DescribeGroups, 0, &short_names[..]),
            (ApiKey::Metadata, 1, &short_names[..]),
            (ApiKey::OffsetForLeaderEpoch, 2, &short_names[..]),
        ] {
            let mut client = server.client();
            // The node may close before it has read all of it.
            let _ = client.stream.write_all(&framed(api, version, 1, body));
            let _ = client.is_closed();
        }
    }
    look("counts and names", 120);

    // Many that ask for everything and read nothing.
    let all = MetadataRequest { topics: None, ..Default::default() };
    let mut silent = Vec::new();
    for _ in 0..25 {
        let mut client = server.client();
        client.stream.set_nonblocking(true).unwrap();
        let bytes = support::frame(1, 1, &all).repeat(20_000);
        let _ = client.stream.write(&bytes);
        silent.push(client);
    }
    std::thread::sleep(Duration::from_millis(300));
    look("clients that do not read", 200);
    drop(silent);

    // More than a thousand that come and go.
    for _ in 0..60 {
        let visitors: Vec<_> = (0..20).map(|_| server.client()).collect();
        drop(visitors);
        server.assert_serves();
    }
    look("visitors", 150);
    assert!(most < before + 200);
}
