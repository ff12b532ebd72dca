//! Sends numbered records to a topic: `roundtrip produce HOST:PORT TOPIC COUNT SIZE [key=value ...]`.
//! `roundtrip consume HOST:PORT TOPIC COUNT [key=value ...]` reads as many, alone or, with `group.id`, in a group.
//! The first tells every record that was not delivered, then one line of figures; with `print=true` the second one prints values.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ottla_client::{Cluster, Consumer, Polled, Producer, Properties, Sent, Start, ToSend, TopicPartition};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [mode, bootstrap, topic, rest @ ..] = args.as_slice() else {
        bail!("usage: roundtrip produce|consume HOST:PORT TOPIC COUNT ...");
    };
    match mode.as_str() {
        "produce" => produce(bootstrap, topic, rest).await,
        "consume" => consume(bootstrap, topic, rest).await,
        _ => bail!("unknown mode {mode}"),
    }
}

fn properties(pairs: &[String]) -> Result<Properties> {
    let mut properties = Properties::new();
    for pair in pairs {
        properties.set_pair(pair)?;
    }
    Ok(properties)
}

async fn produce(bootstrap: &str, topic: &str, rest: &[String]) -> Result<()> {
    let [count, size, pairs @ ..] = rest else { bail!("produce HOST:PORT TOPIC COUNT SIZE") };
    let (count, size): (u64, usize) = (count.parse()?, size.parse()?);
    let properties = properties(pairs)?;
    let cluster = Cluster::connect(bootstrap, &properties).await.context("bootstrap")?;
    let producer = Producer::new(cluster, &properties).await?;
    let began = Instant::now();
    let mut value = vec![b'x'; size.max(20)];
    let mut waiting = Vec::new();
    for number in 0..count {
        let digits = format!("{number:020}");
        value[..20].copy_from_slice(digits.as_bytes());
        let sent = producer.send(&ToSend { topic, value: Some(&value), ..Default::default() }).await?;
        waiting.push((number, sent));
        if waiting.len() == 10_000 {
            report(&mut waiting).await;
        }
    }
    producer.flush().await;
    report(&mut waiting).await;
    let (stats, took) = (producer.stats(), began.elapsed().as_secs_f64());
    let rate = count as f64 / took;
    println!("{stats:?} {took:.3} s, {rate:.0} records/s, {:.1} MB/s", rate * size as f64 / 1e6);
    producer.close(Duration::from_secs(30)).await;
    Ok(())
}

async fn consume(bootstrap: &str, topic: &str, rest: &[String]) -> Result<()> {
    let [count, pairs @ ..] = rest else { bail!("consume HOST:PORT TOPIC COUNT") };
    let count: u64 = count.parse()?;
    let mut properties = properties(pairs)?;
    let print = properties.get("print").is_some();
    properties.set_default("auto.offset.reset", "earliest");
    properties.set_default("max.poll.records", "100000");
    let cluster = Cluster::connect(bootstrap, &properties).await.context("bootstrap")?;
    let mut consumer = Consumer::new(cluster.clone(), &properties)?;
    if properties.get("group.id").is_some() {
        consumer.subscribe(&[topic])?;
    } else {
        let metadata = cluster.metadata(Some(&[topic])).await?;
        let partitions = metadata.topics[0].partitions.iter();
        let start = |partition: &_| (TopicPartition::new(topic, *partition), Start::Earliest);
        consumer.assign(partitions.map(|partition| start(&partition.partition_index)).collect()).await?;
    }
    let (began, mut seen, mut bytes) = (Instant::now(), 0, 0);
    let mut idle = Instant::now();
    while seen < count && idle.elapsed() < Duration::from_secs(20) {
        match consumer.poll(Duration::from_millis(500)).await? {
            Polled::Idle => continue,
            Polled::Records(mut fetched) => {
                let all = fetched.for_each(|record| {
                    seen += 1;
                    let value = record.record.value.unwrap_or_default();
                    bytes += value.len();
                    if print {
                        let value = String::from_utf8_lossy(&value[..20.min(value.len())]);
                        println!("{}-{} {} {value}", record.topic, record.partition, record.record.offset);
                    }
                    Ok::<(), ()>(())
                })?;
                all.expect("the closure has no errors");
            }
            change => eprintln!("{change:?} generation {}", consumer.generation()),
        }
        idle = Instant::now();
    }
    let took = (idle - began).as_secs_f64();
    eprintln!("{seen} records, {:?} {took:.3} s, {:.1} MB/s", consumer.stats(), bytes as f64 / took / 1e6);
    consumer.close().await?;
    Ok(())
}

async fn report(waiting: &mut Vec<(u64, Sent)>) {
    for (number, sent) in waiting.drain(..) {
        if let Err(error) = sent.await {
            println!("{number}: {error}");
        }
    }
}
