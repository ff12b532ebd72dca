//! A running cluster as this machine reaches it: every address that a broker tells its clients, tried; and what the
//! cluster says of itself.

use std::time::Duration;

use ottla_client::overview::{Health, View};
use ottla_client::{Cluster, Properties};
use ottla_config::node::fault_tolerance;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::Findings;

const PATIENCE: Duration = Duration::from_secs(3);
/// What a machine has behind VirtualBox's NAT: the same as every other such machine.
const NAT: &str = "10.0.2.15";

pub(super) async fn look(bootstrap: &str) -> Findings {
    let mut findings = Findings::default();
    let properties =
        Properties::new().with("default.api.timeout.ms", "5000").with("request.timeout.ms", "5000");
    let cluster = match Cluster::connect(bootstrap, &properties).await {
        Ok(cluster) => cluster,
        Err(error) => {
            findings.stop(error);
            return findings;
        }
    };
    for (_, address, error) in cluster.bootstrap_failures() {
        findings.know(format_args!("{address}: {error}"));
    }
    for node in cluster.nodes() {
        advertised(&mut findings, node.id, &node.host, node.port, bootstrap).await;
    }
    match View::ask(&cluster).await {
        Ok(view) => {
            for (health, what) in view.complaints() {
                if health == Health::Down { findings.stop(what) } else { findings.know(what) }
            }
            voters(&mut findings, &view);
            findings.good(format_args!(
                "cluster {}: {} brokers, {} partitions",
                view.cluster_id,
                view.brokers.len(),
                view.partitions
            ));
        }
        Err(error) => findings.stop(error),
    }
    cluster.close();
    findings
}

/// Whether clients on this machine get to what the broker advertises.
async fn advertised(findings: &mut Findings, id: i32, host: &str, port: u16, bootstrap: &str) {
    let shown = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    if host == NAT {
        findings.know(format_args!(
            "broker {id} advertises {shown}: VirtualBox's NAT gives every machine this address; give the machine a \
             host-only or bridged network, and advertise that address"
        ));
    }
    let addresses: Vec<_> = match timeout(PATIENCE, lookup_host((host, port))).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => {
            return findings.stop(format_args!(
                "bootstrap {bootstrap} works but broker {id} advertises {shown} which does not resolve here ({error})\n        \
                 next: add it to DNS or /etc/hosts, or change advertised.listeners"
            ));
        }
        Err(_) => {
            return findings
                .stop(format_args!("broker {id} advertises {shown}, and nobody answers for that name"));
        }
    };
    let mut why = "it has no address".to_owned();
    for address in &addresses {
        match timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(_)) => {
                let only = if address.ip().is_loopback() { " (from this machine only)" } else { "" };
                return findings.good(format_args!("broker {id} is reached at {shown}{only}"));
            }
            Ok(Err(error)) => why = format!("{address}: {error}"),
            Err(_) => why = format!("{address}: no answer in {} s", PATIENCE.as_secs()),
        }
    }
    findings.stop(format_args!(
        "broker {id} advertises {shown}, which is not reached from here ({why})\n        \
         next: is it up? a firewall? or advertised.listeners names an address of another network"
    ));
}

/// What works today and will hurt.
fn voters(findings: &mut Findings, view: &View) {
    let Some(quorum) = &view.quorum else { return };
    let voters = quorum.members.iter().filter(|member| member.votes).count();
    // One node for trying out is what it is; several brokers are meant to survive something.
    if let Some(trouble) = fault_tolerance(voters).filter(|_| voters > 1 || view.brokers.len() > 1) {
        findings.know(trouble);
    }
}
