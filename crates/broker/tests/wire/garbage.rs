//! Every API in every version with bodies of rubbish: an answer or a closed connection, and nothing else happens.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use ottla_protocol::{APIS, ApiKey};

use crate::support::{Client, Server, framed};

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    /// Small numbers and short lengths: more of this passes for a request.
    fn plausible(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| if self.next().is_multiple_of(3) { (self.next() % 4) as u8 } else { 0 }).collect()
    }
}

/// What came back: an answer to request 1, or the end.
fn outcome(client: &mut Client, waits: bool, what: &str) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    if let Err(error) = client.stream.read_exact(&mut length) {
        let late = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(waits || !late, "neither answered nor closed: {what}");
        return None;
    }
    let mut bytes = vec![0; i32::from_be_bytes(length) as usize];
    client.stream.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes[..4], 1i32.to_be_bytes());
    Some(bytes)
}

#[test]
fn rubbish_in_every_api_and_version_harms_nobody() {
    let server = Server::with("auto.create.topics.enable=false\ndelete.topic.enable=false");
    let mut dice = Dice(20_260_101);
    let (mut answered, mut closed) = (0, 0);
    for api in APIS.iter().filter(|api| api.on_broker) {
        // These may have reason to wait, or to say nothing (acks=0).
        let waits =
            matches!(api.key, ApiKey::Produce | ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup);
        for version in api.min_version..=api.max_version {
            for length in [0, 1, 7, 40, 200, 3000] {
                for body in [dice.bytes(length), dice.plausible(length), vec![0; length], vec![0xff; length]]
                {
                    let mut client = server.client();
                    let patience = Duration::from_millis(if waits { 100 } else { 10_000 });
                    client.stream.set_read_timeout(Some(patience)).unwrap();
                    client.write(&framed(api.key, version, 1, &body));
                    match outcome(&mut client, waits, &format!("{:?} {version} {body:?}", api.key)) {
                        Some(_) => answered += 1,
                        None => closed += 1,
                    }
                }
            }
        }
    }
    assert!(answered > 100 && closed > 1000, "{answered} answered, {closed} closed");
    server.assert_serves();
}
