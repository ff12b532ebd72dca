//! The schema's own text, for readers that know messages by name only (a dump of a log, for example). The grammar is in
//! `schema/README.md`; the generated modules come from the same text, so the two cannot differ.

/// Records of the metadata log.
pub const METADATA: &str = include_str!("../schema/metadata.schema");
/// Control records of every log.
pub const CONTROL: &str = include_str!("../schema/control.schema");
/// What the consumer protocol embeds in JoinGroup and SyncGroup.
pub const CONSUMER_PROTOCOL: &str = include_str!("../schema/consumer_protocol.schema");
/// Keys and values of `__consumer_offsets`.
pub const GROUP: &str = include_str!("../schema/coordinator/group.schema");
/// Keys and values of `__share_group_state`.
pub const SHARE: &str = include_str!("../schema/coordinator/share.schema");
/// Keys and values of `__transaction_state`.
pub const TRANSACTION: &str = include_str!("../schema/coordinator/transaction.schema");
