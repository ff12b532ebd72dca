//! Not a measurement, a tripwire: the quorum's own cost must be far below that of an fsync.

use std::time::Instant;

use bytes::Bytes;

use crate::node::{Node, fixed};

#[test]
fn ten_thousand_decisions_do_not_take_ten_seconds() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), fixed(1, &[1]));
    let started = Instant::now();
    let (sender, outcomes) = crossbeam_channel::unbounded();
    for _ in 0..10_000 {
        let sender = sender.clone();
        node.handle.propose(None, vec![Bytes::from_static(b"a metadata record")], move |result| {
            let _ = sender.send(result.is_ok());
        });
    }
    drop(sender);
    assert_eq!(outcomes.iter().filter(|committed| *committed).count(), 10_000);
    let spent = started.elapsed();
    assert!(spent.as_secs() < 10, "{spent:?}");
    node.stop();
}
