//! DescribeLogDirs (key 35): what lies in each log directory, and how much room is left (KIP-113, KIP-827).

use std::collections::{BTreeMap, HashMap, HashSet};

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use ottla_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use crate::dispatch::Call;
use crate::reply::{Outcome, Refusal};

pub(crate) fn describe(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: DescribeLogDirsRequest = call.owned()?;
    let asked: Option<HashMap<String, HashSet<i32>>> = request
        .topics
        .map(|topics| topics.into_iter().map(|t| (t.topic, t.partitions.into_iter().collect())).collect());
    let node = call.node();
    let mut by_dir: Vec<BTreeMap<String, Vec<DescribeLogDirsPartition>>> =
        node.dirs().iter().map(|_| BTreeMap::new()).collect();
    for partition in node.partitions().all() {
        let wanted = asked.as_ref().is_none_or(|asked| {
            asked.get(partition.topic()).is_some_and(|indexes| indexes.contains(&partition.index()))
        });
        if wanted {
            by_dir[partition.dir()].entry(partition.topic().to_owned()).or_default().push(
                DescribeLogDirsPartition {
                    partition_index: partition.index(),
                    partition_size: partition.size_bytes() as i64,
                    offset_lag: 0,
                    is_future_key: false,
                },
            );
        }
    }
    let results = node
        .dirs()
        .iter()
        .zip(by_dir)
        .map(|(dir, topics)| {
            let space = dir.space();
            DescribeLogDirsResult {
                error_code: if dir.is_online() { 0 } else { ErrorCode::KafkaStorageError.code() },
                log_dir: dir.path().display().to_string(),
                topics: topics
                    .into_iter()
                    .map(|(name, partitions)| DescribeLogDirsTopic { name, partitions })
                    .collect(),
                total_bytes: space.map_or(-1, |s| s.0 as i64),
                usable_bytes: space.map_or(-1, |s| s.1 as i64),
                is_cordoned: dir.is_cordoned(),
            }
        })
        .chain(node.failed_dirs().iter().map(|failed| DescribeLogDirsResult {
            error_code: ErrorCode::KafkaStorageError.code(),
            log_dir: failed.path.display().to_string(),
            ..Default::default()
        }))
        .collect();
    call.reply(&DescribeLogDirsResponse { results, ..Default::default() })
}
