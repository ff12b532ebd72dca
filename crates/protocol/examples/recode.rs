//! Decodes and encodes again every value of a vectors file, and writes the table of APIs: our half of
//! `cargo xtask compat wire`, whose other half is Apache Kafka's own classes.
//!
//! `recode VECTORS APIS`

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;

use ottla_protocol::APIS;
use ottla_protocol::registry::{Entry, MESSAGES};

/// Failures that are shown.
const SHOWN: usize = 20;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let [_, vectors, apis] = &args[..] else {
        eprintln!("recode VECTORS APIS");
        return ExitCode::from(2);
    };
    fs::write(apis, api_lines()).expect("the table of APIs can be written");
    let bytes = fs::read(vectors).expect("the vectors can be read");
    let entries: HashMap<&str, &Entry> = MESSAGES.iter().map(|entry| (entry.name, entry)).collect();
    let (mut groups, mut passed, mut failed) = (0, 0, 0);
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let length = u16::from_be_bytes(array(take(&mut rest, 2)));
        let name = std::str::from_utf8(take(&mut rest, length.into())).expect("a name");
        let version = i16::from_be_bytes(array(take(&mut rest, 2)));
        let count = u32::from_be_bytes(array(take(&mut rest, 4)));
        groups += 1;
        for i in 0..count {
            let size = u32::from_be_bytes(array(take(&mut rest, 4)));
            let value = take(&mut rest, size as usize);
            match entries
                .get(name)
                .map_or(Err("no such message".to_owned()), |e| round_trip(e, version, value))
            {
                Ok(()) => passed += 1,
                Err(wrong) => {
                    failed += 1;
                    if failed <= SHOWN {
                        println!("rust: {name} v{version} value {i}: {wrong}\n    {}", hex(value));
                    }
                }
            }
        }
    }
    println!("rust: {groups} messages and versions: {passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn round_trip(entry: &Entry, version: i16, value: &[u8]) -> Result<(), String> {
    let again = (entry.recode)(value, version).map_err(|e| format!("cannot be recoded: {e}"))?;
    if again != value {
        return Err(format!("was written differently: {}", hex(&again)));
    }
    if let Some(view) = entry.view {
        view(value, version, &mut String::new()).map_err(|e| format!("has no view: {e}"))?;
    }
    Ok(())
}

fn api_lines() -> String {
    let mut out = String::new();
    for api in &APIS {
        for v in api.min_version..=api.max_version {
            let unstable = api.unstable_max && v == api.max_version;
            writeln!(
                out,
                "{} {} {v} unstable={unstable} broker={} controller={} request-header={} response-header={}",
                api.key as i16,
                api.name,
                api.on_broker,
                api.on_controller,
                api.key.request_header_version(v),
                api.key.response_header_version(v)
            )
            .expect("a String can be written to");
        }
    }
    out
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> &'a [u8] {
    let (head, tail) = rest.split_at(n);
    *rest = tail;
    head
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("as many bytes as were taken")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        write!(out, "{b:02x}").expect("a String can be written to");
        out
    })
}
