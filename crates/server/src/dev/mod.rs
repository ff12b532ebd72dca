//! `ottla dev`: a cluster for trying out. Formats its directory when that is empty, never touches anything else.

macro_rules! say {
    ($($line:tt)*) => { super::say(format_args!($($line)*)) };
}

mod changes;
mod one;
mod several;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ottla_local_cluster::Topology;

/// How many nodes an empty directory begins with.
const NODES: u16 = 3;

/// A cluster for trying out.
#[derive(Debug, Parser)]
#[command(name = "ottla dev")]
struct Arguments {
    /// How many nodes [default: what the data directory holds; 3 when it is empty].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=99))]
    nodes: Option<u16>,
    /// This many controllers of their own beside the nodes, which are brokers then; without it every node is both.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=9))]
    controllers: Option<u16>,
    /// The first port: clients from here on, one port for each node, then the controllers.
    #[arg(long, default_value_t = 9092)]
    port: u16,
    /// The directory for all data; formatted when it is empty or missing.
    #[arg(long, default_value = "./ottla-data")]
    data_dir: PathBuf,
    /// Data in a temporary directory that goes away when the nodes stop.
    #[arg(long, conflicts_with = "data_dir")]
    ephemeral: bool,
}

/// Where the data lies.
struct Place {
    dir: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

impl Place {
    fn of(arguments: &Arguments) -> Result<Place, String> {
        if arguments.ephemeral {
            let temporary = tempfile::Builder::new().prefix("ottla-dev-").tempdir();
            let temporary = temporary.map_err(|e| format!("no temporary directory: {e}"))?;
            return Ok(Place { dir: temporary.path().to_owned(), temporary: Some(temporary) });
        }
        let dir = std::path::absolute(&arguments.data_dir).map_err(|e| e.to_string())?;
        Ok(Place { dir, temporary: None })
    }

    fn shown(&self) -> String {
        let end = if self.temporary.is_some() { " (goes away at the end)" } else { "" };
        format!("{}{end}", self.dir.display())
    }
}

/// Nodes that are brokers (and controllers too, unless there are `controllers` of their own).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    nodes: u16,
    controllers: Option<u16>,
}

impl Shape {
    const ONE: Shape = Shape { nodes: 1, controllers: None };

    fn topology(self) -> Topology {
        match self.controllers {
            None => Topology::combined(self.nodes),
            Some(controllers) => Topology::split(self.nodes, controllers),
        }
    }

    /// How many ports it takes.
    fn ports(self) -> u16 {
        self.nodes + self.controllers.unwrap_or(self.nodes)
    }

    fn shown(self) -> String {
        let s = |count| if count == 1 { "" } else { "s" };
        match self.controllers {
            None => format!("{} node{}", self.nodes, s(self.nodes)),
            Some(c) => format!("{} broker{} and {c} controller{}", self.nodes, s(self.nodes), s(c)),
        }
    }
}

/// A line on standard output. The cluster goes on when nobody reads it any more (`ottla dev | head`).
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let started = Instant::now();
    let name = OsString::from("ottla dev");
    let arguments = match Arguments::try_parse_from(std::iter::once(&name).chain(args)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(1) } else { ExitCode::SUCCESS };
        }
    };
    serve(&arguments, started).err().map_or(ExitCode::SUCCESS, |message| {
        eprintln!("{message}");
        ExitCode::from(1)
    })
}

fn serve(arguments: &Arguments, started: Instant) -> Result<(), String> {
    let place = Place::of(arguments)?;
    let held = held(&place.dir)?;
    let shape = choose(arguments, held).map_err(|held| {
        format!(
            "{} holds a cluster of {}, which cannot become another; it stays as it is.\n    next: ottla dev goes on with it; ottla dev --data-dir ANOTHER_DIRECTORY begins a new one",
            place.dir.display(),
            held.shown()
        )
    })?;
    if shape == Shape::ONE {
        return one::serve(&place, held.is_none(), arguments.port, started);
    }
    several::serve(place, shape, arguments.port, started)
}

/// What is asked for, if it is what is there. The error: what is there.
fn choose(arguments: &Arguments, held: Option<Shape>) -> Result<Shape, Shape> {
    let asked = arguments.nodes.is_some() || arguments.controllers.is_some();
    match held {
        Some(held) if !asked => Ok(held),
        _ => {
            let nodes = arguments.nodes.unwrap_or(NODES);
            let wanted = Shape { nodes, controllers: arguments.controllers };
            held.filter(|held| *held != wanted).map_or(Ok(wanted), Err)
        }
    }
}

/// The cluster that lies in `dir`; none when the directory is empty. An error when something else is in it.
fn held(dir: &Path) -> Result<Option<Shape>, String> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read {}: {error}", dir.display())),
    };
    if dir.join("meta.properties").is_file() {
        return Ok(Some(Shape::ONE));
    }
    let (mut brokers, mut controllers, mut combined, mut others) = (0, 0, 0, 0);
    for entry in entries {
        let path = entry.map_err(|error| format!("cannot read {}: {error}", dir.display()))?.path();
        let text = std::fs::read_to_string(path.join("server.properties")).unwrap_or_default();
        match text.lines().find_map(|line| line.strip_prefix("process.roles=")) {
            Some("broker,controller") => combined += 1,
            Some("broker") => brokers += 1,
            Some("controller") => controllers += 1,
            _ => others += 1,
        }
    }
    match (combined, brokers, controllers) {
        (0, 0, 0) if others == 0 => Ok(None),
        (nodes, 0, 0) if nodes > 1 => Ok(Some(Shape { nodes, controllers: None })),
        (0, nodes, controllers) if nodes > 0 && controllers > 0 => {
            Ok(Some(Shape { nodes, controllers: Some(controllers) }))
        }
        _ => Err(format!(
            "{} is not empty and holds no formatted log directory; it stays as it is.\n    next: ottla dev --data-dir ANOTHER_DIRECTORY",
            dir.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&str]) -> Arguments {
        Arguments::try_parse_from(std::iter::once(&"dev").chain(words)).expect("right arguments")
    }

    fn node(dir: &Path, id: u16, roles: &str) {
        let node = dir.join(format!("node-{id}"));
        std::fs::create_dir_all(&node).expect("a directory");
        std::fs::write(node.join("server.properties"), format!("process.roles={roles}\n")).expect("a file");
    }

    #[test]
    fn a_directory_tells_what_it_holds() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path();
        assert_eq!(held(&dir.join("missing")), Ok(None));
        assert_eq!(held(dir), Ok(None));
        node(dir, 1, "broker,controller");
        node(dir, 2, "broker,controller");
        assert_eq!(held(dir), Ok(Some(Shape { nodes: 2, controllers: None })));
        node(dir, 3, "controller");
        assert!(held(dir).is_err());
        std::fs::write(dir.join("meta.properties"), "version=1\n").expect("a file");
        assert_eq!(held(dir), Ok(Some(Shape::ONE)));
    }

    #[test]
    fn foreign_files_are_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("thesis.txt"), "years").expect("a file");
        assert!(held(dir.path()).is_err());
    }

    #[test]
    fn what_is_held_goes_on_and_cannot_become_another() {
        let three = Shape { nodes: 3, controllers: None };
        let split = Shape { nodes: 3, controllers: Some(1) };
        assert_eq!(choose(&arguments(&[]), None), Ok(Shape { nodes: NODES, controllers: None }));
        assert_eq!(choose(&arguments(&[]), Some(Shape::ONE)), Ok(Shape::ONE));
        assert_eq!(choose(&arguments(&[]), Some(split)), Ok(split));
        assert_eq!(choose(&arguments(&["--nodes", "3"]), Some(Shape::ONE)), Err(Shape::ONE));
        assert_eq!(choose(&arguments(&["--nodes", "3"]), Some(three)), Ok(three));
        assert_eq!(choose(&arguments(&["--nodes", "3", "--controllers", "1"]), Some(three)), Err(three));
        assert_eq!((three.ports(), split.ports()), (6, 4));
    }
}
