//! The table against Apache Kafka's own definitions, and the parser against `java.util.Properties`. Both need a
//! JDK, so they only run when asked for:
//!
//! `KAFKA_LIBS=<directory of Kafka's jars> cargo test -p ottla-config --test table_vs_jar -- --ignored`

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use ottla_config::key::{Check, Fallback, Importance, Key, Update};
use ottla_config::{Kind, Properties, keys};

fn libs() -> String {
    let libs = std::env::var("KAFKA_LIBS").expect("set KAFKA_LIBS to the directory of Apache Kafka's jars");
    format!("{libs}/*")
}

fn java(source: &str, class_path: &str, input: &[u8]) -> String {
    let source = format!("{}/tests/java/{source}", env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new("java")
        .args(["-cp", class_path, &source])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("java starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("java ends");
    writer.join().expect("the writer ends").expect("java reads its input");
    assert!(output.status.success(), "java failed");
    String::from_utf8(output.stdout).expect("java writes UTF-8")
}

/// A number as Java prints it in a range.
fn number(bound: f64) -> String {
    if bound.fract() == 0.0 { format!("{bound:.0}") } else { bound.to_string() }
}

fn check(check: Check) -> String {
    match check {
        Check::Any => "any".to_owned(),
        Check::AtLeast(least) => format!("range {} null", number(least)),
        Check::Between(least, most) => format!("range {} {}", number(least), number(most)),
        Check::OneOf(texts) => format!("one-of [{}]", texts.join(", ")),
        Check::OneOfAnyCase(texts) => {
            // Java keeps these in a set; the dump sorts them.
            let mut sorted = texts.to_vec();
            sorted.sort_unstable();
            format!("one-of-ignoring-case [{}]", sorted.join(", "))
        }
        Check::NonEmpty => "NonEmptyString non-empty string".to_owned(),
        Check::NonNull => "NonNullValidator non-null string".to_owned(),
        Check::Entries { empty, null, of: [] } => format!("list empty={empty} null={null} "),
        Check::Entries { empty, null, of } => format!("list empty={empty} null={null} [{}]", of.join(", ")),
        Check::GzipLevel => "LambdaValidator [1,...,9] or -1".to_owned(),
        Check::ThrottledReplicas => {
            "ThrottledReplicaListValidator [partitionId]:[brokerId],[partitionId]:[brokerId],...".to_owned()
        }
        Check::Voters => "ControllerQuorumVotersValidator non-empty list".to_owned(),
        Check::BootstrapServers => "ControllerQuorumBootstrapServersValidator non-empty list".to_owned(),
        Check::ShareOffsetReset => "Validator [latest, earliest, by_duration:PnDTnHnMn.nS]".to_owned(),
    }
}

fn row(family: &str, key: &Key) -> String {
    let kind = match key.kind {
        Kind::Boolean => "boolean",
        Kind::String => "string",
        Kind::Int => "int",
        Kind::Short => "short",
        Kind::Long => "long",
        Kind::Double => "double",
        Kind::List => "list",
        Kind::Class => "class",
        Kind::Password => "password",
    };
    let fallback = match key.fallback {
        Fallback::Required => "-".to_owned(),
        Fallback::Null => "null".to_owned(),
        Fallback::Text(text) => format!("={text}"),
    };
    let importance = match key.importance {
        Importance::High => "high",
        Importance::Medium => "medium",
        Importance::Low => "low",
    };
    let mode = match key.update {
        _ if !family.starts_with("broker") => "-",
        Update::ReadOnly => "read-only",
        Update::PerBroker => "per-broker",
        Update::ClusterWide => "cluster-wide",
    };
    let internal = if key.internal { "internal" } else { "public" };
    [family, key.name, kind, &fallback, importance, internal, mode, &check(key.check)].join("\t")
}

#[test]
#[ignore = "needs a JDK and Apache Kafka's jars"]
fn table_equals_the_jar() {
    let mut ours: Vec<String> = Vec::new();
    // Keys of our own are in no jar.
    for key in keys::node_keys().iter().filter(|key| !key.name.starts_with("ottla.")) {
        ours.push(row(if keys::is_dynamic_only(key.name) { "broker-dynamic" } else { "broker" }, key));
    }
    for (family, list) in [
        ("topic", keys::topic_keys()),
        ("group", keys::group_keys()),
        ("client-metrics", keys::client_metrics_keys()),
    ] {
        ours.extend(list.iter().map(|key| row(family, key)));
    }
    for key in keys::topic_keys() {
        for synonym in keys::topic_synonyms(key.name) {
            ours.push(format!("synonym\t{}\t{}", key.name, synonym.name));
        }
    }
    for key in keys::group_keys() {
        if let Some(synonym) = keys::group_synonym(key.name) {
            ours.push(format!("group-synonym\t{}\t{}", key.name, synonym.name));
        }
    }
    let dump = java("ConfigDump.java", &libs(), b"");
    let mut theirs: Vec<&str> = dump.lines().collect();
    assert!(theirs.len() > 400, "the dump is whole");
    // Lists of the same topic key keep their order: sort by what comes first in the line only.
    let order = |line: &str| line.split('\t').take(2).map(str::to_owned).collect::<Vec<_>>();
    theirs.sort_by_key(|line| order(line));
    ours.sort_by_key(|line| order(line));
    let differences: Vec<String> = ours
        .iter()
        .filter(|line| !theirs.contains(&line.as_str()))
        .map(|line| format!("ours:  {line}"))
        .chain(
            theirs
                .iter()
                .filter(|line| !ours.iter().any(|own| own == *line))
                .map(|line| format!("kafka: {line}")),
        )
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_eq!(ours, theirs);
}

/// Documents made of the characters that matter to the format.
fn documents() -> Vec<Vec<u8>> {
    const ALPHABET: &[u8] = b"ab=: \t\x0c\\\\\n\r#!u0041nrtf\n\\";
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = move |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % bound as u64).expect("the remainder is small")
    };
    (0..20_000)
        .map(|_| {
            let length = next(30);
            (0..length).map(|_| ALPHABET[next(ALPHABET.len())]).collect()
        })
        .collect()
}

#[test]
#[ignore = "needs a JDK"]
fn the_parser_reads_what_java_reads() {
    let documents = documents();
    let mut input = Vec::new();
    for document in &documents {
        input.extend_from_slice(format!("{}\n", document.len()).as_bytes());
        input.extend_from_slice(document);
    }
    let output = java("PropertiesDump.java", ".", &input);
    let mut theirs = output.split(".\n");
    let hex = |text: &str| {
        text.encode_utf16().fold(String::new(), |mut out, unit| {
            write!(out, "{unit:04x}").expect("writing to a String cannot fail");
            out
        })
    };
    let mut refused = 0;
    for document in &documents {
        let expected = theirs.next().expect("java answers every document");
        let ours = match Properties::parse("t", document) {
            Err(_) => {
                refused += 1;
                "error\n".to_owned()
            }
            Ok(parsed) => {
                let map: BTreeMap<String, String> =
                    parsed.entries().iter().map(|entry| (hex(&entry.key), hex(&entry.value))).collect();
                map.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
            }
        };
        assert_eq!(ours, expected, "{:?}", String::from_utf8_lossy(document));
    }
    assert!(refused > 100 && refused < documents.len() / 2, "the documents are of both kinds: {refused}");
}
