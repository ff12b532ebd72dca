//! `ottla doctor --before-move FILE`: what would not work if this node of Apache Kafka were started as Ottla, before
//! anything is touched.

use std::path::Path;

use ottla_config::{NodeConfig, Problem};
use ottla_log::MetaProperties;
use ottla_log::fs::RealDisk;
use ottla_metadata::image::{ConfigResource, Image};
use ottla_metadata::{Delta, understood};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_quorum::{format, survey};

use super::Findings;

pub(super) fn look(file: &Path) -> Result<Findings, String> {
    let shown = file.display().to_string();
    let bytes = std::fs::read(file)
        .map_err(|error| format!("{shown}: cannot read the configuration file: {error}"))?;
    let mut findings = Findings::default();
    match NodeConfig::load(&shown, &bytes, &[]) {
        Ok(loaded) => {
            the_file(&mut findings, &shown, &loaded.unserved, &loaded.warnings);
            directories(&mut findings, &loaded.config);
        }
        Err(problems) => the_file(&mut findings, &shown, &problems.errors, &problems.warnings),
    }
    Ok(findings)
}

fn the_file(findings: &mut Findings, shown: &str, errors: &[Problem], warnings: &[Problem]) {
    errors.iter().for_each(|error| findings.stop(error));
    warnings.iter().for_each(|warning| findings.know(warning));
    if errors.is_empty() {
        findings.good(format_args!("{shown}: every key is served, or has no effect"));
    }
}

fn directories(findings: &mut Findings, config: &NodeConfig) {
    let mut all = true;
    for dir in config.dirs.all() {
        let path = Path::new(dir);
        match MetaProperties::read(&RealDisk, path) {
            Ok(Some(properties)) if properties.node_id == Some(config.node_id) => {}
            Ok(Some(properties)) => {
                let stored = properties.node_id.map_or_else(|| "none".to_owned(), |id| id.to_string());
                findings
                    .stop(format_args!("{dir}: it is of node {stored}, the file of node {}", config.node_id));
                all = false;
                continue;
            }
            Ok(None) => {
                findings.stop(format_args!("{dir}: not formatted, there is nothing to move"));
                all = false;
                continue;
            }
            Err(error) => {
                findings.stop(format_args!("{dir}/meta.properties: {error}"));
                all = false;
                continue;
            }
        }
        if path.join(".kafka_cleanshutdown").exists() {
            findings.good(format_args!("{dir}: stopped cleanly"));
        } else {
            findings.know(format_args!(
                "{dir}: its node runs, or did not stop cleanly: stop it with kafka-server-stop.sh first; after a kill either program recovers the directory"
            ));
        }
    }
    if all {
        metadata(findings, config);
    }
}

/// Everything that the metadata log says, replayed as a start would.
fn metadata(findings: &mut Findings, config: &NodeConfig) {
    let dir = Path::new(&config.dirs.metadata);
    let mut delta = Delta::new(Image::default());
    let mut odd = None;
    let mut record = |value: &bytes::Bytes| {
        let record = understood(value)?;
        let transaction = matches!(
            record,
            MetadataRecord::BeginTransactionRecord(_)
                | MetadataRecord::EndTransactionRecord(_)
                | MetadataRecord::AbortTransactionRecord(_)
        );
        // What was never committed may not fit; a start cuts it off.
        if !transaction && let Err(error) = delta.replay(&record) {
            odd.get_or_insert_with(|| error.to_string());
        }
        Ok(())
    };
    let mut level = |level: i16| {
        if (0..=1).contains(&level) {
            Ok(())
        } else {
            Err(format!("kraft.version level {level} is not supported"))
        }
    };
    if let Err(error) = survey(&RealDisk, dir, &mut record, &mut level) {
        return findings.stop(error);
    }
    if let Err(why) = first_records(dir) {
        return findings.stop(why);
    }
    if let Some(odd) = odd {
        findings.know(format_args!("a metadata record does not fit those before it: {odd}"));
    }
    let image = delta.after();
    let version = image.features.metadata_version.map_or("not set yet", |version| version.name());
    findings.good(format_args!(
        "the metadata is understood: metadata.version {version}, {} topics",
        image.topics.len()
    ));
    carried(findings, image, config.node_id);
}

/// What formatting left for the first leader; every start reads it.
fn first_records(dir: &Path) -> Result<(), String> {
    let Some(values) = format::read_bootstrap(&RealDisk, dir).map_err(|error| error.to_string())? else {
        return Ok(());
    };
    let named = |why| format!("{}: {why}", dir.join(format::BOOTSTRAP_FILE).display());
    values.iter().try_for_each(|value| understood(value).map(drop)).map_err(named)
}

/// What is in the metadata and waits for Apache Kafka, or works differently.
fn carried(findings: &mut Findings, image: &Image, node: i32) {
    let mut kept = |count: usize, what: &str| {
        if count > 0 {
            findings.know(format_args!("{count} {what}"));
        }
    };
    kept(image.acls.len(), "ACLs: kept, and not enforced");
    kept(image.scram.len(), "SCRAM credentials: kept for Apache Kafka");
    kept(image.tokens.len(), "delegation tokens: kept for Apache Kafka");
    kept(image.quotas.len(), "quotas: kept, nobody is throttled");
    let set =
        |topic: &str, key: &str| image.configs.get(&ConfigResource::topic(topic), key).map(str::to_owned);
    let names = |wanted: &dyn Fn(&str) -> bool| {
        let all = image.topics.iter_by_name().map(|topic| topic.name.to_string());
        all.filter(|name| !name.starts_with("__") && wanted(name)).collect::<Vec<_>>()
    };
    let compacted =
        names(&|name| set(name, "cleanup.policy").is_some_and(|policy| policy.contains("compact")));
    kept(compacted.len(), &format!("topics are not compacted meanwhile and grow: {}", some(&compacted)));
    let tiered = names(&|name| set(name, "remote.storage.enable").as_deref() == Some("true"));
    if !tiered.is_empty() {
        findings.stop(format_args!("topics with tiered storage: {}", some(&tiered)));
    }
    for (topic, what) in [
        ("__transaction_state", "transactional producers were used: they wait for Apache Kafka"),
        ("__share_group_state", "share groups were used: they wait for Apache Kafka"),
    ] {
        if image.topics.by_name(topic).is_some() {
            findings.know(what);
        }
    }
    let alone: Vec<String> = image
        .topics
        .iter_by_name()
        .filter(|topic| topic.partitions.iter().any(|(_, p)| p.replicas[..] == [node]))
        .map(|topic| topic.name.to_string())
        .collect();
    if !alone.is_empty() {
        findings.know(format_args!(
            "topics with partitions on this node alone are away while it moves: {}",
            some(&alone)
        ));
    }
}

/// The first few names.
fn some(names: &[String]) -> String {
    let more = if names.len() > 5 { format!(" and {} more", names.len() - 5) } else { String::new() };
    format!("{}{more}", names[..names.len().min(5)].join(", "))
}

#[cfg(test)]
mod tests {
    use ottla_protocol::metadata_records::FeatureLevelRecord;
    use ottla_records::{BatchBuilder, NewRecord};

    use std::ffi::OsString;
    use std::path::PathBuf;

    use super::*;

    fn formatted(extra: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("server.properties");
        let data = dir.path().join("data");
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@localhost:9093\n\
             listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n\
             controller.listener.names=CONTROLLER\nlog.dirs={}\n{extra}",
            data.display()
        );
        std::fs::write(&file, text).unwrap();
        let id = "MkU3OEVBNTcwNTJENDM2Qg";
        let args = ["format", "-t", id, "-c"].map(OsString::from);
        let args: Vec<OsString> = args.into_iter().chain([file.clone().into_os_string()]).collect();
        if extra.is_empty() {
            let _ = crate::storage::run(&args);
        }
        (dir, file)
    }

    fn append(file: &Path, records: &[Vec<u8>]) {
        let log = file.with_file_name("data").join("__cluster_metadata-0");
        std::fs::create_dir_all(&log).unwrap();
        let mut batch = BatchBuilder::new(0).leader_epoch(1);
        for record in records {
            batch.append(&NewRecord::new(5, None, Some(record)));
        }
        std::fs::write(log.join("00000000000000000000.log"), batch.build()).unwrap();
    }

    fn topic(name: &str) -> Vec<Vec<u8>> {
        use ottla_protocol::metadata_records::{ConfigRecord, PartitionRecord, TopicRecord};
        let topic_id = uuid::Uuid::from_u128(7);
        let framed = |record: MetadataRecord, version| record.encode_framed(version).unwrap();
        let policy = ConfigRecord {
            resource_type: 2,
            resource_name: name.to_owned(),
            name: "cleanup.policy".to_owned(),
            value: Some("compact".to_owned()),
        };
        let partition = PartitionRecord {
            partition_id: 0,
            topic_id,
            replicas: vec![1],
            isr: vec![1],
            leader: 1,
            leader_epoch: 0,
            partition_epoch: 0,
            directories: vec![uuid::Uuid::from_u128(9)],
            ..Default::default()
        };
        let topic = TopicRecord { name: name.to_owned(), topic_id };
        vec![framed(topic.into(), 0), framed(policy.into(), 0), framed(partition.into(), 1)]
    }

    #[test]
    fn what_differs_is_told_and_nothing_is_changed() {
        let (_dir, file) = formatted("");
        append(&file, &topic("kept-small"));
        let before = std::fs::read_dir(file.with_file_name("data")).unwrap().count();
        let findings = look(&file).unwrap();
        let text = findings.lines.join("\n");
        assert_eq!(findings.stops, 0, "{text}");
        for word in [
            "not compacted meanwhile and grow: kept-small",
            "on this node alone",
            "did not stop cleanly",
            "1 topics",
        ] {
            assert!(text.contains(word), "{word}:\n{text}");
        }
        assert_eq!(std::fs::read_dir(file.with_file_name("data")).unwrap().count(), before);
    }

    #[test]
    fn what_stops_a_node_is_named() {
        let (_dir, file) = formatted("");
        append(&file, &[vec![1, 99, 0, 0]]);
        let findings = look(&file).unwrap();
        assert_eq!(findings.stops, 1);
        let text = findings.lines.join("\n");
        assert!(text.contains("STOPS") && text.contains("offset 0") && text.contains("99"), "{text}");
        // What a newer release formatted, and nobody has started yet.
        let (_dir, file) = formatted("");
        let level = FeatureLevelRecord { name: "metadata.version".to_owned(), feature_level: 31 };
        let level = MetadataRecord::from(level).encode_framed(0).unwrap().into();
        let disk: std::sync::Arc<dyn ottla_log::fs::Disk> = std::sync::Arc::new(RealDisk);
        format::write_bootstrap(&disk, &file.with_file_name("data"), &[level], 5).unwrap();
        let text = look(&file).unwrap().lines.join("\n");
        assert!(text.contains("STOPS") && text.contains("level 31 is not supported"), "{text}");
    }

    #[test]
    fn keys_plug_ins_and_security_that_are_not_served_are_named_with_their_line() {
        for (line, word) in [
            (
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "access control",
            ),
            ("create.topic.policy.class.name=com.example.Policy", "plug-in classes"),
            ("principal.builder.class=com.example.Builder", "plug-in classes"),
            ("remote.log.storage.system.enable=true", "tiered storage"),
            ("listener.security.protocol.map=PLAINTEXT:SSL,CONTROLLER:PLAINTEXT", "uses SSL"),
            (
                "listener.security.protocol.map=PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
                "uses SASL_PLAINTEXT",
            ),
            ("listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:SASL_SSL", "uses SASL_SSL"),
            ("num.network.threads=many", "num.network.threads"),
        ] {
            let (_dir, file) = formatted(&format!("{line}\n"));
            let findings = look(&file).unwrap();
            let stops = |text: &String| {
                text.starts_with("STOPS") && text.contains("server.properties:") && text.contains(word)
            };
            assert!(findings.lines.iter().any(stops), "{line}: {:?}", findings.lines);
        }
        // What works differently, or not yet, is told and does not stop the node.
        for (line, word) in [
            ("metric.reporters=com.example.Reporter", "has no effect"),
            ("ssl.keystore.location=/etc/kafka/keys.jks", "waits for TLS"),
            ("group.consumer.max.size=1000", "waits for consumer groups"),
            ("zookeeper.connect=localhost:2181", "no ZooKeeper"),
            ("no.such.key=1", "unknown key"),
        ] {
            let (_dir, file) = formatted(&format!("{line}\n"));
            let findings = look(&file).unwrap();
            let known = |text: &String| text.starts_with("know") && text.contains(word);
            assert!(findings.lines.iter().any(known), "{line}: {:?}", findings.lines);
            // The directory was not formatted.
            assert_eq!(findings.stops, 1, "{line}: {:?}", findings.lines);
        }
    }
}
