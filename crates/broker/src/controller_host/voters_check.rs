//! Voters that changed in the file alone. Kafka up to 3.8 refused to start then, later releases use the new list at once:
//! two majorities may then decide different things. Here voters never change without being asked.

use std::collections::BTreeSet;

use ottla_config::NodeConfig;
use ottla_quorum::{METADATA_DIRECTORY, state_file};

use crate::dirs::Dirs;
use crate::start_error::StartError;

/// Refuses a `controller.quorum.voters` that is not the list with which this node voted or followed before. Changes
/// nothing. A file that cannot be read is refused elsewhere.
pub(super) fn same_voters(config: &NodeConfig, dirs: &Dirs) -> Result<(), StartError> {
    let directory = dirs.metadata.path().join(METADATA_DIRECTORY);
    let Ok(Some(election)) = state_file::read(&**dirs.metadata.disk(), &directory) else { return Ok(()) };
    let configured: BTreeSet<i32> = config.quorum.voters.iter().map(|voter| voter.id).collect();
    match difference(&configured, election.kraft_version, &election.voters) {
        None => Ok(()),
        Some((configured, stored)) => Err(StartError::Quorum(format!(
            "Configured voter set: {configured} is different from the voter set read from the state file: {stored}. Check \
             if the quorum configuration is up to date, or wipe out the local state file if necessary\n    the \
             configuration: controller.quorum.voters; the state file: {}; nothing was changed\n    next: put \
             controller.quorum.voters back to {stored} on every node, and add the new controller while the cluster runs: \
             kafka-features.sh upgrade --feature kraft.version=1, then kafka-metadata-quorum.sh add-controller\n    or, if \
             the topics of this cluster are not needed, format every node anew",
            directory.join(state_file::FILE_NAME).display(),
        ))),
    }
}

/// Both lists as Kafka shows them, if they differ. With `kraft.version` 1 the log has the voters.
fn difference(configured: &BTreeSet<i32>, kraft_version: i16, stored: &[i32]) -> Option<(String, String)> {
    let stored: BTreeSet<i32> = stored.iter().copied().collect();
    let comparable = kraft_version == 0 && !stored.is_empty() && !configured.is_empty();
    (comparable && *configured != stored).then(|| {
        let shown = |ids: &BTreeSet<i32>| format!("{:?}", ids.iter().collect::<Vec<_>>());
        (shown(configured), shown(&stored))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lists_that_are_there_and_differ_are_refused() {
        let ids = |ids: &[i32]| ids.iter().copied().collect::<BTreeSet<i32>>();
        let shown = difference(&ids(&[0, 1]), 0, &[0]).expect("they differ");
        assert_eq!(shown, ("[0, 1]".to_owned(), "[0]".to_owned()));
        assert!(difference(&ids(&[2, 0, 1]), 0, &[0, 1, 2]).is_none(), "the order is not the list");
        assert!(difference(&ids(&[0]), 0, &[]).is_none(), "nobody voted yet");
        assert!(difference(&ids(&[]), 0, &[0]).is_none(), "controller.quorum.bootstrap.servers");
        assert!(difference(&ids(&[0]), 1, &[0, 1]).is_none(), "the log has the voters");
    }
}
