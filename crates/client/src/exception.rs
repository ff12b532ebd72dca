//! Kafka's error codes as its Java tools print them: class, default message, whether trying again may help
//! (Kafka's `Errors` and the exceptions under `RetriableException`).

use ottla_protocol::ErrorCode;

/// The Java class that an error code is thrown as.
pub fn class(code: ErrorCode) -> &'static str {
    row(code).0
}

/// Kafka's message for a code that came without one.
pub fn message(code: ErrorCode) -> &'static str {
    row(code).2
}

/// Whether Kafka's clients take the error for one that may pass.
pub fn retriable(code: ErrorCode) -> bool {
    row(code).1
}

/// Class and message as an uncaught exception prints them; the server's own message goes before the default one.
pub fn text(code: ErrorCode, message: Option<&str>) -> String {
    let (class, _, default) = row(code);
    format!("{class}: {}", message.unwrap_or(default))
}

macro_rules! table {
    ($($code:ident $class:literal $retriable:literal $message:literal;)*) => {
        fn row(code: ErrorCode) -> (&'static str, bool, &'static str) {
            match code {
                ErrorCode::None => ("", false, ""),
                $(ErrorCode::$code => (concat!("org.apache.kafka.common.errors.", $class), $retriable, $message),)*
            }
        }
    };
}

table! {
    UnknownServerError "UnknownServerException" false
        "The server experienced an unexpected error when processing the request.";
    OffsetOutOfRange "OffsetOutOfRangeException" false
        "The requested offset is not within the range of offsets maintained by the server.";
    CorruptMessage "CorruptRecordException" true
        "This message has failed its CRC checksum, exceeds the valid size, has a null key for a compacted \
        topic, or is otherwise corrupt.";
    UnknownTopicOrPartition "UnknownTopicOrPartitionException" true "This server does not host this topic-partition.";
    InvalidFetchSize "InvalidFetchSizeException" false "The requested fetch size is invalid.";
    LeaderNotAvailable "LeaderNotAvailableException" true
        "There is no leader for this topic-partition as we are in the middle of a leadership election.";
    NotLeaderOrFollower "NotLeaderOrFollowerException" true
        "For requests intended only for the leader, this error indicates that the broker is not the current \
        leader. For requests intended for any replica, this error indicates that the broker is not a replica \
        of the topic partition.";
    RequestTimedOut "TimeoutException" true "The request timed out.";
    BrokerNotAvailable "BrokerNotAvailableException" false "The broker is not available.";
    ReplicaNotAvailable "ReplicaNotAvailableException" true
        "The replica is not available for the requested topic-partition. Produce/Fetch requests and other \
        requests intended only for the leader or follower return NOT_LEADER_OR_FOLLOWER if the broker is not \
        a replica of the topic-partition.";
    MessageTooLarge "RecordTooLargeException" false
        "The request included a message larger than the max message size the server will accept.";
    StaleControllerEpoch "ControllerMovedException" false "The controller moved to another broker.";
    OffsetMetadataTooLarge "OffsetMetadataTooLarge" false "The metadata field of the offset request was too large.";
    NetworkException "NetworkException" true "The server disconnected before a response was received.";
    CoordinatorLoadInProgress "CoordinatorLoadInProgressException" true
        "The coordinator is loading and hence can't process requests.";
    CoordinatorNotAvailable "CoordinatorNotAvailableException" true "The coordinator is not available.";
    NotCoordinator "NotCoordinatorException" true "This is not the correct coordinator.";
    InvalidTopicException "InvalidTopicException" false
        "The request attempted to perform an operation on an invalid topic.";
    RecordListTooLarge "RecordBatchTooLargeException" false
        "The request included message batch larger than the configured segment size on the server.";
    NotEnoughReplicas "NotEnoughReplicasException" true
        "Messages are rejected since there are fewer in-sync replicas than required.";
    NotEnoughReplicasAfterAppend "NotEnoughReplicasAfterAppendException" true
        "Messages are written to the log, but to fewer in-sync replicas than required.";
    InvalidRequiredAcks "InvalidRequiredAcksException" false
        "Produce request specified an invalid value for required acks.";
    IllegalGeneration "IllegalGenerationException" false "Specified group generation id is not valid.";
    InconsistentGroupProtocol "InconsistentGroupProtocolException" false
        "The group member's supported protocols are incompatible with those of existing members or first \
        group member tried to join with empty protocol type or empty protocol list.";
    InvalidGroupId "InvalidGroupIdException" false "The group id is invalid.";
    UnknownMemberId "UnknownMemberIdException" false "The coordinator is not aware of this member.";
    InvalidSessionTimeout "InvalidSessionTimeoutException" false
        "The session timeout is not within the range allowed by the broker (as configured by \
        group.min.session.timeout.ms and group.max.session.timeout.ms).";
    RebalanceInProgress "RebalanceInProgressException" false "The group is rebalancing, so a rejoin is needed.";
    InvalidCommitOffsetSize "InvalidCommitOffsetSizeException" false "The committing offset data size is not valid.";
    TopicAuthorizationFailed "TopicAuthorizationException" false "Topic authorization failed.";
    GroupAuthorizationFailed "GroupAuthorizationException" false "Group authorization failed.";
    ClusterAuthorizationFailed "ClusterAuthorizationException" false "Cluster authorization failed.";
    InvalidTimestamp "InvalidTimestampException" false "The timestamp of the message is out of acceptable range.";
    UnsupportedSaslMechanism "UnsupportedSaslMechanismException" false
        "The broker does not support the requested SASL mechanism.";
    IllegalSaslState "IllegalSaslStateException" false "Request is not valid given the current SASL state.";
    UnsupportedVersion "UnsupportedVersionException" false "The version of API is not supported.";
    TopicAlreadyExists "TopicExistsException" false "Topic with this name already exists.";
    InvalidPartitions "InvalidPartitionsException" false "Number of partitions is below 1.";
    InvalidReplicationFactor "InvalidReplicationFactorException" false
        "Replication factor is below 1 or larger than the number of available brokers.";
    InvalidReplicaAssignment "InvalidReplicaAssignmentException" false "Replica assignment is invalid.";
    InvalidConfig "InvalidConfigurationException" false "Configuration is invalid.";
    NotController "NotControllerException" true "This is not the correct controller for this cluster.";
    InvalidRequest "InvalidRequestException" false
        "This most likely occurs because of a request being malformed by the client library or the message \
        was sent to an incompatible broker. See the broker logs for more details.";
    UnsupportedForMessageFormat "UnsupportedForMessageFormatException" false
        "The message format version on the broker does not support the request.";
    PolicyViolation "PolicyViolationException" false "Request parameters do not satisfy the configured policy.";
    OutOfOrderSequenceNumber "OutOfOrderSequenceException" false
        "The broker received an out of order sequence number.";
    DuplicateSequenceNumber "DuplicateSequenceException" false "The broker received a duplicate sequence number.";
    InvalidProducerEpoch "InvalidProducerEpochException" false "Producer attempted to produce with an old epoch.";
    InvalidTxnState "InvalidTxnStateException" false
        "The producer attempted a transactional operation in an invalid state.";
    InvalidProducerIdMapping "InvalidPidMappingException" false
        "The producer attempted to use a producer id which is not currently assigned to its transactional id.";
    InvalidTransactionTimeout "InvalidTxnTimeoutException" false
        "The transaction timeout is larger than the maximum value allowed by the broker (as configured by \
        transaction.max.timeout.ms).";
    ConcurrentTransactions "ConcurrentTransactionsException" true
        "The producer attempted to update a transaction while another concurrent operation on the same \
        transaction was ongoing.";
    TransactionCoordinatorFenced "TransactionCoordinatorFencedException" false
        "Indicates that the transaction coordinator sending a WriteTxnMarker is no longer the current \
        coordinator for a given producer.";
    TransactionalIdAuthorizationFailed "TransactionalIdAuthorizationException" false
        "Transactional Id authorization failed.";
    SecurityDisabled "SecurityDisabledException" false "Security features are disabled.";
    OperationNotAttempted "OperationNotAttemptedException" false
        "The broker did not attempt to execute this operation. This may happen for batched RPCs where some \
        operations in the batch failed, causing the broker to respond without trying the rest.";
    KafkaStorageError "KafkaStorageException" true "Disk error when trying to access log file on the disk.";
    LogDirNotFound "LogDirNotFoundException" false
        "The user-specified log directory is not found in the broker config.";
    SaslAuthenticationFailed "SaslAuthenticationException" false "SASL Authentication failed.";
    UnknownProducerId "UnknownProducerIdException" false
        "This exception is raised by the broker if it could not locate the producer metadata associated with \
        the producerId in question. This could happen if, for instance, the producer's records were deleted \
        because their retention time had elapsed. Once the last records of the producerId are removed, the \
        producer's metadata is removed from the broker, and future appends by the producer will return this \
        exception.";
    ReassignmentInProgress "ReassignmentInProgressException" false "A partition reassignment is in progress.";
    DelegationTokenAuthDisabled "DelegationTokenDisabledException" false "Delegation Token feature is not enabled.";
    DelegationTokenNotFound "DelegationTokenNotFoundException" false "Delegation Token is not found on server.";
    DelegationTokenOwnerMismatch "DelegationTokenOwnerMismatchException" false
        "Specified Principal is not valid Owner/Renewer.";
    DelegationTokenRequestNotAllowed "UnsupportedByAuthenticationException" false
        "Delegation Token requests are not allowed on PLAINTEXT/1-way SSL channels and on delegation token \
        authenticated channels.";
    DelegationTokenAuthorizationFailed "DelegationTokenAuthorizationException" false
        "Delegation Token authorization failed.";
    DelegationTokenExpired "DelegationTokenExpiredException" false "Delegation Token is expired.";
    InvalidPrincipalType "InvalidPrincipalTypeException" false "Supplied principalType is not supported.";
    NonEmptyGroup "GroupNotEmptyException" false "The group is not empty.";
    GroupIdNotFound "GroupIdNotFoundException" false "The group id does not exist.";
    FetchSessionIdNotFound "FetchSessionIdNotFoundException" true "The fetch session ID was not found.";
    InvalidFetchSessionEpoch "InvalidFetchSessionEpochException" true "The fetch session epoch is invalid.";
    ListenerNotFound "ListenerNotFoundException" true
        "There is no listener on the leader broker that matches the listener on which metadata request was \
        processed.";
    TopicDeletionDisabled "TopicDeletionDisabledException" false "Topic deletion is disabled.";
    FencedLeaderEpoch "FencedLeaderEpochException" true
        "The leader epoch in the request is older than the epoch on the broker.";
    UnknownLeaderEpoch "UnknownLeaderEpochException" true
        "The leader epoch in the request is newer than the epoch on the broker.";
    UnsupportedCompressionType "UnsupportedCompressionTypeException" false
        "The requesting client does not support the compression type of given partition.";
    StaleBrokerEpoch "StaleBrokerEpochException" false "Broker epoch has changed.";
    OffsetNotAvailable "OffsetNotAvailableException" true
        "The leader high watermark has not caught up from a recent leader election so the offsets cannot be \
        guaranteed to be monotonically increasing.";
    MemberIdRequired "MemberIdRequiredException" false
        "The group member needs to have a valid member id before actually entering a consumer group.";
    PreferredLeaderNotAvailable "PreferredLeaderNotAvailableException" true "The preferred leader was not available.";
    GroupMaxSizeReached "GroupMaxSizeReachedException" false "The group has reached its maximum size.";
    FencedInstanceId "FencedInstanceIdException" false
        "The broker rejected this static consumer since another consumer with the same group.instance.id has \
        registered with a different member.id.";
    EligibleLeadersNotAvailable "EligibleLeadersNotAvailableException" true
        "Eligible topic partition leaders are not available.";
    ElectionNotNeeded "ElectionNotNeededException" true "Leader election not needed for topic partition.";
    NoReassignmentInProgress "NoReassignmentInProgressException" false "No partition reassignment is in progress.";
    GroupSubscribedToTopic "GroupSubscribedToTopicException" false
        "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it.";
    InvalidRecord "InvalidRecordException" false
        "This record has failed the validation on broker and hence will be rejected.";
    UnstableOffsetCommit "UnstableOffsetCommitException" true "There are unstable offsets that need to be cleared.";
    ThrottlingQuotaExceeded "ThrottlingQuotaExceededException" true "The throttling quota has been exceeded.";
    ProducerFenced "ProducerFencedException" false
        "There is a newer producer with the same transactionalId which fences the current one.";
    ResourceNotFound "ResourceNotFoundException" false
        "A request illegally referred to a resource that does not exist.";
    DuplicateResource "DuplicateResourceException" false "A request illegally referred to the same resource twice.";
    UnacceptableCredential "UnacceptableCredentialException" false
        "Requested credential would not meet criteria for acceptability.";
    InconsistentVoterSet "InconsistentVoterSetException" false
        "Indicates that the either the sender or recipient of a voter-only request is not one of the expected \
        voters.";
    InvalidUpdateVersion "InvalidUpdateVersionException" false "The given update version was invalid.";
    FeatureUpdateFailed "FeatureUpdateFailedException" false
        "Unable to update finalized features due to an unexpected server error.";
    PrincipalDeserializationFailure "PrincipalDeserializationException" false
        "Request principal deserialization failed during forwarding. This indicates an internal error on the \
        broker cluster security setup.";
    SnapshotNotFound "SnapshotNotFoundException" false "Requested snapshot was not found.";
    PositionOutOfRange "PositionOutOfRangeException" false
        "Requested position is not greater than or equal to zero, and less than the size of the snapshot.";
    UnknownTopicId "UnknownTopicIdException" true "This server does not host this topic ID.";
    DuplicateBrokerRegistration "DuplicateBrokerRegistrationException" false "This broker ID is already in use.";
    BrokerIdNotRegistered "BrokerIdNotRegisteredException" false "The given broker ID was not registered.";
    InconsistentTopicId "InconsistentTopicIdException" true
        "The log's topic ID did not match the topic ID in the request.";
    InconsistentClusterId "InconsistentClusterIdException" false
        "The clusterId in the request does not match that found on the server.";
    TransactionalIdNotFound "TransactionalIdNotFoundException" false "The transactionalId could not be found.";
    FetchSessionTopicIdError "FetchSessionTopicIdException" true
        "The fetch session encountered inconsistent topic ID usage.";
    IneligibleReplica "IneligibleReplicaException" false "The new ISR contains at least one ineligible replica.";
    NewLeaderElected "NewLeaderElectedException" false
        "The AlterPartition request successfully updated the partition state but the leader has changed.";
    OffsetMovedToTieredStorage "OffsetMovedToTieredStorageException" false
        "The requested offset is moved to tiered storage.";
    FencedMemberEpoch "FencedMemberEpochException" false
        "The member epoch is fenced by the group coordinator. The member must abandon all its partitions and \
        rejoin.";
    UnreleasedInstanceId "UnreleasedInstanceIdException" false
        "The instance ID is still used by another member in the consumer group. That member must leave first.";
    UnsupportedAssignor "UnsupportedAssignorException" false
        "The assignor or its version range is not supported by the consumer group.";
    StaleMemberEpoch "StaleMemberEpochException" false
        "The member epoch is stale. The member must retry after receiving its updated member epoch via the \
        ConsumerGroupHeartbeat API.";
    MismatchedEndpointType "MismatchedEndpointTypeException" false
        "The request was sent to an endpoint of the wrong type.";
    UnsupportedEndpointType "UnsupportedEndpointTypeException" false "This endpoint type is not supported yet.";
    UnknownControllerId "UnknownControllerIdException" false "This controller ID is not known.";
    UnknownSubscriptionId "UnknownSubscriptionIdException" false
        "Client sent a push telemetry request with an invalid or outdated subscription ID.";
    TelemetryTooLarge "TelemetryTooLargeException" false
        "Client sent a push telemetry request larger than the maximum size the broker will accept.";
    InvalidRegistration "InvalidRegistrationException" false
        "The controller has considered the broker registration to be invalid.";
    TransactionAbortable "TransactionAbortableException" false
        "The server encountered an error with the transaction. The client can abort the transaction to \
        continue using this transactional ID.";
    InvalidRecordState "InvalidRecordStateException" false
        "The record state is invalid. The acknowledgement of delivery could not be completed.";
    ShareSessionNotFound "ShareSessionNotFoundException" true "The share session was not found.";
    InvalidShareSessionEpoch "InvalidShareSessionEpochException" true "The share session epoch is invalid.";
    FencedStateEpoch "FencedStateEpochException" false
        "The share coordinator rejected the request because the share-group state epoch did not match.";
    InvalidVoterKey "InvalidVoterKeyException" false "The voter key doesn't match the receiving replica's key.";
    DuplicateVoter "DuplicateVoterException" false "The voter is already part of the set of voters.";
    VoterNotFound "VoterNotFoundException" false "The voter is not part of the set of voters.";
    InvalidRegularExpression "InvalidRegularExpression" false "The regular expression is not valid.";
    RebootstrapRequired "RebootstrapRequiredException" false
        "Client metadata is stale. The client should rebootstrap to obtain new metadata.";
    StreamsInvalidTopology "StreamsInvalidTopologyException" false "The supplied topology is invalid.";
    StreamsInvalidTopologyEpoch "StreamsInvalidTopologyEpochException" false
        "The supplied topology epoch is invalid.";
    StreamsTopologyFenced "StreamsTopologyFencedException" false "The supplied topology epoch is outdated.";
    ShareSessionLimitReached "ShareSessionLimitReachedException" true "The limit of share sessions has been reached.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_java_tools() {
        assert_eq!(
            text(ErrorCode::UnknownTopicOrPartition, None),
            "org.apache.kafka.common.errors.UnknownTopicOrPartitionException: \
             This server does not host this topic-partition."
        );
        assert_eq!(
            text(ErrorCode::TopicAlreadyExists, Some("Topic 'a' already exists.")),
            "org.apache.kafka.common.errors.TopicExistsException: Topic 'a' already exists."
        );
        let long = message(ErrorCode::NotLeaderOrFollower);
        assert!(
            long.contains("not the current leader. For requests"),
            "lines are joined by one blank: {long}"
        );
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        for code in [ErrorCode::NotController, ErrorCode::NotCoordinator, ErrorCode::RequestTimedOut] {
            assert!(retriable(code), "{code}");
        }
        for code in [ErrorCode::TopicAlreadyExists, ErrorCode::UnsupportedVersion, ErrorCode::None] {
            assert!(!retriable(code), "{code}");
        }
    }
}
