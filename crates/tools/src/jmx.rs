//! `kafka-jmx`: there is no Java virtual machine to ask; it says what to ask instead.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use crate::runtime::{self, Out, Stop};

const INSTEAD: &str = "kafka-jmx reads the management beans of a Java virtual machine, and Ottla runs in none: there is no JMX port to connect to.
    next, what people read from it:
      under-replicated and offline partitions   ottla status, kafka-topics --describe --under-replicated-partitions
      the active controller, lag of controllers ottla status, kafka-metadata-quorum describe --replication
      lag of consumers                          kafka-consumer-groups --describe --group GROUP
      sizes of logs                             kafka-log-dirs --describe
      everything that Prometheus scrapes        /metrics of each node, at the address in its log (http://127.0.0.1:8781/metrics
                                                for node 1, unless ottla.ops.listener says another)
      clients' own beans                        the JMX port of the client's Java process, with Apache Kafka's kafka-jmx";

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-jmx", args, jmx)
}

fn jmx(args: &[String], out: &mut Out) -> Result<(), Stop> {
    if args.iter().any(|arg| arg == "--version") {
        writeln!(out, "{}", runtime::KAFKA_VERSION)?;
        return Ok(());
    }
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        writeln!(out, "{INSTEAD}")?;
        return Ok(());
    }
    Err(Stop::error(INSTEAD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_use_instead_is_said_and_nothing_pretends_to_work() {
        let stop = jmx(&["--object-name".into(), "kafka.server:*".into()], &mut Out::new_for_test());
        let stop = stop.expect_err("there is nothing to ask");
        assert_eq!(stop.code, 1);
        assert!(stop.err.contains("ottla status") && stop.out.is_empty());
        let mut out = Out::new_for_test();
        assert!(jmx(&["--help".into()], &mut out).is_ok());
        assert!(String::from_utf8_lossy(&out.into_test()).contains("kafka-log-dirs"));
    }
}
