//! Several files in one input: `kind, u16 base offset, u16 length, bytes` each.

/// The files of a partition and of its log directory, in the order of their numbers. `{}` is the base offset.
pub const KINDS: [&str; 16] = [
    "t-0/{}.log",
    "t-0/{}.index",
    "t-0/{}.timeindex",
    "t-0/{}.txnindex",
    "t-0/{}.snapshot",
    "t-0/leader-epoch-checkpoint",
    "t-0/partition.metadata",
    "recovery-point-offset-checkpoint",
    "replication-offset-checkpoint",
    "log-start-offset-checkpoint",
    "cleaner-offset-checkpoint",
    "meta.properties",
    ".kafka_cleanshutdown",
    "t-0/{}.log.swap",
    "t-0/{}.log.cleaned",
    "t-0/{}.log.deleted",
];

/// Kind, base offset and bytes of every file; what is cut off is as long as it is.
pub fn files(mut input: &[u8]) -> impl Iterator<Item = (usize, u16, &[u8])> {
    std::iter::from_fn(move || {
        let [kind, base_high, base_low, size_high, size_low, rest @ ..] = input else { return None };
        let size = usize::from(u16::from_be_bytes([*size_high, *size_low])).min(rest.len());
        let (bytes, behind) = rest.split_at(size);
        input = behind;
        Some((usize::from(*kind) % KINDS.len(), u16::from_be_bytes([*base_high, *base_low]), bytes))
    })
}

/// The path of a file under the log directory.
pub fn path(kind: usize, base: u16) -> String {
    KINDS[kind].replace("{}", &format!("{base:020}"))
}

/// One file, as [`files`] reads it; `None` when it is longer than can be said.
pub fn file(kind: usize, base: u16, bytes: &[u8]) -> Option<Vec<u8>> {
    let size = u16::try_from(bytes.len()).ok()?;
    let mut out = vec![kind as u8];
    out.extend(base.to_be_bytes());
    out.extend(size.to_be_bytes());
    out.extend(bytes);
    Some(out)
}
