//! A Debian package of the release tree: an `ar` archive of two tar archives. Below `/opt/ottla` the tree as it is, the
//! program on the path, a configuration in `/etc/ottla`, the units, the user `ottla`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::{copy, copy_dir, time_of_sources, tree, version};
use crate::process;

const LIMIT: Duration = Duration::from_secs(120);
/// The node of the package keeps its data here; the unit's StateDirectory is above it.
const DATA: &str = "/var/lib/ottla/data";

/// Packs what [`super::lay_out`] laid out.
pub fn build() -> Result<PathBuf> {
    let dist = process::target().join("dist");
    let (stage, architecture) = (dist.join("deb"), architecture()?);
    if stage.exists() {
        fs::remove_dir_all(&stage)?;
    }
    let (data, control) = (stage.join("data"), stage.join("control"));
    fs::create_dir_all(&control)?;
    lay_out(&data)?;
    describe(&data, &control, architecture)?;
    for part in [&data, &control] {
        pack(part)?;
    }
    let package = dist.join(format!("ottla_{}_{architecture}.deb", version()?));
    let members = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", fs::read(stage.join("control.tar.gz"))?),
        ("data.tar.gz", fs::read(stage.join("data.tar.gz"))?),
    ];
    fs::write(&package, archive(&members, time_of_sources()?))?;
    fs::remove_dir_all(&stage)?;
    Ok(package)
}

/// Everything that the package puts on the disk.
fn lay_out(data: &Path) -> Result<()> {
    let packaging = process::root().join("packaging");
    let home = data.join("opt/ottla");
    fs::create_dir_all(&home)?;
    process::checked(Command::new("cp").arg("-a").arg(tree().join(".")).arg(&home), LIMIT)?;
    let bin = data.join("usr/bin");
    fs::create_dir_all(&bin)?;
    symlink("../../opt/ottla/bin/ottla", bin.join("ottla"))?;

    let stock = fs::read_to_string(tree().join("config/server.properties"))?;
    let own = stock.replace("log.dirs=/tmp/kraft-combined-logs", &format!("log.dirs={DATA}"));
    ensure!(own != stock, "config/server.properties has another log.dirs than the package expects");
    fs::create_dir_all(data.join("etc/ottla"))?;
    fs::write(data.join("etc/ottla/server.properties"), own)?;

    let units = data.join("usr/lib/systemd/system");
    fs::create_dir_all(&units)?;
    for unit in ["ottla.service", "ottla@.service"] {
        copy(&packaging.join(unit), &units.join(unit), 0o644)?;
    }
    fs::create_dir_all(data.join("etc/logrotate.d"))?;
    copy(&packaging.join("debian/logrotate"), &data.join("etc/logrotate.d/ottla"), 0o644)?;
    let doc = data.join("usr/share/doc/ottla");
    fs::create_dir_all(&doc)?;
    let licence = format!(
        "{}\n{}",
        fs::read_to_string(process::root().join("NOTICE"))?,
        fs::read_to_string(process::root().join("LICENSE"))?
    );
    fs::write(doc.join("copyright"), licence)?;
    // Completions and man pages lie where shells and man look for them.
    copy_dir(&tree().join("share"), &data.join("usr/share"), 0o644)
}

/// The fields and scripts of the package, and the sums of its files.
fn describe(data: &Path, control: &Path, architecture: &str) -> Result<()> {
    let packaging = process::root().join("packaging/debian");
    for script in ["postinst", "prerm", "postrm"] {
        copy(&packaging.join(script), &control.join(script), 0o755)?;
    }
    fs::write(control.join("conffiles"), "/etc/logrotate.d/ottla\n/etc/ottla/server.properties\n")?;
    let kib = process::checked(Command::new("du").args(["-sk"]).arg(data), LIMIT)?;
    let kib = kib.split_whitespace().next().context("du counts")?.to_owned();
    let libraries = match newest_glibc(&fs::read(tree().join("bin/ottla"))?) {
        Some(minor) => format!("Depends: libc6 (>= 2.{minor}), passwd\n"),
        None => "Depends: passwd\n".to_owned(),
    };
    fs::write(
        control.join("control"),
        format!(
            "Package: ottla\nVersion: {}\nArchitecture: {architecture}\nMaintainer: The Ottla project \
             <ottla@users.noreply.github.com>\nSection: net\nPriority: optional\nInstalled-Size: {kib}\n{libraries}\
             Homepage: https://github.com/ottla/ottla\n\
             Description: Kafka-compatible, KRaft-native cluster in one small binary\n \
             Brokers and controllers that speak Kafka's protocol and keep Kafka's files, with every\n \
             command of Kafka's bin directory. The tree of the release lies in /opt/ottla.\n",
            version()?
        ),
    )?;
    let mut find = Command::new("sh");
    find.args(["-c", "find . -type f | LC_ALL=C sort | sed 's,^\\./,,' | xargs -d '\\n' md5sum"]);
    fs::write(control.join("md5sums"), process::checked(find.current_dir(data), LIMIT)?)?;
    Ok(())
}

/// `PART.tar.gz` beside the directory, the same from the same sources.
fn pack(part: &Path) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(part).args([
        "--sort=name",
        "--format=gnu",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
    ]);
    tar.arg(format!("--mtime=@{}", time_of_sources()?)).args(["--mode=u+rw,go+r-w", "-cf"]);
    tar.arg(part.with_extension("tar")).arg(".");
    process::checked(&mut tar, LIMIT).context("packing takes GNU tar")?;
    let mut gzip = Command::new("gzip");
    process::checked(gzip.args(["-9", "-n", "-f"]).arg(part.with_extension("tar")), LIMIT).map(drop)
}

/// An `ar` archive: a word, then members of 60 bytes of text each before their bytes, which begin at even places.
fn archive(members: &[(&str, Vec<u8>)], time: u64) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        out.extend(
            format!("{name:<16}{time:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, "100644", bytes.len()).bytes(),
        );
        out.extend(bytes);
        if out.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

fn architecture() -> Result<&'static str> {
    Ok(match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("no Debian package for {other}"),
    })
}

/// The newest version of the C library that the program's symbols ask for: 34 for `GLIBC_2.34`. None: a static program.
fn newest_glibc(program: &[u8]) -> Option<u32> {
    let word = b"GLIBC_2.";
    let places = (0..program.len().saturating_sub(word.len())).filter(|at| program[*at..].starts_with(word));
    let minor = |at: usize| {
        let digits = program[at + word.len()..].iter().take_while(|b| b.is_ascii_digit()).take(4);
        std::str::from_utf8(&digits.copied().collect::<Vec<u8>>()).ok()?.parse().ok()
    };
    places.filter_map(minor).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_as_ar_writes_it() {
        let bytes = archive(&[("debian-binary", b"2.0\n".to_vec()), ("odd", b"x".to_vec())], 7);
        let text = String::from_utf8(bytes).unwrap();
        let head = "debian-binary   7           0     0     100644  4         `\n2.0\n";
        assert!(text.starts_with(&format!("!<arch>\n{head}")), "{text}");
        assert!(text.ends_with("100644  1         `\nx\n"), "{text}");
    }

    #[test]
    fn the_newest_symbol_decides() {
        assert_eq!(newest_glibc(b"..GLIBC_2.17\0GLIBC_2.34\0GLIBC_2.2.5\0"), Some(34));
        assert_eq!(newest_glibc(b"static"), None);
    }
}
