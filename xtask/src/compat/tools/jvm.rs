//! The JVM in which Apache Kafka's tools run: one for the whole judge, asked through pipes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::way::Answer;
use crate::peers::Jars;
use crate::process;

type Waiting = Arc<Mutex<HashMap<u32, Sender<Answer>>>>;

/// The JVM. Dropped, it ends.
pub struct Jvm {
    child: Child,
    requests: Mutex<(u32, ChildStdin)>,
    waiting: Waiting,
}

impl Jvm {
    /// Compiles the driver and starts it; what the tools log goes to `log`.
    pub fn start(jars: &Jars, log: &Path) -> Result<Jvm> {
        let source = process::root().join("xtask/judges/tools/Tools.java");
        let logging = process::root().join("xtask/judges/peers/log4j2.properties");
        let mut child = Command::new(jars.java())
            .args(["-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            // The driver keeps a tool's System.exit from ending everything.
            .arg("-Djava.security.manager=allow")
            .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
            .args(["-cp", &jars.class_path()])
            .arg(source)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log)?)
            .spawn()
            .context("the JVM cannot be started")?;
        let requests = Mutex::new((0, child.stdin.take().context("its input")?));
        let mut answers = child.stdout.take().context("its output")?;
        let waiting: Waiting = Arc::default();
        let of_reader = waiting.clone();
        thread::spawn(move || {
            while let Ok((id, answer)) = read(&mut answers) {
                if let Some(sender) = of_reader.lock().expect("waiting").remove(&id) {
                    let _ = sender.send(answer);
                }
            }
            // Nobody waits for a JVM that is gone.
            of_reader.lock().expect("waiting").clear();
        });
        Ok(Jvm { child, requests, waiting })
    }

    /// Runs the class's `main` to its end.
    pub fn run(
        &self,
        class: &str,
        words: &[String],
        input: &str,
        limit: Duration,
        interrupt: Option<Duration>,
    ) -> Result<Answer> {
        let mut request = Vec::new();
        text(&mut request, class);
        number(&mut request, limit.as_millis() as u32);
        number(&mut request, interrupt.map_or(0, |after| after.as_millis() as u32));
        number(&mut request, words.len() as u32);
        for word in words {
            text(&mut request, word);
        }
        text(&mut request, input);
        let (sender, receiver) = mpsc::channel();
        {
            let mut requests = self.requests.lock().expect("requests");
            requests.0 += 1;
            let id = requests.0;
            self.waiting.lock().expect("waiting").insert(id, sender);
            let mut bytes = id.to_be_bytes().to_vec();
            bytes.append(&mut request);
            requests.1.write_all(&bytes).context("the JVM is gone")?;
            requests.1.flush()?;
        }
        let patience = limit + interrupt.unwrap_or_default() + Duration::from_secs(30);
        match receiver.recv_timeout(patience) {
            Ok(answer) => Ok(answer),
            Err(_) => bail!("the JVM does not answer"),
        }
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn number(out: &mut Vec<u8>, n: u32) {
    out.extend(n.to_be_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len() as u32);
    out.extend(text.as_bytes());
}

fn read(answers: &mut ChildStdout) -> Result<(u32, Answer)> {
    let mut four = || -> Result<[u8; 4]> {
        let mut bytes = [0; 4];
        answers.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    let id = u32::from_be_bytes(four()?);
    let code = i32::from_be_bytes(four()?);
    let mut stream = || -> Result<String> {
        let mut length = [0; 4];
        answers.read_exact(&mut length)?;
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        answers.read_exact(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let (out, err) = (stream()?, stream()?);
    Ok((id, Answer { code: (code >= 0).then_some(code), out, err }))
}
