// The admin client's calls as 4.x has them: topics described by name and id, quorum, log directories, producers.

import java.util.Collections;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.LogDirDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.QuorumInfo;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;

public class AdminOf4 implements Judge.Section {
    @Override
    public void run(Judge judge) {
        String name = judge.topic("admin4");
        judge.check("describe", () -> {
            judge.create("admin4", 3);
            Judge.eventually("three partitions", () -> describe(judge, name).partitions().size() == 3);
            Uuid id = describe(judge, name).topicId();
            TopicDescription same = judge.admin.describeTopics(TopicCollection.ofTopicIds(Collections.singleton(id)))
                .allTopicIds().get(20, TimeUnit.SECONDS).get(id);
            Judge.expect(same.name().equals(name), "the topic by its id");
            Judge.expect(judge.admin.describeCluster().nodes().get(20, TimeUnit.SECONDS).size() == Judge.COPIES,
                "every node");
        });
        judge.check("partitions", () -> {
            judge.admin.createPartitions(Collections.singletonMap(name, NewPartitions.increaseTo(5)))
                .all().get(20, TimeUnit.SECONDS);
            Judge.eventually("five partitions", () -> describe(judge, name).partitions().size() == 5);
        });
        judge.check("max-timestamp", () -> {
            TopicPartition partition = new TopicPartition(judge.topic("times"), 1);
            long offset = judge.admin.listOffsets(Collections.singletonMap(partition, OffsetSpec.maxTimestamp()))
                .partitionResult(partition).get(20, TimeUnit.SECONDS).offset();
            Judge.expect(offset == 9, "offset 9 has the newest time, not " + offset);
        });
        judge.check("quorum", () -> {
            QuorumInfo quorum = judge.admin.describeMetadataQuorum().quorumInfo().get(20, TimeUnit.SECONDS);
            Judge.expect(quorum.voters().size() == Judge.COPIES
                && quorum.voters().stream().anyMatch(voter -> voter.replicaId() == quorum.leaderId()), "a voter that leads");
            Judge.expect(quorum.highWatermark() > 0, "a high watermark");
            Judge.expect(judge.admin.describeFeatures().featureMetadata().get(20, TimeUnit.SECONDS).finalizedFeatures()
                .get("metadata.version").maxVersionLevel() >= 29, "metadata.version of 4.3");
        });
        judge.check("log-dirs", () -> {
            TopicPartition partition = new TopicPartition(judge.topic("none"), 0);
            for (LogDirDescription dir : judge.admin.describeLogDirs(Collections.singleton(1)).allDescriptions()
                .get(20, TimeUnit.SECONDS).get(1).values())
                Judge.expect(dir.replicaInfos().get(partition).size() > 1000, "the size of a partition");
        });
        judge.check("producers", () -> {
            TopicPartition partition = new TopicPartition(judge.topic("once"), 0);
            ProducerState state = judge.admin.describeProducers(Collections.singleton(partition))
                .partitionResult(partition).get(20, TimeUnit.SECONDS).activeProducers().get(0);
            Judge.expect(state.lastSequence() == 999, "sequence 999, not " + state.lastSequence());
        });
        judge.check("list-groups", () -> {
            for (GroupListing group : judge.admin.listGroups().all().get(20, TimeUnit.SECONDS))
                if (group.groupId().equals(judge.prefix + "-group")) {
                    Judge.expect(group.type().get().toString().equals("Classic"), "a classic group");
                    return;
                }
            throw new AssertionError("the group is not listed");
        });
        judge.check("delete", () -> {
            judge.admin.deleteTopics(Collections.singleton(name)).all().get(20, TimeUnit.SECONDS);
            Judge.eventually("it is gone",
                () -> !judge.admin.listTopics().names().get(20, TimeUnit.SECONDS).contains(name));
        });
    }

    private static TopicDescription describe(Judge judge, String name) throws Exception {
        return judge.admin.describeTopics(Collections.singleton(name)).allTopicNames().get(20, TimeUnit.SECONDS)
            .get(name);
    }
}
