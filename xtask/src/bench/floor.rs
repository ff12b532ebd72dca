//! The floor under any broker: a process that receives the same frames, writes them to a file and answers, and knows
//! nothing of what is in them. What it costs is what the kernel costs.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::load::Load;
use super::report::Figures;
use crate::process;
use crate::server::cpu_seconds;

/// The producer's default batch.
const BATCH: usize = 16_384;
/// What a request has around its batch, and what an answer has in all.
const AROUND: usize = 90;
const ANSWER: usize = 60;
/// Requests on the way.
const FLIGHT: usize = 5;
/// The records of one batch and their own frames: offset, time, lengths.
const FRAME_OF_RECORD: usize = 8;
const HEAD_OF_BATCH: usize = 61;

/// Processor seconds of the loop for a million records of 100 bytes and of 1 KiB.
pub fn measure(load: &Load) -> Result<Figures> {
    let mut figures = Figures::default();
    for (size, part) in [(100, 1), (1024, 2)] {
        let records = load.scale.records / part;
        // The middle one of three.
        let mut runs: Vec<(f64, f64)> = (0..3)
            .map(|_| {
                load.fill_cache()?;
                one(size, records)
            })
            .collect::<Result<_>>()?;
        runs.sort_by(|a, b| a.1.total_cmp(&b.1));
        figures.put(&format!("bare loop {size} B: rate"), "records/s", runs[1].0);
        figures.put(&format!("bare loop {size} B: CPU"), "s per million", runs[1].1);
    }
    Ok(figures)
}

fn one(size: usize, records: u64) -> Result<(f64, f64)> {
    let per_batch = (BATCH - HEAD_OF_BATCH) / (size + FRAME_OF_RECORD);
    let requests = records.div_ceil(per_batch as u64);
    let payload = HEAD_OF_BATCH + per_batch * (size + FRAME_OF_RECORD) + AROUND;
    let dir = process::target().join("judges/bench-floor");
    fs::create_dir_all(&dir)?;
    let (port_file, data) = (dir.join("port"), dir.join("data"));
    let _ = fs::remove_file(&port_file);
    let mut child = Command::new(std::env::current_exe()?)
        .args(["bench", "--serve-floor"])
        .args([&port_file, &data])
        .stdin(Stdio::null())
        .spawn()
        .context("the bare loop")?;
    let port: u16 = loop {
        if let Some(port) = fs::read_to_string(&port_file).ok().and_then(|t| t.trim().parse().ok()) {
            break port;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let mut frame = (payload as u32).to_be_bytes().to_vec();
    frame.resize(4 + payload, 7);
    let mut answer = [0; ANSWER];
    let before = cpu_seconds(child.id())?;
    let start = Instant::now();
    let (mut sent, mut answered) = (0, 0);
    while answered < requests {
        while sent < requests && sent - answered < FLIGHT as u64 {
            stream.write_all(&frame)?;
            sent += 1;
        }
        stream.read_exact(&mut answer)?;
        answered += 1;
    }
    let took = start.elapsed().as_secs_f64();
    let spent = cpu_seconds(child.id())? - before;
    drop(stream);
    child.wait()?;
    let records = (requests * per_batch as u64) as f64;
    Ok((records / took, spent / records * 1e6))
}

/// The loop itself, in a process of its own: one connection, frames behind their lengths, a file that grows (each frame
/// one positioned write, the cheapest form of what a `pwritev` of a header and a body does).
pub fn serve(port_file: &str, data: &str) -> Result<()> {
    use std::os::unix::fs::FileExt as _;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let temporary = format!("{port_file}.part");
    fs::write(&temporary, listener.local_addr()?.port().to_string())?;
    fs::rename(temporary, port_file)?;
    let file = File::create(data)?;
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let mut at = 0;
    let mut buffer = vec![0; 1 << 20];
    let (mut begin, mut end) = (0, 0);
    let mut answers = Vec::new();
    loop {
        // As much as is there, then every whole frame of it; what arrives together is answered together.
        let read = stream.read(&mut buffer[end..])?;
        if read == 0 {
            break;
        }
        end += read;
        while let Some(length) = buffer[begin..end].first_chunk::<4>() {
            let whole = 4 + u32::from_be_bytes(*length) as usize;
            if end - begin < whole {
                break;
            }
            file.write_all_at(&buffer[begin + 4..begin + whole], at)?;
            at += whole as u64 - 4;
            begin += whole;
            answers.extend([0; ANSWER]);
        }
        if !answers.is_empty() {
            stream.write_all(&answers)?;
            answers.clear();
        }
        buffer.copy_within(begin..end, 0);
        (begin, end) = (0, end - begin);
    }
    fs::remove_file(data)?;
    Ok(())
}
