//! Clusters of real processes on this machine: spawn, kill -9, pause, restart, ports, logs.
