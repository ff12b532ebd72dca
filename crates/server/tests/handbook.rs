//! `ottla completion` and `ottla man` on this very binary: every tool answers, and bash completes by the script.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

const OTTLA: &str = env!("CARGO_BIN_EXE_ottla");

fn ottla(args: &[&str]) -> Result<String> {
    let said = Command::new(OTTLA).args(args).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(said.status.success(), "{args:?}: {}{text}", String::from_utf8_lossy(&said.stderr));
    Ok(text)
}

#[test]
fn every_tool_has_its_page() -> Result<()> {
    let dir = tempfile::tempdir()?;
    ottla(&["man", "--dir", dir.path().to_str().context("UTF-8")?])?;
    let names = ottla(&["man"])?;
    ensure!(names.lines().count() > 40, "{names}");
    for name in names.lines() {
        let title = if name.starts_with("kafka-") { name.to_owned() } else { format!("ottla-{name}") };
        let page = std::fs::read_to_string(dir.path().join(format!("man1/{title}.1")))?;
        ensure!(page.contains(".SH DESCRIPTION\n.PP\n") || name == "kafka-server-start", "{name}:\n{page}");
    }
    let page = ottla(&["man", "topics"])?;
    ensure!(page.contains("\\-\\-under\\-replicated\\-partitions"), "{page}");
    let page = ottla(&["man", "transactions"])?;
    ensure!(page.contains(".SS describe\\-producers") && page.contains("\\-\\-broker\\-id"), "{page}");
    let page = ottla(&["man", "group"])?;
    ensure!(page.contains(".SS reset") && page.contains(".SH EXAMPLES"), "{page}");
    ensure!(ottla(&["man", "nonsense"]).is_err());
    Ok(())
}

#[test]
fn bash_completes_tools_commands_and_flags() -> Result<()> {
    let script = ottla(&["completion", "bash"])?;
    let complete = |words: &[&str]| -> Result<Vec<String>> {
        let typed = format!(
            "{script}\nCOMP_WORDS=({})\nCOMP_CWORD={}\nCOMP_LINE='{}'\n_ottla\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
            words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            words.len() - 1,
            words.join(" ")
        );
        let said = Command::new("bash").args(["-c", &typed]).output()?;
        ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        Ok(String::from_utf8_lossy(&said.stdout).lines().map(str::to_owned).collect())
    };
    let has = |found: &[String], word: &str| found.iter().any(|found| found == word);
    let found = complete(&["ottla", "kafka-top"])?;
    ensure!(found == ["kafka-topics"], "{found:?}");
    let found = complete(&["kafka-topics.sh", "--bootstrap-server", "h:1", "--un"])?;
    ensure!(
        has(&found, "--unavailable-partitions") && has(&found, "--under-min-isr-partitions"),
        "{found:?}"
    );
    let found = complete(&["/opt/ottla/bin/kafka-transactions", "describe-p"])?;
    ensure!(found == ["describe-producers"], "{found:?}");
    let found = complete(&["ottla", "kafka-transactions", "describe-producers", "--"])?;
    ensure!(has(&found, "--broker-id") && has(&found, "--partition"), "{found:?}");
    let found = complete(&["ottla", "group", "re"])?;
    ensure!(found == ["reset"], "{found:?}");
    Ok(())
}

#[test]
fn zsh_and_fish_have_every_tool() -> Result<()> {
    for shell in ["zsh", "fish"] {
        let script = ottla(&["completion", shell])?;
        for name in ottla(&["man"])?.lines() {
            ensure!(script.contains(name), "{shell} lacks {name}");
        }
    }
    Ok(())
}
