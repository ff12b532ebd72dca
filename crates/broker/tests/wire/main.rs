//! A whole node in this process, spoken to over its sockets by a client that writes its own bytes.

mod batches;
mod connections;
mod cut;
mod fetch;
mod figures;
mod garbage;
mod groups;
mod hostile;
mod offsets;
mod order;
mod producers;
mod replicas;
mod restart;
mod sessions;
mod support;
mod topics;
mod transactions;
mod unsecured;
