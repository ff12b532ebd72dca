// What the client of 2.6 can do beside: single configs, offsets by their kind, static members, cooperative rebalances.

import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

public class AdminOf26 implements Judge.Section {
    @Override
    public void run(Judge judge) {
        judge.check("incremental", () -> incremental(judge));
        judge.check("list-offsets", () -> {
            TopicPartition partition = new TopicPartition(judge.topic("times"), 1);
            Judge.expect(offset(judge, partition, OffsetSpec.earliest()) == 0, "earliest 0");
            Judge.expect(offset(judge, partition, OffsetSpec.latest()) == 10, "latest 10");
            long now = System.currentTimeMillis();
            Judge.expect(offset(judge, partition, OffsetSpec.forTimestamp(now - 200_000)) == 0, "0 for a time before");
        });
        judge.check("delete-offsets", () -> {
            TopicPartition partition = new TopicPartition(judge.topic("group"), 0);
            String group = judge.prefix + "-group";
            judge.admin.deleteConsumerGroupOffsets(group, Collections.singleton(partition)).all()
                .get(20, TimeUnit.SECONDS);
            Judge.expect(!judge.admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()
                .get(20, TimeUnit.SECONDS).containsKey(partition), "no offset any more");
        });
        judge.check("cooperative", () -> {
            judge.create("cooperative", 2);
            Properties properties = new Properties();
            properties.put("partition.assignment.strategy",
                "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
            new Members(judge).run(judge.topic("cooperative"), judge.prefix + "-cooperative", properties);
        });
        judge.check("static", () -> staticMember(judge));
    }

    private static void incremental(Judge judge) throws Exception {
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, judge.topic("headers"));
        change(judge, topic, new AlterConfigOp(new ConfigEntry("max.message.bytes", "2000000"), AlterConfigOp.OpType.SET),
            new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.APPEND));
        Judge.eventually("the new value", () -> value(judge, topic, "max.message.bytes").equals("2000000"));
        // Of several brokers another one may answer, a little later.
        Judge.eventually("both policies", () -> {
            String policy = value(judge, topic, "cleanup.policy");
            return policy.contains("compact") && policy.contains("delete");
        });
        change(judge, topic, new AlterConfigOp(new ConfigEntry("max.message.bytes", ""), AlterConfigOp.OpType.DELETE),
            new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.SUBTRACT));
        Judge.eventually("the default again", () -> value(judge, topic, "max.message.bytes").equals("1048588"));
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
        change(judge, broker, new AlterConfigOp(new ConfigEntry("log.cleaner.threads", "2"), AlterConfigOp.OpType.SET));
        Judge.eventually("the broker's new value", () -> value(judge, broker, "log.cleaner.threads").equals("2"));
        change(judge, broker, new AlterConfigOp(new ConfigEntry("log.cleaner.threads", ""), AlterConfigOp.OpType.DELETE));
        try {
            change(judge, topic, new AlterConfigOp(new ConfigEntry("no.such.key", "1"), AlterConfigOp.OpType.SET));
            throw new AssertionError("a key that does not exist was taken");
        } catch (java.util.concurrent.ExecutionException refused) {
            Judge.expect(refused.getCause() instanceof org.apache.kafka.common.errors.InvalidConfigurationException,
                "InvalidConfigurationException, not " + refused.getCause());
        }
    }

    private static void change(Judge judge, ConfigResource resource, AlterConfigOp... changes) throws Exception {
        Map<ConfigResource, Collection<AlterConfigOp>> all = new HashMap<>();
        all.put(resource, Arrays.asList(changes));
        judge.admin.incrementalAlterConfigs(all).all().get(20, TimeUnit.SECONDS);
    }

    private static String value(Judge judge, ConfigResource resource, String key) throws Exception {
        Config config = judge.admin.describeConfigs(Collections.singleton(resource)).all().get(20, TimeUnit.SECONDS)
            .get(resource);
        return config.get(key).value();
    }

    private static long offset(Judge judge, TopicPartition partition, OffsetSpec spec) throws Exception {
        ListOffsetsResult result = judge.admin.listOffsets(Collections.singletonMap(partition, spec));
        return result.partitionResult(partition).get(20, TimeUnit.SECONDS).offset();
    }

    /** A static member that comes back keeps its share, and the group's generation stays what it was. */
    private static void staticMember(Judge judge) throws Exception {
        Properties properties = new Properties();
        properties.put("group.instance.id", "the-one");
        String group = judge.prefix + "-static";
        int generation;
        try (KafkaConsumer<byte[], byte[]> consumer = judge.consumer(group, properties)) {
            consumer.subscribe(Collections.singleton(judge.topic("commit")));
            judge.read(consumer, 10);
            generation = consumer.groupMetadata().generationId();
        }
        try (KafkaConsumer<byte[], byte[]> consumer = judge.consumer(group, properties)) {
            consumer.subscribe(Collections.singleton(judge.topic("commit")));
            judge.read(consumer, 10);
            int now = consumer.groupMetadata().generationId();
            Judge.expect(now == generation, "generation " + generation + " still, not " + now);
            Judge.expect(consumer.assignment().size() == 2, "its partitions");
        }
    }
}
