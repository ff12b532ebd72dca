//! How this node connects to others: the times and buffers of its configuration, for each kind of connection.

use std::time::Duration;

use ottla_client::Options;
use ottla_config::NodeConfig;

/// A connection that asks for what may take `silence_ms`: longer than that nobody waits for an answer.
fn options(config: &NodeConfig, client_id: String, silence_ms: i32) -> Options {
    let sockets = &config.sockets;
    let millis = |ms: i64| Duration::from_millis(ms.max(1).unsigned_abs());
    Options {
        client_id,
        connect_timeout: millis(sockets.connection_setup_timeout_ms),
        connect_timeout_most: millis(sockets.connection_setup_timeout_max_ms),
        request_timeout: millis(silence_ms.into()),
        ..Options::default()
    }
}

/// To the active controller.
pub(crate) fn controller(config: &NodeConfig) -> Options {
    options(config, config.node_id.to_string(), config.broker.controller_socket_timeout_ms)
}

/// To another broker, about transactions.
pub(crate) fn broker(config: &NodeConfig) -> Options {
    options(config, format!("broker-{}", config.node_id), config.requests.timeout_ms)
}

/// To a leader, for replicas that follow it; the connecting before this one failed so often in a row.
pub(crate) fn leader(config: &NodeConfig, failures: u32) -> Options {
    let replication = &config.replication;
    let client_id = format!("broker-{}-fetcher-0", config.node_id);
    let options = options(config, client_id, replication.socket_timeout_ms);
    Options {
        connect_timeout: options.patience(failures),
        receive_buffer_bytes: replication.socket_receive_buffer_bytes,
        ..options
    }
}

/// To another controller, for the quorum, whose elections do not wait for a connection longer than for an answer.
pub(crate) fn voter(config: &NodeConfig) -> Options {
    let client_id = format!("raft-client-{}", config.node_id);
    let options = options(config, client_id, config.quorum.request_timeout_ms);
    let most = options.request_timeout;
    Options {
        connect_timeout: options.connect_timeout.min(most),
        connect_timeout_most: options.connect_timeout_most.min(most),
        ..options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> NodeConfig {
        let file = format!(
            "process.roles=broker,controller\nnode.id=4\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\n\
             controller.listener.names=CONTROLLER\ncontroller.quorum.voters=4@localhost:9093\nlog.dirs=/none\n{more}"
        );
        NodeConfig::load("test", file.as_bytes(), &[]).expect("a valid file").config
    }

    fn times(options: &Options) -> [u128; 3] {
        [options.connect_timeout, options.connect_timeout_most, options.request_timeout]
            .map(|t| t.as_millis())
    }

    #[test]
    fn the_defaults_are_kafkas() {
        let config = config("");
        assert_eq!(times(&controller(&config)), [10_000, 30_000, 30_000]);
        assert_eq!(times(&broker(&config)), [10_000, 30_000, 30_000]);
        assert_eq!(times(&leader(&config, 0)), [10_000, 30_000, 30_000]);
        assert_eq!(times(&voter(&config)), [2_000, 2_000, 2_000]);
        assert_eq!(leader(&config, 0).receive_buffer_bytes, None, "nobody has set it");
    }

    #[test]
    fn every_key_has_its_connections() {
        let config = config(
            "socket.connection.setup.timeout.ms=300\nsocket.connection.setup.timeout.max.ms=1000\nrequest.timeout.ms=701\n\
             controller.socket.timeout.ms=702\nreplica.socket.timeout.ms=703\ncontroller.quorum.request.timeout.ms=704\n\
             replica.socket.receive.buffer.bytes=12345\n",
        );
        assert_eq!(times(&broker(&config)), [300, 1000, 701]);
        assert_eq!(times(&controller(&config)), [300, 1000, 702]);
        assert_eq!(times(&leader(&config, 0)), [300, 1000, 703]);
        assert_eq!(times(&leader(&config, 1)), [600, 1000, 703], "twice as long after a failure");
        assert_eq!(times(&leader(&config, 2)), [1000, 1000, 703], "up to the most");
        assert_eq!(times(&voter(&config)), [300, 704, 704]);
        assert_eq!(leader(&config, 0).receive_buffer_bytes, Some(12345));
    }

    #[test]
    fn a_buffer_may_be_left_to_the_system() {
        let config = config("replica.socket.receive.buffer.bytes=-1\n");
        assert_eq!(leader(&config, 0).receive_buffer_bytes, None);
    }
}
