//! A frame from a socket: the head, then the body of whatever request the head names. And any other message by number.

use std::fmt;

use ottla_protocol::frame::RequestHead;
use ottla_protocol::registry::{Entry, MESSAGES};

/// Takes text and keeps nothing.
struct Nowhere;

impl fmt::Write for Nowhere {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Ok(())
    }
}

/// A first byte of 0: a frame. Of 1: a message's number in the registry (two bytes), its version, its bytes.
pub fn frame(input: &[u8]) {
    match input {
        [0, frame @ ..] => {
            let Ok((head, body)) = RequestHead::read(frame) else { return };
            let entry = MESSAGES.iter().find(|entry| entry.view.is_some() && entry.key == head.api as i16);
            message(entry.expect("every API has a request"), head.version, body);
        }
        [1, high, low, version, bytes @ ..] => {
            let number = usize::from(u16::from_be_bytes([*high, *low]));
            message(&MESSAGES[number % MESSAGES.len()], i16::from(*version), bytes);
        }
        _ => {}
    }
}

fn message(entry: &Entry, version: i16, bytes: &[u8]) {
    let owned = (entry.recode)(bytes, version);
    if let Ok(again) = &owned {
        let third = (entry.recode)(again, version).expect("what was encoded can be decoded");
        assert_eq!(*again, third, "{} v{version}: encoding is stable", entry.name);
    }
    if let Some(view) = entry.view {
        let viewed = view(bytes, version, &mut Nowhere);
        // The owned form has a budget that a view does not need.
        if owned.is_ok() {
            viewed.expect("what is a message has a view");
        }
    }
}
