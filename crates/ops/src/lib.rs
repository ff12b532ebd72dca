//! A node's operations port: the web console, a JSON API, `/metrics`, `/livez` and `/readyz`, over HTTP/1.1.
//!
//! | file | holds |
//! |---|---|
//! | `observed` | what a node shows of itself: the seam between it and this crate |
//! | `port` | the socket, connections and their limits |
//! | `guard` | who may ask: Host, Origin, method |
//! | `route` | paths, and the heads of answers |
//! | `health` | `/livez`, `/readyz`, `/healthz`, `/v1/broker-state` |
//! | `metrics` | figures in the two text formats of Prometheus |
//! | `reach` | a client of the cluster, kept while somebody looks |
//! | `api/` | the JSON API, one file for each subject |
//! | `page/` | the console: one page, a style sheet, a script; nothing from elsewhere |
//!
//! Everything is read only. Nothing here is on the way of a record: one thread of its own, a few connections, bounded
//! requests and answers, deadlines.

// The program in the README is compiled with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod api;
mod guard;
mod health;
mod metrics;
mod observed;
mod port;
mod query;
mod reach;
mod route;

pub use observed::{Figure, Kind, Observed, Standing, State, WayIn};
pub use port::{Bound, Ops};
