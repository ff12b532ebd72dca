//! Valid values of every message in every version, from the schema alone.
//!
//! The parser of the schema and the interpreter that writes values are those of `cargo xtask`: nothing in them knows the
//! generated code that these tests judge.

#![allow(dead_code, unreachable_pub)]

#[path = "../../../../xtask/src/compat/wire/generate.rs"]
pub mod generate;
#[path = "../../../../xtask/src/codegen/schema.rs"]
pub mod schema;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use ottla_protocol::registry::{Entry, MESSAGES};
use schema::Message;

/// Every message of the schema, beside the generated code for it.
pub fn messages() -> Vec<(Message, &'static Entry)> {
    let mut files = Vec::new();
    schema_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("schema"), &mut files);
    files.sort();
    let entries: HashMap<&str, &'static Entry> = MESSAGES.iter().map(|entry| (entry.name, entry)).collect();
    let mut messages = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("the schema can be read");
        for message in schema::parse(&file.display().to_string(), &text).expect("the schema can be parsed") {
            let entry =
                entries.get(message.name.as_str()).unwrap_or_else(|| panic!("no code for {}", message.name));
            messages.push((message, *entry));
        }
    }
    assert_eq!(messages.len(), MESSAGES.len(), "messages of the schema and generated ones");
    messages
}

fn schema_files(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the schema's directory") {
        let path = entry.expect("a file of the schema").path();
        if path.is_dir() {
            schema_files(&path, files);
        } else if path.extension().is_some_and(|e| e == "schema") {
            files.push(path);
        }
    }
}

/// Calls `f` with `count` values of every message and version.
pub fn each_value(count: usize, mut f: impl FnMut(&Message, &Entry, i16, &[u8])) {
    for (message, entry) in messages() {
        for version in message.versions.min..=message.versions.max {
            for value in generate::values(&message, version, count).expect("values") {
                f(&message, entry, version, &value);
            }
        }
    }
}

/// Bytes in hexadecimal, for messages about failures.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
