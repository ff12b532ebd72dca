//! A small async Kafka client: connections, pool, what the tools, the fetchers and the tests need.
