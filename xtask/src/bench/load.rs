//! The load, made by Apache Kafka's performance tools and by librdkafka's; and what it cost the node.

use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Scale;
use super::cache::PageCache;
use super::report::Figures;
use crate::compat::librdkafka;
use crate::peers::{self, Jars};
use crate::process;
use crate::server::{Server, cpu_seconds, resident_mib};

const LIMIT: Duration = Duration::from_secs(900);

/// The tools, and how much they are to do.
pub struct Load {
    jars: Jars,
    pub scale: Scale,
    topics: AtomicU32,
    cache: Mutex<PageCache>,
}

/// What the load goes to.
pub struct Target {
    pub bootstrap: String,
    /// The processes that are charged.
    pub pids: Vec<u32>,
    /// Replicas of each topic.
    pub copies: usize,
}

impl Target {
    pub fn one(server: &Server) -> Target {
        Target { bootstrap: server.bootstrap(), pids: vec![server.pid()], copies: 1 }
    }

    /// Of all processes together.
    pub fn cpu_seconds(&self) -> Result<f64> {
        self.pids.iter().map(|pid| cpu_seconds(*pid)).sum()
    }

    /// Of all processes together.
    pub fn resident_mib(&self) -> Result<f64> {
        self.pids.iter().map(|pid| resident_mib(*pid)).sum()
    }
}

impl Load {
    pub fn new(jars: Jars, scale: Scale) -> Result<Load> {
        Ok(Load { jars, scale, topics: AtomicU32::new(0), cache: Mutex::new(PageCache::new()?) })
    }

    /// The page cache as it is on a machine in service; before everything that writes.
    pub fn fill_cache(&self) -> Result<()> {
        self.cache.lock().expect("not poisoned").fill()
    }

    fn tool(&self, name: &str, arguments: &[&str]) -> Result<String> {
        process::checked(self.command(name)?.args(arguments), LIMIT)
    }

    /// One of Apache Kafka's tools.
    pub fn command(&self, name: &str) -> Result<Command> {
        peers::tool(&self.jars, name)
    }

    /// A new topic.
    pub fn topic(&self, target: &Target, partitions: u64) -> Result<String> {
        let name = format!("load-{}", self.topics.fetch_add(1, Ordering::Relaxed));
        let partitions = partitions.to_string();
        let bootstrap = target.bootstrap.clone();
        let copies = target.copies.to_string();
        let create = [
            "--bootstrap-server",
            &bootstrap,
            "--create",
            "--topic",
            &name,
            "--partitions",
            &partitions,
            "--replication-factor",
            &copies,
        ];
        self.tool("kafka-topics", &create)?;
        thread::sleep(Duration::from_secs(1));
        Ok(name)
    }

    /// A JVM compiles what is used much: cold it costs four times as much. The same for both.
    pub fn warm(&self, target: &Target) -> Result<()> {
        for (size, records) in [(100, self.scale.warm), (1024, self.scale.warm / 3)] {
            let mut nowhere = Figures::quiet();
            let topic = self.produce(target, size, records, "1", &mut nowhere)?;
            self.consume(target, &topic, size, records, &mut nowhere)?;
        }
        Ok(())
    }

    /// `kafka-producer-perf-test` with its defaults: 16 KiB batches, five requests on the way.
    pub fn produce(
        &self,
        target: &Target,
        size: u32,
        records: u64,
        acks: &str,
        figures: &mut Figures,
    ) -> Result<String> {
        let topic = self.topic(target, 3)?;
        self.fill_cache()?;
        let before = target.cpu_seconds()?;
        let (count, bytes) = (records.to_string(), size.to_string());
        let bootstrap = target.bootstrap.clone();
        let acknowledge = format!("acks={acks}");
        let text = self.tool(
            "kafka-producer-perf-test",
            &[
                "--topic",
                &topic,
                "--num-records",
                &count,
                "--record-size",
                &bytes,
                "--throughput",
                "-1",
                "--bootstrap-server",
                &bootstrap,
                "--command-property",
                &acknowledge,
            ],
        )?;
        let spent = target.cpu_seconds()? - before;
        // 1000000 records sent, 415282.4 records/sec (39.60 MB/sec), 12.3 ms avg latency, ...
        let last = text.lines().rfind(|l| l.contains("records/sec")).context("no line with records/sec")?;
        let rate = last.split(" records/sec").next().and_then(|l| l.rsplit(' ').next()).context("a rate")?;
        let name = format!("produce {size} B acks={acks}");
        figures.put(&format!("{name}: rate"), "records/s", rate.parse()?);
        figures.put(&format!("{name}: broker CPU"), "s per million", spent / records as f64 * 1e6);
        Ok(topic)
    }

    /// `kafka-consumer-perf-test`.
    pub fn consume(
        &self,
        target: &Target,
        topic: &str,
        size: u32,
        records: u64,
        figures: &mut Figures,
    ) -> Result<()> {
        let before = target.cpu_seconds()?;
        let count = records.to_string();
        let bootstrap = target.bootstrap.clone();
        let text = self.tool(
            "kafka-consumer-perf-test",
            &[
                "--bootstrap-server",
                &bootstrap,
                "--topic",
                topic,
                "--num-records",
                &count,
                "--timeout",
                "60000",
            ],
        )?;
        let spent = target.cpu_seconds()? - before;
        let row: Vec<&str> = text.lines().last().context("no row")?.split(',').map(str::trim).collect();
        ensure!(row.len() > 9, "kafka-consumer-perf-test says: {text}");
        let read: u64 = row[4].parse()?;
        ensure!(read >= records, "{read} records of {records} were read");
        figures.put(&format!("consume {size} B: rate"), "records/s", row[9].parse()?);
        figures.put(&format!("consume {size} B: broker CPU"), "s per million", spent / records as f64 * 1e6);
        Ok(())
    }

    /// `kafka-e2e-latency`: one record at a time, from the producer through the node to the consumer.
    pub fn latency(&self, target: &Target, figures: &mut Figures) -> Result<()> {
        let topic = self.topic(target, 1)?;
        let count = self.scale.latency.to_string();
        let bootstrap = target.bootstrap.clone();
        let text = self.tool(
            "kafka-e2e-latency",
            &[
                "--bootstrap-server",
                &bootstrap,
                "--topic",
                &topic,
                "--num-records",
                &count,
                "--producer-acks",
                "all",
                "--record-size",
                "100",
            ],
        )?;
        // Percentiles: 50th = 0, 99th = 7, 99.9th = 12; and the average with fractions.
        let after = |word: &str| -> Result<f64> {
            let rest = text.split(word).nth(1).with_context(|| format!("no `{word}` in: {text}"))?;
            let number: String =
                rest.trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            Ok(number.parse()?)
        };
        figures.put("end to end: average", "ms", after("Avg latency:")?);
        figures.put("end to end: p50", "ms", after(" 50th =")?);
        figures.put("end to end: p99", "ms", after(" 99th =")?);
        figures.put("end to end: p99.9", "ms", after(" 99.9th =")?);
        Ok(())
    }

    /// `rdkafka_performance`: a client that is not the bottleneck.
    pub fn foreign_producer(&self, target: &Target, acks: &[&str], figures: &mut Figures) -> Result<()> {
        let program = match librdkafka::performance() {
            Ok(program) => program,
            Err(error) => {
                println!("rdkafka_performance is left out: {error:#}");
                return Ok(());
            }
        };
        for (size, part) in [(100_u32, 1), (1024, 2)] {
            for acks in acks.iter().copied() {
                let topic = self.topic(target, 3)?;
                let records = self.scale.records / part;
                let mut command = Command::new(&program);
                command.args(["-P", "-t", &topic, "-b", &target.bootstrap, "-a", acks]);
                command.args(["-s", &size.to_string(), "-c", &records.to_string(), "-q"]);
                command.args(["-X", "linger.ms=5", "-X", "queue.buffering.max.messages=1000000"]);
                self.fill_cache()?;
                let before = target.cpu_seconds()?;
                let output = process::capture(&mut command, LIMIT)?;
                let spent = target.cpu_seconds()? - before;
                let text = output.stdout + &output.stderr;
                // ... % 3000000 messages produced (300000000 bytes), 3000000 delivered (offset 0, 0 failed) in 1250ms: 2400000 msgs/s and ...
                let line = text
                    .lines()
                    .rfind(|l| l.contains(" msgs/s"))
                    .with_context(|| format!("no rate in: {text}"))?;
                let rate =
                    line.split(" msgs/s").next().and_then(|l| l.rsplit(' ').next()).context("a rate")?;
                let acks = if acks == "-1" { "all" } else { acks };
                let name = format!("rdkafka_performance {size} B acks={acks}");
                figures.put(&format!("{name}: rate"), "records/s", rate.parse()?);
                figures.put(&format!("{name}: broker CPU"), "s per million", spent / records as f64 * 1e6);
            }
        }
        Ok(())
    }
}
