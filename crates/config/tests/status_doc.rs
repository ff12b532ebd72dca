//! What the documentation says of the configuration keys is what the table of keys says.
//!
//! `UPDATE_DOCS=1 cargo test -p ottla-config --test status_doc` writes it anew.

#[path = "../examples/keys.rs"]
mod keys_doc;

const BEGIN: &str = "<!-- keys: begin; UPDATE_DOCS=1 cargo test -p ottla-config --test status_doc -->\n";
const END: &str = "<!-- keys: end -->";

/// The block between the marks of `docs/<name>` is `expected`.
fn check(name: &str, expected: &str) {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the page is there");
    let (head, rest) = text.split_once(BEGIN).expect("the mark in front of the keys");
    let (block, tail) = rest.split_once(END).expect("the mark behind the keys");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{expected}{END}{tail}"))
            .expect("the page can be written");
        return;
    }
    let differs = block.lines().zip(expected.lines()).find(|(said, is)| said != is);
    assert!(block == expected, "docs/{name} is not the table of keys; UPDATE_DOCS=1 writes it: {differs:?}");
}

#[test]
fn the_reference_is_the_table() {
    check("CONFIGURATION.md", &keys_doc::reference());
}

#[test]
fn the_status_page_names_every_key() {
    check("STATUS.md", &keys_doc::summary());
}
