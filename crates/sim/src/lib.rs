//! Seeded simulation of a whole cluster: clock, network, disks, nodes, workload, invariants.
