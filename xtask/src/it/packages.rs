//! What a release is handed out as: sums, the Debian package, the units of systemd and what they wait for, the entry
//! script of the container image (run here without a container).

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Background, LIMIT, completions, good, own_config, refused, say, scratch, script};
use crate::server::{CLUSTER, free_ports};
use crate::tally::Tally;
use crate::{dist, frame, machine, process};

pub fn run(tally: &mut Tally) -> Result<()> {
    tally.check("dist --deb: every package is what its sums say", sums);
    tally.check("the Debian package: fields, files, sums; what it installs runs", debian);
    tally.check("completions: what bash, zsh and fish offer on a line", completions::offered);
    tally.check("the units are what systemd takes, and may start what they name", units);
    tally.check("Type=notify: READY=1 when clients are served, STOPPING=1 at SIGTERM", notifies);
    tally.check("container: variables, the same directory again, another cluster's", variables);
    tally.check("container: a mounted file, variables over it, arguments over them", mounted);
    tally.check("container: the stock configuration when nothing is said", nothing_said);
    tally.check("container: a controller that advertises, arguments that are none", refusals);
    Ok(())
}

fn dist_dir() -> PathBuf {
    process::target().join("dist")
}

fn sums() -> Result<()> {
    dist::run(&dist::Release { debian: true, ..Default::default() })?;
    let checked = good(Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(dist_dir()))?;
    ensure!(checked.lines().filter(|line| line.ends_with(": OK")).count() == 2, "two packages: {checked}");
    for entry in fs::read_dir(dist_dir())?.flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().ends_with(".sha512") {
            good(Command::new("sha512sum").arg("-c").arg(name).current_dir(dist_dir()))?;
        }
    }
    Ok(())
}

fn package() -> Result<PathBuf> {
    let packages = fs::read_dir(dist_dir())?.flatten().map(|entry| entry.path());
    let packages: Vec<PathBuf> =
        packages.filter(|path| path.extension().is_some_and(|e| e == "deb")).collect();
    ensure!(packages.len() == 1, "one package, not {packages:?}");
    Ok(packages[0].clone())
}

/// The package's files below `to`: by dpkg where it is, else as what it is, an archive of archives.
fn unpack(package: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    if machine::on_path("dpkg-deb").is_some() {
        return good(Command::new("dpkg-deb").arg("-x").arg(package).arg(to)).map(drop);
    }
    good(Command::new("ar").arg("x").arg(package).arg("data.tar.gz").current_dir(to))?;
    good(Command::new("tar").args(["-xzf", "data.tar.gz"]).current_dir(to)).map(drop)
}

fn debian() -> Result<()> {
    let (dir, package) = (scratch("debian")?, package()?);
    let root = dir.join("unpacked");
    unpack(&package, &root)?;
    let version = good(Command::new(root.join("opt/ottla/bin/ottla")).arg("version"))?;
    ensure!(version.starts_with("ottla "), "{version}");
    let link = fs::read_link(root.join("usr/bin/ottla"))?;
    ensure!(root.join("usr/bin").join(&link).is_file(), "usr/bin/ottla leads to {}", link.display());
    for file in ["man/man1/ottla.1", "bash-completion/completions/ottla", "zsh/vendor-completions/_ottla"] {
        let length = fs::metadata(root.join("usr/share").join(file)).with_context(|| file.to_owned())?.len();
        ensure!(length > 100, "{file} has {length} bytes");
    }
    good(script("ottla").args(["config", "check"]).arg(root.join("etc/ottla/server.properties")))?;
    if machine::on_path("dpkg").is_none() {
        println!("      (without dpkg, lacking: unpacked with ar and tar, not installed)");
        return Ok(());
    }
    let fields = good(Command::new("dpkg-deb").arg("-f").arg(&package))?;
    for field in
        ["Package: ottla\n", "Version: ", "Architecture: ", "Depends: libc6", "Description: Kafka-comp"]
    {
        ensure!(fields.contains(field), "no `{field}` in\n{fields}");
    }
    let list = good(Command::new("dpkg-deb").arg("-c").arg(&package))?;
    ensure!(
        list.lines().all(|line| line.contains(" root/root ") || line.contains(" 0/0 ")),
        "root owns all:\n{list}"
    );
    // A system of its own: dpkg's books below it, its scripts told so (DPKG_ROOT).
    let system = dir.join("system");
    fs::create_dir_all(system.join("var/lib/dpkg/updates"))?;
    fs::create_dir_all(system.join("var/lib/dpkg/info"))?;
    fs::write(system.join("var/lib/dpkg/status"), "")?;
    let dpkg = |words: &[&str]| {
        let mut command = Command::new("dpkg");
        command.arg(format!("--root={}", system.display())).arg("--force-not-root");
        command.args(["--force-script-chrootless", "--force-depends"]).args(words);
        process::checked(&mut command, Duration::from_secs(60))
    };
    dpkg(&["-i", &package.display().to_string()])?;
    let books = fs::read_to_string(system.join("var/lib/dpkg/status"))?;
    ensure!(books.contains("Status: install ok installed"), "{books}");
    let own = "# mine\n";
    fs::write(system.join("etc/ottla/server.properties"), own)?;
    let verified = dpkg(&["--verify", "ottla"])?;
    ensure!(!verified.contains("/opt/"), "the files are those of the sums:\n{verified}");
    dpkg(&["-r", "ottla"])?;
    ensure!(!system.join("opt/ottla/bin/ottla").exists(), "it is gone");
    let kept = fs::read_to_string(system.join("etc/ottla/server.properties"))?;
    ensure!(kept == own, "a changed configuration stays");
    Ok(())
}

fn units() -> Result<()> {
    let dir = scratch("units")?;
    if machine::on_path("systemd-analyze").is_none() {
        println!("      (lacking: systemd-analyze; the units are not looked at)");
        return Ok(());
    }
    for name in ["ottla.service", "ottla@.service"] {
        let unit = fs::read_to_string(dist::tree().join("systemd").join(name))?;
        ensure!(
            unit.contains("ExecStart=/opt/ottla/bin/ottla kafka.Kafka /etc/ottla/"),
            "what {name} starts"
        );
        // Where the tree lies here.
        let here = unit.replace("/opt/ottla", &dist::tree().canonicalize()?.display().to_string());
        let file = dir.join(name.replace('@', "@one"));
        fs::write(&file, here)?;
        let output = say(Command::new("systemd-analyze").arg("verify").arg(&file))?;
        let about = |line: &&str| line.contains("ottla");
        let said: Vec<&str> = output.stderr.lines().filter(about).collect();
        ensure!(output.status.success() && said.is_empty(), "{name}:{}", output.tail());
    }
    Ok(())
}

fn notifies() -> Result<()> {
    let dir = scratch("notify")?;
    let ports = free_ports()?;
    let file = own_config(&dir, 1, ports)?;
    good(script("kafka-storage.sh").args(["format", "-t", CLUSTER, "-c"]).arg(&file))?;
    // Short: the name of a socket has 108 bytes at most.
    let socket = std::env::temp_dir().join(format!("ottla-notify-{}", std::process::id()));
    let _ = fs::remove_file(&socket);
    let manager = UnixDatagram::bind(&socket)?;
    manager.set_read_timeout(Some(LIMIT))?;
    let heard = || -> Result<String> {
        let mut bytes = [0; 256];
        let length = manager.recv(&mut bytes).context("nothing was said")?;
        Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
    };
    let mut command = script("ottla");
    command.args(["kafka.Kafka"]).arg(&file).env("NOTIFY_SOCKET", &socket).env("LOG_DIR", dir.join("logs"));
    let node = Background::spawn(&mut command, dir.join("out"))?;
    let outcome = (|| {
        ensure!(heard()? == "READY=1", "READY=1 first");
        ensure!(frame::brokers(ports[0], Duration::from_secs(5))? == 1, "it serves when it says so");
        node.end("TERM")?;
        ensure!(heard()? == "STOPPING=1", "STOPPING=1 then");
        Ok(())
    })();
    let _ = fs::remove_file(&socket);
    outcome
}

/// The image's paths below a directory: the tree as `/opt/kafka`, with a `config` of its own.
struct Image {
    dir: PathBuf,
}

impl Image {
    fn make(name: &str) -> Result<Image> {
        let dir = scratch(name)?;
        let home = dir.join("kafka");
        for part in ["kafka/bin", "kafka/config/kraft", "mounted"] {
            fs::create_dir_all(dir.join(part))?;
        }
        for entry in fs::read_dir(dist::tree().join("bin"))?.flatten() {
            symlink(entry.path(), home.join("bin").join(entry.file_name()))?;
        }
        Ok(Image { dir })
    }

    /// The entry script with these variables and no others.
    fn run(&self, variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(dist::tree().join("container/run"));
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("OTTLA_HOME", self.dir.join("kafka")).env("OTTLA_MOUNTED", self.dir.join("mounted"));
        command.env("LOG_DIR", self.dir.join("logs")).envs(variables.iter().copied()).current_dir("/");
        command
    }

    fn start(&self, command: &mut Command) -> Result<Background> {
        let mut node = Background::spawn(command, self.dir.join("out"))?;
        // The words that programs wait for that start containers.
        node.until("Transitioning from RECOVERY to RUNNING")?;
        node.until("Kafka Server started")?;
        Ok(node)
    }

    /// The lines of the file that the node was started with.
    fn lines(&self) -> Result<BTreeMap<String, String>> {
        let text = fs::read_to_string(self.dir.join("kafka/config/server.properties"))?;
        let pair = |line: &str| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        Ok(text.lines().filter(|line| !line.starts_with('#')).filter_map(pair).collect())
    }
}

fn variables() -> Result<()> {
    let image = Image::make("container")?;
    let [clients, brokers, controllers] = free_ports()?;
    let listeners = format!(
        "PLAINTEXT://0.0.0.0:{clients},BROKER://0.0.0.0:{brokers},CONTROLLER://0.0.0.0:{controllers}"
    );
    let advertised = format!("PLAINTEXT://localhost:{clients},BROKER://localhost:{brokers}");
    let data = image.dir.join("data").display().to_string();
    let voters = format!("7@localhost:{controllers}");
    let given = [
        ("CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw"),
        ("KAFKA_NODE_ID", "7"),
        ("KAFKA_PROCESS_ROLES", "broker,controller"),
        ("KAFKA_LISTENERS", &listeners),
        ("KAFKA_ADVERTISED_LISTENERS", &advertised),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", "BROKER"),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", &voters),
        ("KAFKA_LOG_DIRS", &data),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
        ("KAFKA_LOG_FLUSH_INTERVAL_MESSAGES", "9223372036854775807"),
        ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
        ("KAFKA_HEAP_OPTS", "-Xmx1G"),
    ];
    for _ in 0..2 {
        let node = image.start(&mut image.run(&given))?;
        ensure!(frame::brokers(clients, Duration::from_secs(5))? == 1, "it serves");
        node.end("TERM")?;
    }
    let lines = image.lines()?;
    ensure!(lines["node.id"] == "7" && lines["log.dirs"] == data, "{lines:?}");
    ensure!(lines.len() == given.len() - 2, "no line for CLUSTER_ID and what a JVM understands: {lines:?}");
    let meta = fs::read_to_string(image.dir.join("data/meta.properties"))?;
    ensure!(meta.contains("cluster.id=4L6g3nShT-eMCtK--X86sw") && meta.contains("node.id=7"), "{meta}");
    refused(image.run(&given).env("CLUSTER_ID", CLUSTER), &["4L6g3nShT-eMCtK--X86sw"])
}

fn mounted() -> Result<()> {
    let image = Image::make("container-mounted")?;
    let ports = free_ports()?;
    own_config(&image.dir.join("mounted"), 3, ports)?;
    let mut command = image.run(&[("KAFKA_NUM_PARTITIONS", "5"), ("KAFKA_LOG_RETENTION_HOURS", "5")]);
    let node = image.start(command.arg("KAFKA_LOG_RETENTION_HOURS=6"))?;
    ensure!(frame::brokers(ports[0], Duration::from_secs(5))? == 1, "it serves");
    node.end("TERM")?;
    let lines = image.lines()?;
    let got =
        (lines["node.id"].as_str(), lines["num.partitions"].as_str(), lines["log.retention.hours"].as_str());
    ensure!(got == ("3", "5", "6"), "{lines:?}");
    let meta = fs::read_to_string(image.dir.join("mounted/data/meta.properties"))?;
    ensure!(meta.contains("cluster.id=5L6g3nShT-eMCtK--X86sw"), "the id that nobody named: {meta}");
    Ok(())
}

fn nothing_said() -> Result<()> {
    let image = Image::make("container-stock")?;
    let ports = free_ports()?;
    let stock = own_config(&image.dir.join("kafka/config/kraft"), 1, ports)?;
    let node = image.start(&mut image.run(&[]))?;
    ensure!(frame::brokers(ports[0], Duration::from_secs(5))? == 1, "it serves");
    node.end("TERM")?;
    let (ours, stock) = (fs::read(image.dir.join("kafka/config/server.properties"))?, fs::read(stock)?);
    ensure!(ours == stock, "the stock file as it is");
    Ok(())
}

fn refusals() -> Result<()> {
    let image = Image::make("container-refused")?;
    let given = [("KAFKA_PROCESS_ROLES", "controller"), ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://a:1")];
    refused(&mut image.run(&given), &["KAFKA_ADVERTISED_LISTENERS is not supported on a KRaft controller."])?;
    refused(image.run(&[]).arg("kafka-topics.sh"), &["'kafka-topics.sh' is not NAME=value"])?;
    // A listener whose name nobody maps: the node's own words, before anything is formatted.
    refused(&mut image.run(&[("KAFKA_NODE_ID", "1")]), &["process.roles"])
}
