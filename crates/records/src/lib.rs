//! The Kafka record batch: read, verified, patched, built; compression; control records.
