//! A node that another program started for itself (`ottla dev`, tests) ends with that program, however it ends.

use ottla_local_cluster::OWNER;

/// Asks the kernel to end this process when its owner ends, if it has one.
pub(crate) fn follow() {
    let Some(owner) = std::env::var(OWNER).ok().and_then(|pid| pid.parse::<i32>().ok()) else { return };
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, getppid, set_parent_process_death_signal};
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        // It may have ended before the kernel knew; another program that inherited the variable is not the owner's.
        if getppid().is_none_or(|parent| parent.as_raw_nonzero().get() != owner) {
            eprintln!("ottla: the program that started this node (process {owner}) is gone");
            std::process::exit(1);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = owner;
}
