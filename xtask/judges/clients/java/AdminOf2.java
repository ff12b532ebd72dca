// The admin client's calls that came with 2.0: groups, and records deleted from the front.

import java.util.Collection;
import java.util.Collections;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ConsumerGroupListing;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

@SuppressWarnings("deprecation")
public class AdminOf2 implements Judge.Section {
    @Override
    public void run(Judge judge) {
        judge.check("groups", () -> groups(judge));
        judge.check("delete-records", () -> {
            TopicPartition partition = new TopicPartition(judge.topic("lz4"), 0);
            long low = judge.admin.deleteRecords(Collections.singletonMap(partition, RecordsToDelete.beforeOffset(60)))
                .lowWatermarks().get(partition).get(20, TimeUnit.SECONDS).lowWatermark();
            Judge.expect(low == 60, "a low watermark of 60, not " + low);
            try (KafkaConsumer<byte[], byte[]> consumer = judge.consumer(null, new java.util.Properties())) {
                long start = consumer.beginningOffsets(Collections.singleton(partition)).get(partition);
                Judge.expect(start == 60, "a beginning of 60, not " + start);
            }
            judge.verify("lz4", 60);
        });
    }

    private static void groups(Judge judge) throws Exception {
        String group = judge.prefix + "-groups";
        TopicPartition partition = new TopicPartition(judge.topic("commit"), 0);
        try (KafkaConsumer<byte[], byte[]> consumer = judge.consumer(group, new java.util.Properties())) {
            consumer.subscribe(Collections.singleton(judge.topic("commit")));
            judge.read(consumer, 10);
            consumer.commitSync();
            Collection<ConsumerGroupListing> all =
                judge.admin.listConsumerGroups().all().get(20, TimeUnit.SECONDS);
            Judge.expect(all.stream().anyMatch(g -> g.groupId().equals(group)), "the group in the list");
            ConsumerGroupDescription description = describe(judge, group);
            Judge.expect(description.state().toString().equals("Stable"), "Stable, not " + description.state());
            Judge.expect(description.partitionAssignor().equals("range"), "its assignor");
            Judge.expect(description.members().size() == 1, "one member");
            Judge.expect(description.members().iterator().next().host().startsWith("/"), "its host as Java says it");
            Judge.expect(description.members().iterator().next().assignment().topicPartitions().size() == 2, "its share");
        }
        Judge.eventually("Empty", () -> describe(judge, group).state().toString().equals("Empty"));
        long offset = judge.admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()
            .get(20, TimeUnit.SECONDS).get(partition).offset();
        Judge.expect(offset == 10, "an offset of 10, not " + offset);
        judge.admin.deleteConsumerGroups(Collections.singleton(group)).all().get(20, TimeUnit.SECONDS);
        Judge.eventually("the group is gone", () -> judge.admin.listConsumerGroups().all().get(20, TimeUnit.SECONDS)
            .stream().noneMatch(g -> g.groupId().equals(group)));
    }

    private static ConsumerGroupDescription describe(Judge judge, String group) throws Exception {
        return judge.admin.describeConsumerGroups(Collections.singleton(group)).all().get(20, TimeUnit.SECONDS)
            .get(group);
    }
}
