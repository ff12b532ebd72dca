//! The error codes of an answer, wherever they stand in it: what decides whether a call is made again.

use ottla_protocol::messages::*;
use ottla_protocol::wire::Message;

/// A response whose error codes can be seen without knowing its shape.
pub trait Answer: Message {
    /// Shows every error code: the whole answer's, if it is not 0, then those of its parts, 0 included.
    fn codes(&self, see: &mut dyn FnMut(i16));
}

fn top(code: i16, see: &mut dyn FnMut(i16)) {
    if code != 0 {
        see(code);
    }
}

macro_rules! answers {
    ($($response:ident, $r:ident, $see:ident => $body:block;)*) => {
        $(impl Answer for $response {
            #[allow(unused_variables)]
            fn codes(&self, $see: &mut dyn FnMut(i16)) {
                let $r = self;
                $body
            }
        })*
    };
}

answers! {
    AddOffsetsToTxnResponse, r, see => { top(r.error_code, see); };
    AddPartitionsToTxnResponse, r, see => {
        top(r.error_code, see);
        for a in &r.results_by_transaction {
            for b in &a.topic_results {
                for c in &b.results_by_partition {
                    see(c.partition_error_code);
                }
            }
        }
        for a in &r.results_by_topic_v3_and_below {
            for b in &a.results_by_partition {
                see(b.partition_error_code);
            }
        }
    };
    AddRaftVoterResponse, r, see => { top(r.error_code, see); };
    AlterClientQuotasResponse, r, see => { for a in &r.entries { see(a.error_code); } };
    AlterConfigsResponse, r, see => { for a in &r.responses { see(a.error_code); } };
    AlterPartitionReassignmentsResponse, r, see => {
        top(r.error_code, see);
        for a in &r.responses {
            for b in &a.partitions {
                see(b.error_code);
            }
        }
    };
    AlterReplicaLogDirsResponse, r, see => {
        for a in &r.results {
            for b in &a.partitions {
                see(b.error_code);
            }
        }
    };
    AlterShareGroupOffsetsResponse, r, see => {
        top(r.error_code, see);
        for a in &r.responses {
            for b in &a.partitions {
                see(b.error_code);
            }
        }
    };
    AlterUserScramCredentialsResponse, r, see => { for a in &r.results { see(a.error_code); } };
    ApiVersionsResponse, r, see => { top(r.error_code, see); };
    ConsumerGroupDescribeResponse, r, see => { for a in &r.groups { see(a.error_code); } };
    ConsumerGroupHeartbeatResponse, r, see => { top(r.error_code, see); };
    CreateAclsResponse, r, see => { for a in &r.results { see(a.error_code); } };
    CreateDelegationTokenResponse, r, see => { top(r.error_code, see); };
    CreatePartitionsResponse, r, see => { for a in &r.results { see(a.error_code); } };
    CreateTopicsResponse, r, see => { for a in &r.topics { see(a.error_code); } };
    DeleteAclsResponse, r, see => {
        for a in &r.filter_results {
            see(a.error_code);
            for b in &a.matching_acls {
                see(b.error_code);
            }
        }
    };
    DeleteGroupsResponse, r, see => { for a in &r.results { see(a.error_code); } };
    DeleteRecordsResponse, r, see => { for a in &r.topics { for b in &a.partitions { see(b.error_code); } } };
    DeleteShareGroupOffsetsResponse, r, see => {
        top(r.error_code, see);
        for a in &r.responses {
            see(a.error_code);
        }
    };
    DeleteTopicsResponse, r, see => { for a in &r.responses { see(a.error_code); } };
    DescribeAclsResponse, r, see => { top(r.error_code, see); };
    DescribeClientQuotasResponse, r, see => { top(r.error_code, see); };
    DescribeClusterResponse, r, see => { top(r.error_code, see); };
    DescribeConfigsResponse, r, see => { for a in &r.results { see(a.error_code); } };
    DescribeDelegationTokenResponse, r, see => { top(r.error_code, see); };
    DescribeGroupsResponse, r, see => { for a in &r.groups { see(a.error_code); } };
    DescribeLogDirsResponse, r, see => { top(r.error_code, see); for a in &r.results { see(a.error_code); } };
    DescribeProducersResponse, r, see => {
        for a in &r.topics {
            for b in &a.partitions {
                see(b.error_code);
            }
        }
    };
    DescribeQuorumResponse, r, see => {
        top(r.error_code, see);
        for a in &r.topics {
            for b in &a.partitions {
                see(b.error_code);
            }
        }
    };
    DescribeShareGroupOffsetsResponse, r, see => {
        for a in &r.groups {
            see(a.error_code);
            for b in &a.topics {
                for c in &b.partitions {
                    see(c.error_code);
                }
            }
        }
    };
    DescribeTopicPartitionsResponse, r, see => {
        for a in &r.topics {
            see(a.error_code);
            for b in &a.partitions {
                see(b.error_code);
            }
        }
    };
    DescribeTransactionsResponse, r, see => { for a in &r.transaction_states { see(a.error_code); } };
    DescribeUserScramCredentialsResponse, r, see => {
        top(r.error_code, see);
        for a in &r.results {
            see(a.error_code);
        }
    };
    ElectLeadersResponse, r, see => {
        top(r.error_code, see);
        for a in &r.replica_election_results {
            for b in &a.partition_result {
                see(b.error_code);
            }
        }
    };
    EndTxnResponse, r, see => { top(r.error_code, see); };
    ExpireDelegationTokenResponse, r, see => { top(r.error_code, see); };
    FetchResponse, r, see => {
        top(r.error_code, see);
        for a in &r.responses {
            for b in &a.partitions {
                see(b.error_code);
            }
        }
    };
    FindCoordinatorResponse, r, see => {
        top(r.error_code, see);
        for a in &r.coordinators {
            see(a.error_code);
        }
    };
    GetTelemetrySubscriptionsResponse, r, see => { top(r.error_code, see); };
    HeartbeatResponse, r, see => { top(r.error_code, see); };
    IncrementalAlterConfigsResponse, r, see => { for a in &r.responses { see(a.error_code); } };
    InitProducerIdResponse, r, see => { top(r.error_code, see); };
    JoinGroupResponse, r, see => { top(r.error_code, see); };
    LeaveGroupResponse, r, see => { top(r.error_code, see); for a in &r.members { see(a.error_code); } };
    ListConfigResourcesResponse, r, see => { top(r.error_code, see); };
    ListGroupsResponse, r, see => { top(r.error_code, see); };
    ListOffsetsResponse, r, see => { for a in &r.topics { for b in &a.partitions { see(b.error_code); } } };
    ListPartitionReassignmentsResponse, r, see => { top(r.error_code, see); };
    ListTransactionsResponse, r, see => { top(r.error_code, see); };
    MetadataResponse, r, see => {
        top(r.error_code, see);
        for a in &r.topics {
            see(a.error_code);
            for b in &a.partitions {
                see(b.error_code);
            }
        }
    };
    OffsetCommitResponse, r, see => { for a in &r.topics { for b in &a.partitions { see(b.error_code); } } };
    OffsetDeleteResponse, r, see => {
        top(r.error_code, see);
        for a in &r.topics {
            for b in &a.partitions {
                see(b.error_code);
            }
        }
    };
    OffsetFetchResponse, r, see => {
        top(r.error_code, see);
        for a in &r.topics {
            for b in &a.partitions {
                see(b.error_code);
            }
        }
        for a in &r.groups {
            see(a.error_code);
            for b in &a.topics {
                for c in &b.partitions {
                    see(c.error_code);
                }
            }
        }
    };
    OffsetForLeaderEpochResponse, r, see => {
        for a in &r.topics {
            for b in &a.partitions {
                see(b.error_code);
            }
        }
    };
    ProduceResponse, r, see => {
        for a in &r.responses {
            for b in &a.partition_responses {
                see(b.error_code);
            }
        }
    };
    PushTelemetryResponse, r, see => { top(r.error_code, see); };
    RemoveRaftVoterResponse, r, see => { top(r.error_code, see); };
    RenewDelegationTokenResponse, r, see => { top(r.error_code, see); };
    SaslAuthenticateResponse, r, see => { top(r.error_code, see); };
    SaslHandshakeResponse, r, see => { top(r.error_code, see); };
    ShareAcknowledgeResponse, r, see => {
        top(r.error_code, see);
        for a in &r.responses {
            for b in &a.partitions {
                see(b.error_code);
            }
        }
    };
    ShareFetchResponse, r, see => {
        top(r.error_code, see);
        for a in &r.responses {
            for b in &a.partitions {
                see(b.error_code);
            }
        }
    };
    ShareGroupDescribeResponse, r, see => { for a in &r.groups { see(a.error_code); } };
    ShareGroupHeartbeatResponse, r, see => { top(r.error_code, see); };
    StreamsGroupDescribeResponse, r, see => { for a in &r.groups { see(a.error_code); } };
    StreamsGroupHeartbeatResponse, r, see => { top(r.error_code, see); };
    SyncGroupResponse, r, see => { top(r.error_code, see); };
    TxnOffsetCommitResponse, r, see => {
        for a in &r.topics {
            for b in &a.partitions {
                see(b.error_code);
            }
        }
    };
    UnregisterBrokerResponse, r, see => { top(r.error_code, see); };
    UpdateFeaturesResponse, r, see => { top(r.error_code, see); for a in &r.results { see(a.error_code); } };
    WriteTxnMarkersResponse, r, see => {
        for a in &r.markers {
            for b in &a.topics {
                for c in &b.partitions {
                    see(c.error_code);
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::messages::create_topics_response::CreatableTopicResult;

    #[test]
    fn parts_are_shown_and_a_sound_whole_is_not() {
        let mut answer = CreateTopicsResponse::default();
        let topics = [0, 36].map(|error_code| CreatableTopicResult { error_code, ..Default::default() });
        answer.topics.extend(topics);
        let mut codes = Vec::new();
        answer.codes(&mut |code| codes.push(code));
        assert_eq!(codes, [0, 36]);

        let mut codes = Vec::new();
        FindCoordinatorResponse { error_code: 15, ..Default::default() }.codes(&mut |code| codes.push(code));
        assert_eq!(codes, [15]);
    }
}
