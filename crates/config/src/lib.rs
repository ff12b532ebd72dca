//! Every Kafka configuration key: type, default, validator, documentation; the .properties parser.
