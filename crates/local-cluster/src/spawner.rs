//! The thread that starts every process. A process is killed by the kernel when the *thread* that started it ends
//! (Linux, `PR_SET_PDEATHSIG`), so one thread that lives as long as this program starts all of them.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

/// The environment variable that tells a child whose death is its own: the owner's process id. The child itself asks
/// the kernel for the signal, because that must happen between its start and its work.
pub const OWNER: &str = "OTTLA_OWNER";

type Job = (Command, Sender<io::Result<Child>>);

static SPAWNER: OnceLock<Sender<Job>> = OnceLock::new();

/// Starts `command` as a child that ends with this program.
pub(crate) fn spawn(mut command: Command) -> io::Result<Child> {
    command.env(OWNER, std::process::id().to_string());
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, reply) in jobs {
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let (reply, answer) = channel();
    let gone = |_| io::Error::other("the thread that starts processes is gone");
    spawner.send((command, reply)).map_err(|_| gone(()))?;
    answer.recv().map_err(|_| gone(()))?
}
