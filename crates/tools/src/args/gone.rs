//! Flags that ended with ZooKeeper: what took their place, and the command to type instead.

use super::jopt::Parser;

/// What to say of `--zookeeper`, with the command as it must be typed now.
///
/// The address given with it is ZooKeeper's and no help; everything else of the command line is kept.
pub(super) fn zookeeper(tool: &str, parser: &Parser, args: &[String]) -> Option<String> {
    let at = args.iter().position(|arg| arg == "--zookeeper" || arg.starts_with("--zookeeper="))?;
    let mut kept: Vec<&str> = Vec::new();
    for arg in &args[..at] {
        kept.push(arg);
    }
    for (i, arg) in args[at + 1..].iter().enumerate() {
        // `--zookeeper host:2181`: its value goes with it.
        if i == 0 && args[at] == "--zookeeper" && !arg.starts_with('-') {
            continue;
        }
        kept.push(arg);
    }
    let has_server = kept.iter().any(|arg| arg.starts_with("--bootstrap-server"));
    let server = if has_server { "" } else { " --bootstrap-server HOST:9092" };
    if !parser.knows("bootstrap-server") {
        return None;
    }
    let rest: String = kept.iter().map(|arg| format!(" {arg}")).collect();
    Some(format!(
        "--zookeeper is gone: there is no ZooKeeper any more, the cluster keeps its metadata itself (KRaft). Every tool talks to a broker; its port is not ZooKeeper's.\n    next: {tool}.sh{server}{rest}"
    ))
}
