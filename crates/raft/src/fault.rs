//! The errors raft answers with, under Kafka's numbers.

/// An error code of a raft answer. The number is Kafka's; names for clients belong to higher floors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(i16)]
pub enum Fault {
    /// No error.
    #[default]
    None = 0,
    /// Something broke here.
    UnknownServerError = -1,
    /// Not the leader of this epoch.
    NotLeaderOrFollower = 6,
    /// Gave up waiting.
    RequestTimedOut = 7,
    /// Shutting down, or not reachable.
    BrokerNotAvailable = 8,
    /// The peer may not do this.
    ClusterAuthorizationFailed = 31,
    /// The API or the feature level does not have it.
    UnsupportedVersion = 35,
    /// The request makes no sense.
    InvalidRequest = 42,
    /// The sender's epoch is old.
    FencedLeaderEpoch = 74,
    /// The sender's epoch is ahead of ours.
    UnknownLeaderEpoch = 75,
    /// No such snapshot.
    SnapshotNotFound = 98,
    /// No such position in the snapshot.
    PositionOutOfRange = 99,
    /// Another cluster.
    InconsistentClusterId = 104,
    /// The request was meant for another voter.
    InvalidVoterKey = 125,
    /// The id is a voter already.
    DuplicateVoter = 126,
    /// No such voter.
    VoterNotFound = 127,
    /// Any code that raft gives no meaning to.
    Other = i16::MIN,
}

impl Fault {
    /// Kafka's number.
    pub fn code(self) -> i16 {
        match self {
            Fault::Other => -1,
            known => known as i16,
        }
    }

    /// The fault with this number; codes that mean nothing to raft become [`Fault::Other`].
    pub fn from_code(code: i16) -> Fault {
        use Fault::*;
        const KNOWN: [Fault; 16] = [
            None,
            UnknownServerError,
            NotLeaderOrFollower,
            RequestTimedOut,
            BrokerNotAvailable,
            ClusterAuthorizationFailed,
            UnsupportedVersion,
            InvalidRequest,
            FencedLeaderEpoch,
            UnknownLeaderEpoch,
            SnapshotNotFound,
            PositionOutOfRange,
            InconsistentClusterId,
            InvalidVoterKey,
            DuplicateVoter,
            VoterNotFound,
        ];
        KNOWN.into_iter().find(|fault| *fault as i16 == code).unwrap_or(Other)
    }

    /// Is there no error?
    pub fn is_none(self) -> bool {
        self == Fault::None
    }
}
