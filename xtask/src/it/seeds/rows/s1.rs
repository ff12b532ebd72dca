//! S1: two nodes on one host, by external address, with every trouble of its author.

use super::Row;
use super::Weight::{P0, P1, P2};

pub const ROWS: &[Row] = &[
    ("S1-01", P1, "one process with everything; another controller within a second or two"),
    ("S1-02", P0, "what is left of ZooKeeper is ignored with a warning; broker.id is node.id"),
    ("S1-03", P0, "process.roles, voters, node.id=0"),
    ("S1-04", P1, "one voter and two are warned of, at start and beside quorum status"),
    ("S1-05", P0, "a static program for old kernels and libraries"),
    ("S1-06", P1, "download links that work"),
    ("S1-07", P1, "installed read-only under /usr/local, through a link, run by another user"),
    ("S1-08", P0, "the tutorial's block starts as it is, on all interfaces"),
    ("S1-09", P0, "controllers alone, whose snippet forgets their listener's name; brokers join"),
    ("S1-10", P0, "log.dirs with and without mkdir; a directory that may not be written"),
    ("S1-11", P1, "a placeholder in place of the id is explained; odd ids are accepted"),
    ("S1-12", P2, "format prints the real directory and where it is written"),
    ("S1-13", P0, "foreground: log, last line, signals, usage, --override"),
    ("S1-14", P0, "not formatted: Kafka's sentence and the command to type"),
    ("S1-15", P0, "-daemon: silent when it serves, the reason when it does not"),
    ("S1-16", P0, "netstat shows both ports on all addresses, and a process one knows"),
    ("S1-17", P0, "two nodes of one tree: logs apart; directory or port taken: by whom"),
    ("S1-18", P0, "voters by an external address that the machine reaches by itself"),
    ("S1-19", P0, "little memory, no idle work; an unclean end is told at the next start"),
    ("S1-20", P0, "a voter added in the file alone: Kafka's sentence and three ways out"),
    ("S1-21", P0, "formatted already: what is inside, nothing deleted; --ignore-formatted"),
    ("S1-22", P0, "a quorum that does not form: who is missing and why, once"),
    ("S1-23", P0, "a peer that is not there: cause, who it is, seldom"),
    ("S1-24", P0, "no order of starts matters; four ports listen"),
    ("S1-25", P0, "the Java client of that year joins a group at both brokers"),
    ("S1-26", P1, "what web interfaces ask is answered"),
    ("S1-27", P0, "format stays a step of its own; dev formats an empty directory alone"),
    ("S1-28", P2, "what is mature is written down"),
];
