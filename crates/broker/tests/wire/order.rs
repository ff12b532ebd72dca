//! Answers come in the order of the requests, however the bytes arrive and whoever else is there.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use ottla_protocol::messages::{ApiVersionsRequest, FetchRequest, MetadataRequest, ProduceRequest};
use ottla_protocol::{ApiKey, ErrorCode};

use crate::fetch::{fetch, part};
use crate::support::{Server, batch, code, decode, frame, produce};

fn versions() -> ApiVersionsRequest {
    let (name, version) = ("test".to_owned(), "1".to_owned());
    ApiVersionsRequest { client_software_name: name, client_software_version: version }
}

#[test]
fn what_waits_holds_back_what_follows() {
    let server = Server::start();
    server.topic("t", 1, &[]);
    let mut client = server.client();
    // It waits for longer than this test does.
    let wait = FetchRequest { max_wait_ms: 600_000, min_bytes: 1, ..fetch(&[part("t", 0, 0)]) };
    let bytes = [frame(1, 3, &versions()), frame(2, 12, &wait), frame(3, 3, &versions())].concat();
    client.write(&bytes);
    assert_eq!(decode::<ApiVersionsRequest>(&client.receive_bytes(), 3).0, 1, "not held back by the second");
    server.client().ask(9, &produce("t", 0, 1, batch(&["what it waits for"])));
    assert_eq!(decode::<FetchRequest>(&client.receive_bytes(), 12).0, 2, "held back the third");
    assert_eq!(decode::<ApiVersionsRequest>(&client.receive_bytes(), 3).0, 3);
}

#[test]
fn produce_requests_that_wait_for_the_disk_are_answered_in_order_even_to_who_sends_no_more() {
    let server = Server::start();
    server.topic("t", 1, &[("flush.messages", "1")]);
    let mut client = server.client();
    const COUNT: i32 = 200;
    let mut bytes = Vec::new();
    for id in 0..COUNT {
        // What is refused at once waits for its turn, too; so does what is no Produce.
        let (topic, acks) = (if id % 10 == 3 { "none" } else { "t" }, if id % 2 == 0 { -1 } else { 1 });
        bytes.extend(frame(id, 9, &produce(topic, 0, acks, batch(&["one"]))));
        if id % 50 == 49 {
            bytes.extend(frame(1000 + id, 3, &versions()));
        }
    }
    client.write(&bytes);
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut offset = 0;
    for id in 0..COUNT {
        let (answered, response) = decode::<ProduceRequest>(&client.receive_bytes(), 9);
        assert_eq!(answered, id);
        let partition = &response.responses[0].partition_responses[0];
        if id % 10 == 3 {
            assert_eq!(partition.error_code, code(ErrorCode::UnknownTopicOrPartition));
        } else {
            assert_eq!((partition.error_code, partition.base_offset), (0, offset));
            offset += 1;
        }
        if id % 50 == 49 {
            assert_eq!(decode::<ApiVersionsRequest>(&client.receive_bytes(), 3).0, 1000 + id);
        }
    }
    assert!(client.is_closed());
}

#[test]
fn a_frame_may_be_cut_anywhere() {
    let server = Server::start();
    let mut client = server.client();
    let all = MetadataRequest { topics: None, ..Default::default() };
    let bytes = [frame(1, 3, &versions()), frame(2, 12, &all), frame(3, 1, &all)].concat();
    let check = |client: &mut crate::support::Client| {
        assert_eq!(decode::<ApiVersionsRequest>(&client.receive_bytes(), 3).0, 1);
        assert_eq!(decode::<MetadataRequest>(&client.receive_bytes(), 12).0, 2);
        assert_eq!(decode::<MetadataRequest>(&client.receive_bytes(), 1).0, 3);
    };
    for cut in 1..bytes.len() {
        client.write(&bytes[..cut]);
        std::thread::sleep(Duration::from_micros(300));
        client.write(&bytes[cut..]);
        check(&mut client);
    }
    for byte in &bytes {
        client.write(&[*byte]);
    }
    check(&mut client);
}

#[test]
fn long_frames_that_come_in_pieces_stay_apart_from_each_other_and_from_other_connections() {
    let server = Server::with("num.network.threads=1");
    server.topic("t", 2, &[]);
    let mut clients = [server.client(), server.client()];
    // Shorter and longer than what is carried, read at once, and kept for the next one.
    let sizes = [100, 30_000, 40_000, 300_000, 900_000, 20_000, 600_000];
    for piece in [5_000, 33_000, 100_000, 270_000] {
        let bytes = [0, 1].map(|client: i32| {
            let letter = ["a", "b"][client as usize];
            let frame = |(id, size)| frame(id, 9, &produce("t", client, 1, batch(&[&letter.repeat(size)])));
            (0..).zip(sizes).flat_map(frame).collect::<Vec<u8>>()
        });
        for (one, two) in bytes[0].chunks(piece).zip(bytes[1].chunks(piece)) {
            clients[0].write(one);
            clients[1].write(two);
        }
        for client in &mut clients {
            for id in 0..sizes.len() as i32 {
                let (answered, response) = decode::<ProduceRequest>(&client.receive_bytes(), 9);
                // Each batch has its checksum: with a byte of another it would not be taken.
                assert_eq!((answered, response.responses[0].partition_responses[0].error_code), (id, 0));
            }
        }
    }
}

#[test]
fn thousands_in_one_write_are_answered_in_order() {
    let server = Server::start();
    let mut client = server.client();
    const COUNT: i32 = 3000;
    let bytes: Vec<u8> = (0..COUNT).flat_map(|id| frame(id, 3, &versions())).collect();
    let mut writer = client.stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || std::io::Write::write_all(&mut writer, &bytes).unwrap());
    for id in 0..COUNT {
        assert_eq!(decode::<ApiVersionsRequest>(&client.receive_bytes(), 3).0, id);
    }
    sender.join().unwrap();
}

#[test]
fn a_flood_on_one_connection_does_not_stop_the_others() {
    let server = Server::with("num.network.threads=1");
    server.topic("flood", 1, &[]);
    let mut client = server.client();
    let request = frame(1, 9, &produce("flood", 0, 0, batch(&[&"x".repeat(1000)])));
    let flood: Vec<u8> = request.repeat(500);
    let (sent, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut client = std::thread::scope(|scope| {
        let flooder = scope.spawn(|| {
            while !is_over.load(Relaxed) {
                client.write(&flood);
                sent.fetch_add(500, Relaxed);
            }
            client
        });
        // The flood lasts until the others were served: if they had to wait for its end, this would not end.
        for _ in 0..20 {
            let before = sent.load(Relaxed);
            server.assert_serves();
            while sent.load(Relaxed) == before {
                std::thread::yield_now();
            }
        }
        is_over.store(true, Relaxed);
        flooder.join().unwrap()
    });
    let sent = sent.into_inner();
    // The connection is whole: acks=0 has no answers, the next request has one.
    client.write(&frame(7, 3, &versions()));
    assert_eq!(decode::<ApiVersionsRequest>(&client.receive_bytes(), 3).0, 7);
    let mut reader = server.client();
    let read = reader.ask(12, &fetch(&[part("flood", 0, 0)]));
    assert_eq!(read.responses[0].partitions[0].high_watermark, sent as i64);
}

#[test]
fn answers_made_before_a_broken_request_still_leave() {
    let server = Server::start();
    let mut client = server.client();
    let mut bytes = frame(1, 3, &versions());
    bytes.extend(crate::support::framed(ApiKey::Metadata, 12, 2, &[0xff; 3]));
    client.write(&bytes);
    assert_eq!(decode::<ApiVersionsRequest>(&client.receive_bytes(), 3).0, 1);
    assert!(client.is_closed());
}
