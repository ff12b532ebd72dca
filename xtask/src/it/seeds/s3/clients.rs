//! NiFi's three Java clients, and the flow from a file to a file.

use anyhow::{Result, ensure};

use super::super::SOON;
use super::super::book::Book;
use super::super::host::until;
use super::{BOTH, Site};
use crate::compat::clients::java;
use crate::machine::{self, Need};

/// (row, what NiFi's processor of that name carries)
const PROCESSORS: &[(&str, &str, &str)] =
    &[("S3-01", "1_0", "1.0.2"), ("S3-02", "2_0", "2.0.1"), ("S3-03", "2_6", "2.6.3")];

/// Publish and consume with each, as the processors do: records, groups, commits, and a second start that goes on.
pub fn nifi(book: &mut Book, site: &Site<'_>) -> Result<()> {
    let needs = machine::lacking(&[Need::Jdk, Need::Maven]);
    if let Some(need) = needs.first() {
        book.not_run("S3-01 S3-02 S3-03 S3-04 S3-34", &format!("the machine lacks {}", need.how()));
        return Ok(());
    }
    for (row, processor, version) in PROCESSORS {
        let ids = format!("{row} S3-04 S3-34");
        book.row(&ids, &format!("kafka-clients {version} of Publish/ConsumeKafka_{processor}"), || {
            let prefix = format!("nifi-{processor}").replace('_', "-");
            let mut passed = 0;
            for phase in ["first", "second"] {
                let said = site.pc.types(&java::typed(version, BOTH, &prefix, phase)?)?.code(0)?;
                let failed: Vec<&str> = said.stdout.lines().filter(|l| l.starts_with("fail ")).collect();
                ensure!(failed.is_empty(), "{failed:?}");
                passed += said.stdout.lines().filter(|l| l.starts_with("ok ")).count();
                match phase {
                    "first" => said.out("ok none")?.out("ok group")?.out("ok commit")?,
                    _ => said.out("ok survived")?,
                };
            }
            Ok(format!("{passed} checks passed: produce, consume, group, commit, and again after a stop"))
        });
    }
    Ok(())
}

/// GetFile -> PublishKafka -> ConsumeKafka -> PutFile.
pub fn files(book: &mut Book, site: &Site<'_>) -> Result<()> {
    let Some(kcat) = Need::Kcat.find() else {
        book.not_run("S3-05", &format!("the machine lacks {}", Need::Kcat.how()));
        return Ok(());
    };
    let kcat = kcat.display();
    book.row("S3-05", "files of 30 bytes and of 1,000,000 arrive byte for byte; one of 2 MB is refused and logged", || {
        let work = site.pc.shell(site.pc.work());
        work.types("printf 'a text\\nof two lines \\377\\000\\n' > small; head -c 1000000 /dev/urandom > large; head -c 2000000 /dev/urandom > huge")?.code(0)?;
        for file in ["small", "large"] {
            work.types(&format!("'{kcat}' -P -b {BOTH} -t files-{file} -X message.max.bytes=3000000 {file}"))?.code(0)?;
            let read = format!("'{kcat}' -C -q -b {BOTH} -t files-{file} -o beginning -c 1 -D '' > {file}.back && cmp {file} {file}.back");
            work.types(&read)?.code(0)?;
        }
        let said = work.types(&format!("'{kcat}' -P -b {BOTH} -t files-small -X message.max.bytes=3000000 huge"))?;
        ensure!(said.code != 0, "2 MB were taken");
        said.says("Message size too large").or_else(|_| {
            anyhow::bail!("the client is not told MESSAGE_TOO_LARGE or RECORD_LIST_TOO_LARGE")
        })?;
        until("a line about it", SOON, || {
            let logs = Site::logs(&site.sh1)? + &Site::logs(&site.sh2)?;
            Ok(logs.lines().any(|l| l.contains("files-small") && l.contains("1048588")))
        })?;
        Ok("30 and 1,000,000 bytes came back equal; 2,000,000 refused, with topic, size and limit in the log".to_owned())
    });
    book.row("S3-07 T-12", "a console on a port of the node: an HTML page", || {
        let ports = site.sh1.types("ss -Hltn | awk '{print $4}' | sed 's/.*://' | sort -u")?.stdout;
        for port in ports.split_whitespace().filter(|p| !["9092", "9093"].contains(p)) {
            let said = site.sh1.types(&format!("curl -s -m 3 http://localhost:{port}/"))?;
            if said.stdout.to_lowercase().contains("<html") {
                return said.seen();
            }
        }
        anyhow::bail!(
            "no port serves a page; the node listens on {}",
            ports.split_whitespace().collect::<Vec<_>>().join(", ")
        )
    });
    Ok(())
}
