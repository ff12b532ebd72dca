//! `cargo xtask dist`: the release tree in Kafka's shape at `target/dist/ottla/`, and the same as a `.tgz` that comes out
//! byte for byte the same from the same sources; with `--deb` as a Debian package too. Sums lie beside them, and signatures
//! where a key is named. What is given away is linked statically (`--static`): it runs on any Linux of its processor.

pub mod deb;
mod linked;
mod signed;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::machine;
use crate::process;
use crate::server;
pub use signed::Signer;

pub const USAGE: &str = "\
usage: cargo xtask dist [--static] [--deb] [--sign KEY]

  --static    a program without shared libraries (musl), for every Linux of this processor: what a release has
  --deb       a Debian package too
  --sign KEY  an armored signature beside each file, by a key of gpg's
";

/// What is made beside the `.tgz`, and how.
#[derive(Default)]
pub struct Release {
    pub is_static: bool,
    pub debian: bool,
    pub signer: Option<Signer>,
}

impl Release {
    /// What the words after `dist` ask for.
    pub fn parse(words: &[&str]) -> Result<Release> {
        let mut release = Release::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--static" => release.is_static = true,
                "--deb" => release.debian = true,
                "--sign" => release.signer = Some(Signer::of(words.next().context(USAGE)?)),
                other => bail!("dist: '{other}'?\n\n{USAGE}"),
            }
        }
        Ok(release)
    }
}

/// Where the tree lies, once [`lay_out`] has run.
pub fn tree() -> PathBuf {
    process::target().join("dist/ottla")
}

/// Builds, lays out and packs.
pub fn run(release: &Release) -> Result<()> {
    match release.is_static {
        true => lay_out_with(&linked::build()?)?,
        false => lay_out()?,
    }
    println!("{}", tree().display());
    clear()?;
    let mut packages = vec![pack()?];
    if release.debian {
        packages.push(deb::build()?);
    }
    for package in &packages {
        println!("{} ({} KiB)", package.display(), fs::metadata(package)?.len() / 1024);
    }
    sums(&packages)?;
    let Some(signer) = &release.signer else { return Ok(()) };
    packages.push(process::target().join("dist/SHA256SUMS"));
    packages.iter().try_for_each(|file| signer.sign(file))
}

/// Takes away what was packed before: a signature or a sum of then would lie beside a package of now.
fn clear() -> Result<()> {
    for entry in fs::read_dir(process::target().join("dist"))?.flatten() {
        if entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// `NAME.sha512` beside each package, and `SHA256SUMS` of all.
pub fn sums(packages: &[PathBuf]) -> Result<()> {
    let dist = process::target().join("dist");
    let sum = |program: &str, files: &[PathBuf]| {
        let names = files.iter().filter_map(|file| file.file_name());
        process::checked(Command::new(program).args(names).current_dir(&dist), Duration::from_secs(60))
    };
    for package in packages {
        let text =
            sum("sha512sum", std::slice::from_ref(package)).context("sums take sha512sum, of coreutils")?;
        fs::write(format!("{}.sha512", package.display()), text)?;
    }
    Ok(fs::write(dist.join("SHA256SUMS"), sum("sha256sum", packages)?)?)
}

/// Builds our program as this machine links it and lays the tree out anew.
pub fn lay_out() -> Result<()> {
    server::build()?;
    lay_out_with(&server::binary())
}

fn lay_out_with(program: &Path) -> Result<()> {
    let (root, tree) = (process::root(), tree());
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    fs::create_dir_all(&tree)?;
    copy_dir(&root.join("bin"), &tree.join("bin"), 0o755)?;
    link_without_suffix(&tree.join("bin"))?;
    copy_dir(&root.join("config"), &tree.join("config"), 0o644)?;
    copy_dir(&root.join("packaging/container"), &tree.join("container"), 0o755)?;
    fs::create_dir_all(tree.join("systemd"))?;
    for unit in ["ottla.service", "ottla@.service"] {
        copy(&root.join("packaging").join(unit), &tree.join("systemd").join(unit), 0o644)?;
    }
    for (from, to) in [("LICENSE", "LICENSE"), ("NOTICE", "NOTICE"), ("README.md", "README")] {
        copy(&root.join(from), &tree.join(to), 0o644)?;
    }
    let binary = tree.join("bin/ottla");
    copy(program, &binary, 0o755)?;
    match machine::on_path("strip") {
        Some(strip) => {
            process::checked(Command::new(strip).arg(&binary), Duration::from_secs(60))?;
        }
        None => eprintln!("dist: the program keeps its symbols (lacking: strip, in binutils)"),
    }
    handbook(&binary, &tree.join("share"))
}

/// Words for shells and manual pages, as the program itself gives them, where shells and man look below `share`.
fn handbook(binary: &Path, share: &Path) -> Result<()> {
    let limit = Duration::from_secs(60);
    for (shell, file) in [
        ("bash", "bash-completion/completions/ottla"),
        ("zsh", "zsh/vendor-completions/_ottla"),
        ("fish", "fish/vendor_completions.d/ottla.fish"),
    ] {
        let script = process::checked(Command::new(binary).args(["completion", shell]), limit)?;
        let file = share.join(file);
        fs::create_dir_all(file.parent().context("a directory")?)?;
        fs::write(file, script)?;
    }
    process::checked(Command::new(binary).args(["man", "--dir"]).arg(share.join("man")), limit).map(drop)
}

/// Every `kafka-x.sh` has the name `kafka-x` too, as packages of Kafka have it.
fn link_without_suffix(bin: &Path) -> Result<()> {
    for entry in fs::read_dir(bin)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Some(plain) = name.strip_suffix(".sh") {
            std::os::unix::fs::symlink(name, bin.join(plain)).with_context(|| plain.to_owned())?;
        }
    }
    Ok(())
}

/// The `.tgz` of the tree.
pub fn pack() -> Result<PathBuf> {
    let version = version()?;
    let dist = process::target().join("dist");
    let name = format!("ottla-{version}");
    let (tar, archive) = (dist.join(format!("{name}.tar")), dist.join(format!("{name}.tgz")));
    let mut command = Command::new("tar");
    command.current_dir(&dist).args([
        "--sort=name",
        "--format=ustar",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
    ]);
    command.arg(format!("--mtime=@{}", time_of_sources()?)).arg(format!("--transform=s,^ottla,{name},"));
    command.args(["--mode=u+rw,go+r-w", "-cf"]).arg(&tar).arg("ottla");
    process::checked(&mut command, Duration::from_secs(60)).context("packing takes GNU tar")?;
    process::checked(Command::new("gzip").args(["-9", "-n", "-f"]).arg(&tar), Duration::from_secs(120))?;
    fs::rename(dist.join(format!("{name}.tar.gz")), &archive)?;
    Ok(archive)
}

/// The time of the last commit: what is packed from the same sources has the same times.
fn time_of_sources() -> Result<u64> {
    if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") {
        return epoch.trim().parse().context("SOURCE_DATE_EPOCH");
    }
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).current_dir(process::root());
    let text = process::checked(&mut git, Duration::from_secs(20));
    Ok(text.ok().and_then(|t| t.trim().parse().ok()).unwrap_or(0))
}

fn version() -> Result<String> {
    let manifest = fs::read_to_string(process::root().join("Cargo.toml"))?;
    let line = manifest.lines().find(|l| l.starts_with("version = ")).context("Cargo.toml has a version")?;
    line.split('"').nth(1).map(str::to_owned).context("the version is quoted")
}

fn copy_dir(from: &Path, to: &Path, mode: u32) -> Result<()> {
    fs::create_dir_all(to)?;
    let mut count = 0;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &to.join(entry.file_name()), mode)?;
        } else {
            copy(&entry.path(), &to.join(entry.file_name()), mode)?;
        }
        count += 1;
    }
    ensure!(count > 0, "{} is empty", from.display());
    Ok(())
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("{} to {}", from.display(), to.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}
