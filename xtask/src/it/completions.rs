//! The completion scripts of the release tree in the shells that they are for: what bash, zsh and fish offer on a line.
//! The line's cluster is not there, so that names of topics are none.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use super::{good, scratch};
use crate::{dist, machine};

/// A line that is typed (the last word is the one that is completed), and what must and must not be offered.
const LINES: &[(&[&str], &[&str], &[&str])] = &[
    (&["ottla", "kafka-t"], &["kafka-topics"], &["topic", "kafka-acls"]),
    (&["ottla", "topic", "s"], &["set", "set-rf"], &["list"]),
    (&["kafka-topics.sh", "--boot"], &["--bootstrap-server"], &["--topic"]),
    (
        &["kafka-topics", "--bootstrap-server", "localhost:1", "--top"],
        &["--topic", "--topic-id"],
        &["--list"],
    ),
    (&["kafka-storage.sh", "format", "--clu"], &["--cluster-id"], &["--config"]),
    (&["kafka-storage.sh", "ver"], &["version-mapping"], &["format"]),
];

/// Every shell that is there.
pub(super) fn offered() -> Result<()> {
    let dir = scratch("completions")?;
    for (shell, file, ask) in [
        ("bash", "share/bash-completion/completions/ottla", bash as fn(&Path, &Path, &[&str]) -> Command),
        ("zsh", "share/zsh/vendor-completions/_ottla", zsh),
        ("fish", "share/fish/vendor_completions.d/ottla.fish", fish),
    ] {
        if machine::on_path(shell).is_none() {
            println!("      (lacking: {shell}; its completions are not looked at)");
            continue;
        }
        let script = dist::tree().join(file);
        for (words, wanted, others) in LINES {
            let told = good(ask(&dir, &script, words).current_dir(&dir))?;
            // fish tells a description behind a tab.
            let found: Vec<&str> =
                told.lines().map(|line| line.split('\t').next().unwrap_or_default().trim()).collect();
            for word in *wanted {
                ensure!(found.contains(word), "{shell} {words:?}: no {word} in {found:?}");
            }
            for word in *others {
                ensure!(!found.contains(word), "{shell} {words:?}: {word} in {found:?}");
            }
        }
    }
    Ok(())
}

/// The function that `complete` registered, as readline would call it.
fn bash(_: &Path, script: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command.args(["--norc", "-c"]).arg(
        "source \"$1\"; shift; complete -p \"$1\" >/dev/null || exit 1
         COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_LINE=\"$*\"; COMP_POINT=${#COMP_LINE}
         f=$(complete -p \"$1\" | sed 's/.*-F \\([^ ]*\\).*/\\1/'); \"$f\"; printf '%s\\n' \"${COMPREPLY[@]}\"",
    );
    command.arg("bash").arg(script).args(words);
    command
}

/// Found by `compinit` in a directory of `fpath`, as any system's; what it adds is filtered as zsh would.
fn zsh(dir: &Path, script: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("zsh");
    command.args(["-f", "-c"]).arg(
        "home=$1; fpath=(${2:h} $fpath); shift 2; autoload -Uz compinit; compinit -u -d $home/zcompdump
         f=$_comps[$1]; [[ -n $f ]] || { echo \"nothing completes $1\" >&2; exit 1 }
         compadd() { local name=$argv[-1]; print -rl -- ${(M)${(@P)name}:#${words[CURRENT]}*} }
         words=(\"$@\"); CURRENT=$#; $f",
    );
    command.arg("zsh").arg(dir).arg(script).args(words);
    command
}

/// Asked as fish's own tests ask.
fn fish(dir: &Path, script: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("fish");
    command.env("HOME", dir).args(["--no-config", "-c"]);
    command.arg(format!("source '{}'; complete -C '{}'", script.display(), words.join(" ")));
    command
}
