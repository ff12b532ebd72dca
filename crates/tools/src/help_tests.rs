//! Every byte of a tool's help, against what Apache Kafka 4.3.1's tool was seen to print: as digests, FNV-1a over the
//! output. To see a difference run both tools with `--help`.

use crate::args::argparse;
use crate::runtime::Out;
use crate::{
    acls, client_metrics, cluster, configs, consumer_groups, delegation_tokens, features, get_offsets,
    groups, leader_election, log_dirs, metadata_quorum, reassign, replica_verification, share_groups,
    streams_groups, streams_reset, topics, transactions,
};

fn digest(text: &[u8]) -> u64 {
    text.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn tables_are_kafkas_byte_for_byte() {
    for (name, parser, seen) in [
        ("topics", topics::parser(), 0x2ff1797c3d744e48_u64),
        ("configs", configs::parser(), 0xd577d748967f5a8e_u64),
        ("get_offsets", get_offsets::parser(), 0xc0d2f3c65f2d5150_u64),
        ("consumer_groups", consumer_groups::parser(), 0xa5e8b394bc9600c5_u64),
        ("groups", groups::parser(), 0x1ad1b5f39678e2c7_u64),
        ("leader_election", leader_election::parser(), 0x10c7b43823c51d36_u64),
        ("reassign", reassign::parser(), 0x8335cf7a4810d75b_u64),
        ("client_metrics", client_metrics::parser(), 0x54591fd65704404a_u64),
        ("log_dirs", log_dirs::parser(), 0x2c6e7f345cce15ff_u64),
        ("delegation_tokens", delegation_tokens::parser(), 0x1a43a39684c87bb9_u64),
        ("share_groups", share_groups::parser(), 0xd9345f888f800373_u64),
        ("streams_groups", streams_groups::parser(), 0x6df7006e164fa9a9_u64),
        ("streams_reset", streams_reset::parser(), 0x79776a5fcc5a076a_u64),
        ("replica_verification", replica_verification::parser(), 0x3d976388d8da8b72_u64),
    ] {
        let help = parser.help();
        assert_eq!(digest(help.as_bytes()), seen, "{name}:\n{help}");
    }
}

#[test]
fn blocks_are_kafkas_byte_for_byte() {
    let help = |parser: &argparse::Parser, command: &str| {
        let mut out = Out::new_for_test();
        let args: Vec<String> =
            [command, "--help"].iter().filter(|arg| !arg.is_empty()).map(|arg| (*arg).to_owned()).collect();
        let stop = parser.parse(&args, &mut out).expect_err("help ends the tool");
        assert_eq!(stop.code, 0);
        out.into_test()
    };
    for (parser, command, seen) in [
        (metadata_quorum::parser(), "", 0x9baa41d0c15b7f85_u64),
        (metadata_quorum::parser(), "describe", 0xd6b07b64057fc1e2_u64),
        (metadata_quorum::parser(), "add-controller", 0x5e040fb0da81d6dd_u64),
        (metadata_quorum::parser(), "remove-controller", 0x9ff47b6fcbb36ede_u64),
        (cluster::parser(), "", 0x4f8a5e3fdae687db_u64),
        (cluster::parser(), "cluster-id", 0x717dfe593567170c_u64),
        (cluster::parser(), "unregister", 0x2d47e934edc87a21_u64),
        (cluster::parser(), "list-endpoints", 0xf49f29f612cfc4d5_u64),
        (transactions::parser(), "", 0x51c6c093eff1de37_u64),
        (transactions::parser(), "list", 0xb6bfa7083fcc6e0d_u64),
        (transactions::parser(), "describe", 0xb32725bf50edc99a_u64),
        (transactions::parser(), "describe-producers", 0x712738e855480c63_u64),
        (transactions::parser(), "abort", 0xede05f529e34e8bd_u64),
        (transactions::parser(), "find-hanging", 0xc13feda48987e281_u64),
        (transactions::parser(), "forceTerminateTransaction", 0x183df3b4fe612053_u64),
        (features::parser(), "", 0x26841a221d6d2b6a_u64),
        (features::parser(), "describe", 0x50bbd10a94d54377_u64),
        (features::parser(), "upgrade", 0xd74969c04ab71dfd_u64),
        (features::parser(), "downgrade", 0xe7e5a979afe968f6_u64),
        (features::parser(), "disable", 0x7df7823d06d0501a_u64),
        (features::parser(), "version-mapping", 0xed711f6177b505e9_u64),
        (features::parser(), "feature-dependencies", 0xb7415449ab76cdbb_u64),
    ] {
        let help = help(&parser, command);
        assert_eq!(digest(&help), seen, "{command}:\n{}", String::from_utf8_lossy(&help));
    }
}

#[test]
fn the_help_of_acls_is_kafkas_but_for_the_order_of_operations() {
    // Kafka lists the operations in another order each time it runs.
    let help = acls::parser().help();
    let (operations, rest): (Vec<&str>, Vec<&str>) =
        help.split_inclusive('\n').partition(|line| line.trim_start_matches(' ').starts_with('\t'));
    assert_eq!(operations.len(), 14);
    assert_eq!(digest(rest.concat().as_bytes()), 0x3097e25974a8e525_u64, "{help}");
}
