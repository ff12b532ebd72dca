//! Every difference between Apache Kafka's tools and nodes and ours that the judge of the tools meets, with its reason.
//! An entry (or one of its patterns) that no longer matches anything is an error.

mod cluster;
mod every;
mod files;
mod groups;
mod records;

/// A difference that is meant, or known.
pub struct Expected {
    /// The tool, `*` for any letters.
    pub tool: &'static str,
    /// The invocation as its script writes it, `*` for any letters.
    pub run: &'static str,
    pub side: Side,
    pub what: What,
    pub why: &'static str,
}

/// Whose difference it is.
#[derive(Clone, Copy)]
pub enum Side {
    /// Our tools', on either node.
    Tool,
    /// Our node's, under either tool.
    Server,
    /// Only our tool on our node.
    Both,
    /// Only Apache's tool on our node.
    Theirs,
    /// Nobody's: every way but the reference.
    Any,
}

/// What differs.
#[derive(Clone, Copy)]
pub enum What {
    /// Lines of a difference: `-` the reference's, `+` the other's; then `exit N`, `out| text` or `err| text`. `*` stands for
    /// any letters. Every pattern must match something.
    Lines(&'static [&'static str]),
    /// The same text on standard output with code 0 that Apache's tool prints with code 1, mostly on standard error.
    HelpOnStdout,
    /// The same lines of standard output in another order, or the same objects of JSON.
    Order,
    /// As [`What::Lines`], where Apache's tool draws an order anew each time: a run may be without the difference.
    Drawn(&'static [&'static str]),
    /// As [`What::Order`], drawn anew each time.
    DrawnOrder,
}

const fn tool(tool: &'static str, run: &'static str, what: What, why: &'static str) -> Expected {
    Expected { tool, run, side: Side::Tool, what, why }
}

const fn server(tool: &'static str, run: &'static str, what: What, why: &'static str) -> Expected {
    Expected { tool, run, side: Side::Server, what, why }
}

const fn both(tool: &'static str, run: &'static str, what: What, why: &'static str) -> Expected {
    Expected { tool, run, side: Side::Both, what, why }
}

const fn any(tool: &'static str, run: &'static str, what: What, why: &'static str) -> Expected {
    Expected { tool, run, side: Side::Any, what, why }
}

/// All lists.
pub fn all() -> impl Iterator<Item = &'static Expected> {
    [every::ENTRIES, cluster::ENTRIES, groups::ENTRIES, records::ENTRIES, files::ENTRIES]
        .into_iter()
        .flatten()
}

const DRAWN: &str =
    "Apache's tool draws the order anew each time it is started: that of an immutable set or map of Java";
const SORTED: &str = "what Apache's tool has in the order of a Java hash map is sorted";
