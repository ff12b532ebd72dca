//! `ottla config migrate FILE`: a file of the ZooKeeper era as one of today, written beside the old one.

use std::path::PathBuf;
use std::process::ExitCode;

use ottla_config::Properties;

use super::Migrate;

pub(super) fn run(wanted: &Migrate) -> Result<ExitCode, String> {
    let shown = wanted.file.display().to_string();
    let bytes = std::fs::read(&wanted.file).map_err(|error| format!("{shown}: {error}"))?;
    let old = Properties::parse(&shown, &bytes).map_err(|error| error.to_string())?;
    let Some(new) = ottla_config::node::migrate(&old) else {
        println!(
            "{shown} has process.roles: it is a file of today, nothing to do\n    next: ottla config check {shown}"
        );
        return Ok(ExitCode::SUCCESS);
    };
    let path = wanted.to.clone().unwrap_or_else(|| {
        let mut name = wanted.file.clone().into_os_string();
        name.push(".kraft");
        PathBuf::from(name)
    });
    if path.exists() {
        return Err(format!(
            "{} is there already; nothing was written\n    next: give another --to",
            path.display()
        ));
    }
    std::fs::write(&path, &new.text).map_err(|error| format!("{}: {error}", path.display()))?;
    println!(
        "{shown} was written for ZooKeeper; {} is the same for today ({shown} is as it was):",
        path.display()
    );
    for change in &new.changes {
        println!("  {change}");
    }
    println!(
        "\nnext: bin/kafka-storage.sh format -t $(bin/kafka-storage.sh random-uuid) -c {}",
        path.display()
    );
    println!("      bin/kafka-server-start.sh {}", path.display());
    println!(
        "several brokers of one cluster: ottla config init --nodes HOST,HOST,HOST makes files that agree"
    );
    Ok(ExitCode::SUCCESS)
}
