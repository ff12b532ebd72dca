//! Voters that changed in the file alone. Apache Kafka up to 3.8 refuses to start then; later releases use the new list
//! at once, and two majorities may decide different things. Here voters never change without being asked, and one change
//! alone can be asked for: see [`is_safe`].

use std::path::Path;

use ottla_config::NodeConfig;
use ottla_log::fs::Disk;
use ottla_quorum::{METADATA_DIRECTORY, state_file};
use tracing::warn;

use crate::dirs::Dirs;
use crate::start_error::StartError;

/// The voters of the state file, and those of the configuration.
type Lists = (Vec<i32>, Vec<i32>);

/// The key that allows the one change.
const KEY: &str = "ottla.voter.change.enable";

/// Refuses a `controller.quorum.voters` that is not the list under which this controller has voted or followed before.
/// Changes nothing. Brokers have no vote: to them the list only says whom to ask.
pub(super) fn check(config: &NodeConfig, dirs: &Dirs) -> Result<(), StartError> {
    if !config.roles.controller {
        return Ok(());
    }
    let metadata_log = dirs.metadata.path().join(METADATA_DIRECTORY);
    let configured = config.quorum.voters.iter().map(|voter| voter.id).collect();
    let Some((stored, configured)) = difference(&**dirs.metadata.disk(), &metadata_log, configured)? else {
        return Ok(());
    };
    let safe = is_safe(config.node_id, &stored, &configured);
    if safe && config.quorum.voter_change {
        warn!(
            "the voters change from {stored:?} to {configured:?}, as {KEY} asks: from now on both are needed for a \
             majority"
        );
        return Ok(());
    }
    let remedies = remedies(config, dirs, &stored, safe);
    Err(StartError::Voters { configured, stored, path: metadata_log.join(state_file::FILE_NAME), remedies })
}

/// The voters of the state file and those of the configuration, sorted, if they differ. In a dynamic quorum the log has
/// the voters, and the state file names none.
fn difference(
    disk: &dyn Disk,
    metadata_log: &Path,
    mut configured: Vec<i32>,
) -> Result<Option<Lists>, StartError> {
    let election = state_file::read(disk, metadata_log);
    let stored = election.map_err(|error| StartError::Quorum(error.to_string()))?;
    let Some(election) = stored else { return Ok(None) };
    let mut stored = election.voters;
    stored.sort_unstable();
    configured.sort_unstable();
    let comparable = election.kraft_version == 0 && !stored.is_empty() && !configured.is_empty();
    Ok((comparable && stored != configured).then_some((stored, configured)))
}

/// Whether the change keeps everything that was committed, whatever the other nodes do: this node alone had all of it
/// and is in every majority of the new list. That is so for the only voter that gets one more beside it; two new
/// ones would be a majority without it, and would begin with an empty log.
fn is_safe(own: i32, stored: &[i32], configured: &[i32]) -> bool {
    stored == [own] && configured.len() == 2 && configured.contains(&own)
}

/// What to type. `FILE` is this node's configuration file; whoever prints it puts the name in.
fn remedies(config: &NodeConfig, dirs: &Dirs, stored: &[i32], safe: bool) -> String {
    let address = |id: i32| {
        let voter = config.quorum.voters.iter().find(|voter| voter.id == id);
        voter.map_or_else(|| "HOST:PORT".to_owned(), |voter| voter.address.to_string())
    };
    let old: Vec<String> = stored.iter().map(|id| format!("{id}@{}", address(*id))).collect();
    let old = old.join(",");
    let controllers: Vec<String> = stored.iter().map(|id| address(*id)).collect();
    let controllers = controllers.join(",");
    let broker = config.listeners.advertised.first().map_or_else(
        || format!("--bootstrap-controller {controllers}"),
        |at| format!("--bootstrap-server {}:{}", at.host.as_deref().unwrap_or("localhost"), at.port),
    );
    let cluster = &dirs.cluster_id;
    let directories: Vec<String> = dirs.all.iter().map(|dir| dir.path().display().to_string()).collect();
    let mut directories = directories.join(" ");
    let metadata = dirs.metadata.path().display().to_string();
    if !directories.split(' ').any(|dir| dir == metadata) {
        directories = format!("{directories} {metadata}");
    }
    let typed = |line: String| format!("           {line}");
    let text = |line: &str| format!("       {line}");
    let mut lines = vec![
        "    three ways out:".to_owned(),
        "    1. keep the cluster, and add controllers while it runs: write the old list back into FILE, start this node"
            .to_owned(),
        typed(format!("controller.quorum.voters={old}")),
        typed("bin/kafka-server-start.sh -daemon FILE".to_owned()),
        typed(format!("bin/kafka-features.sh {broker} upgrade --feature kraft.version=1")),
        text("in the new controller's file, NEW, name CONTROLLER in advertised.listeners, and in place of the voters write"),
        typed(format!("controller.quorum.bootstrap.servers={controllers}")),
        typed(format!("bin/kafka-storage.sh format -t {cluster} --no-initial-controllers -c NEW")),
        typed("bin/kafka-server-start.sh -daemon NEW".to_owned()),
        typed(format!(
            "bin/kafka-metadata-quorum.sh --bootstrap-controller {controllers} --command-config NEW add-controller"
        )),
    ];
    if safe {
        lines.extend([
            "    2. this node was the only voter, and may get one more beside it: leave the new list, and start this node once"
                .to_owned(),
            typed(format!("bin/kafka-server-start.sh -daemon FILE --override {KEY}=true")),
            text("then start the new controller, with the same list, as always; from then on both are needed"),
        ]);
    } else {
        lines.extend([
            format!("    2. --override {KEY}=true does not help here: it lets an only voter get one more beside it;"),
            text("after any other change a majority could be made that lacks what was committed"),
        ]);
    }
    lines.extend([
        "    3. throw away everything that this cluster has: stop its nodes, then".to_owned(),
        typed(format!("rm -r {directories}")),
        typed("KAFKA_CLUSTER_ID=$(bin/kafka-storage.sh random-uuid)".to_owned()),
        typed("bin/kafka-storage.sh format -t $KAFKA_CLUSTER_ID -c FILE".to_owned()),
        text("and the same for every other node, with that id"),
    ]);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_log::fs::RealDisk;

    #[test]
    fn another_list_of_voters_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let check = |voters: &[i32]| difference(&RealDisk, dir.path(), voters.to_vec()).unwrap();
        assert!(check(&[1]).is_none(), "this node has not voted");
        let mut election = ottla_raft::Election {
            epoch: 3,
            leader: None,
            voted: None,
            voters: vec![2, 1],
            kraft_version: 0,
        };
        state_file::write(&RealDisk, dir.path(), &election).unwrap();
        assert!(check(&[1, 2]).is_none(), "the order is not the list");
        assert!(check(&[]).is_none(), "controller.quorum.bootstrap.servers");
        assert_eq!(check(&[3, 2, 1]), Some((vec![1, 2], vec![1, 2, 3])));
        election.kraft_version = 1;
        state_file::write(&RealDisk, dir.path(), &election).unwrap();
        assert!(check(&[7]).is_none(), "its voters are in the log");
    }

    #[test]
    fn only_a_lone_voter_may_get_one_more() {
        assert!(is_safe(0, &[0], &[0, 1]));
        assert!(!is_safe(0, &[0], &[0, 1, 2]), "two empty nodes would be a majority");
        assert!(!is_safe(0, &[0], &[1, 2]) && !is_safe(0, &[0], &[1]), "this node is gone from it");
        assert!(!is_safe(0, &[0, 1], &[0]), "the other one may have voted for more");
        assert!(!is_safe(0, &[0, 1], &[0, 1, 2]), "whether 1 has caught up is not known");
        assert!(!is_safe(0, &[1], &[0, 1]), "this node has nothing of it");
    }
}
