//! The Kafka wire language: every message of 4.3.1 in every version, generated from a compact schema.
