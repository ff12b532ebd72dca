// Fills a node with everything that a log directory can hold, and says what a node serves.
//
//   java -cp CLASSES:JARS Disk BOOTSTRAP STEP...
//
//   create        topics, with configs of their own; one that is deleted again
//   write=TAG     records of every kind, group offsets
//   transact=TAG  transactions: committed, aborted, with group offsets
//   open=TAG      a transaction that is never ended
//   delete=N      records below N of the topic `trimmed`
//   dump=FILE     everything that the node serves, one line for each thing

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Disk {
    private static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};

    private final String bootstrap;
    private final Admin admin;

    private Disk(String bootstrap) {
        this.bootstrap = bootstrap;
        admin = Admin.create(Collections.singletonMap("bootstrap.servers", bootstrap));
    }

    public static void main(String[] args) throws Exception {
        Disk disk = new Disk(args[0]);
        for (int i = 1; i < args.length; i++) {
            String[] step = args[i].split("=", 2);
            switch (step[0]) {
                case "create" -> disk.create();
                case "write" -> disk.write(step[1]);
                case "transact" -> disk.transact(step[1]);
                case "open" -> disk.open(step[1]);
                case "delete" -> disk.delete(Long.parseLong(step[1]));
                case "dump" -> disk.dump(Path.of(step[1]));
                default -> throw new IllegalArgumentException(args[i]);
            }
        }
        // A transaction that was left open stays so: its producer is not closed.
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    private void create() throws Exception {
        List<NewTopic> topics = new ArrayList<>();
        for (String codec : CODECS) topics.add(topic(codec, 2, Map.of()));
        topics.add(topic("headers", 1, Map.of()));
        topics.add(topic("tombstones", 2, Map.of("cleanup.policy", "compact", "min.compaction.lag.ms", "604800000")));
        topics.add(topic("append-time", 1, Map.of("message.timestamp.type", "LogAppendTime")));
        topics.add(topic("segments", 1, Map.of("segment.bytes", "1048576", "index.interval.bytes", "1024")));
        topics.add(topic("idempotent", 2, Map.of()));
        topics.add(topic("transactions", 2, Map.of()));
        topics.add(topic("open", 1, Map.of()));
        topics.add(topic("trimmed", 1, Map.of("retention.ms", "-1")));
        topics.add(topic("empty", 3, Map.of()));
        topics.add(topic("deleted", 2, Map.of()));
        admin.createTopics(topics).all().get(30, TimeUnit.SECONDS);
        // Until every leader has its log: an idempotent producer whose first batch comes too early and whose second does not
        // never gets into order again.
        Map<TopicPartition, OffsetSpec> all = new HashMap<>();
        for (NewTopic topic : topics)
            for (int p = 0; p < topic.numPartitions(); p++)
                all.put(new TopicPartition(topic.name(), p), OffsetSpec.latest());
        admin.listOffsets(all).all().get(30, TimeUnit.SECONDS);
        admin.deleteTopics(List.of("deleted")).all().get(30, TimeUnit.SECONDS);
    }

    private static NewTopic topic(String name, int partitions, Map<String, String> configs) {
        return new NewTopic(name, partitions, (short) 1).configs(configs);
    }

    private void write(String tag) throws Exception {
        for (String codec : CODECS)
            try (KafkaProducer<byte[], byte[]> producer = producer("compression.type", codec, "linger.ms", "10")) {
                List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
                for (int i = 0; i < 400; i++)
                    records.add(record(codec, i % 2, "k" + i, tag + " " + codec + " " + i + " again".repeat(i % 20)));
                send(producer, records);
            }
        try (KafkaProducer<byte[], byte[]> producer = producer("enable.idempotence", "false", "linger.ms", "5")) {
            List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
            for (int i = 0; i < 20; i++) {
                ProducerRecord<byte[], byte[]> record = record("headers", 0, null, tag + i);
                record.headers().add("b", bytes("1")).add("a", bytes(tag)).add("b", bytes("2")).add("n", null);
                records.add(record);
            }
            for (int i = 0; i < 40; i++) records.add(record("tombstones", i % 2, "k" + i % 7, i % 3 == 0 ? null : tag + i));
            for (int i = 0; i < 50; i++) records.add(record("append-time", 0, null, tag + i));
            for (int i = 0; i < 100; i++) records.add(record("trimmed", 0, null, tag + i));
            for (int i = 0; i < 2600; i++) records.add(record("segments", 0, null, tag + i + "x".repeat(1000)));
            send(producer, records);
        }
        for (int p = 0; p < 3; p++)
            try (KafkaProducer<byte[], byte[]> producer = producer("batch.size", "500")) {
                List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
                for (int i = 0; i < 100; i++) records.add(record("idempotent", i % 2, null, tag + " " + p + " " + i));
                send(producer, records);
            }
        try (KafkaConsumer<byte[], byte[]> consumer = consumer("group-" + tag, "read_uncommitted")) {
            consumer.commitSync(Map.of(
                new TopicPartition("none", 0), new OffsetAndMetadata(17, "seventeen " + tag),
                new TopicPartition("none", 1), new OffsetAndMetadata(3)));
        }
        // The same group again: a later record for the same key.
        try (KafkaConsumer<byte[], byte[]> consumer = consumer("group", "read_uncommitted")) {
            for (long offset : new long[] {1, 2, 100 + tag.length()})
                consumer.commitSync(Map.of(new TopicPartition("gzip", 0), new OffsetAndMetadata(offset, tag)));
        }
    }

    private void transact(String tag) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer("transactional.id", "tx-" + tag, "linger.ms", "5");
             KafkaConsumer<byte[], byte[]> consumer = consumer("group-tx", "read_committed")) {
            producer.initTransactions();
            for (int round = 0; round < 6; round++) {
                producer.beginTransaction();
                for (int i = 0; i < 30; i++)
                    producer.send(record("transactions", i % 2, null, tag + " " + round + " " + i));
                producer.sendOffsetsToTransaction(
                    Map.of(new TopicPartition("transactions", 0), new OffsetAndMetadata(round)), consumer.groupMetadata());
                producer.flush();
                if (round % 3 == 1) producer.abortTransaction();
                else producer.commitTransaction();
            }
        }
    }

    private void open(String tag) throws Exception {
        KafkaProducer<byte[], byte[]> producer =
            producer("transactional.id", "open-" + tag, "transaction.timeout.ms", "900000");
        producer.initTransactions();
        producer.beginTransaction();
        for (int i = 0; i < 5; i++) producer.send(record("open", 0, null, tag + " open " + i));
        producer.flush();
        try (KafkaProducer<byte[], byte[]> other = producer()) {
            send(other, List.of(record("open", 0, null, tag + " behind an open transaction")));
        }
    }

    private void delete(long below) throws Exception {
        admin.deleteRecords(Map.of(new TopicPartition("trimmed", 0), RecordsToDelete.beforeOffset(below)))
            .all().get(30, TimeUnit.SECONDS);
    }

    // ---- what a node serves

    private void dump(Path file) throws Exception {
        try (PrintWriter out = new PrintWriter(file.toFile(), StandardCharsets.UTF_8)) {
            out.println("cluster " + admin.describeCluster().clusterId().get(30, TimeUnit.SECONDS));
            TreeMap<String, TopicDescription> topics = new TreeMap<>(admin.describeTopics(names())
                .allTopicNames().get(30, TimeUnit.SECONDS));
            List<TopicPartition> partitions = new ArrayList<>();
            for (TopicDescription topic : topics.values()) {
                out.println("topic " + topic.name() + " " + topic.topicId() + " " + topic.partitions().size());
                for (TopicPartitionInfo info : topic.partitions())
                    partitions.add(new TopicPartition(topic.name(), info.partition()));
            }
            configs(out, topics.keySet());
            for (IsolationLevel level : IsolationLevel.values()) records(out, partitions, level);
            for (TopicPartition partition : partitions)
                for (ProducerState state : new TreeMap<>(byId(partition)).values())
                    out.println("producer " + partition + " " + state.producerId() + " epoch " + state.producerEpoch()
                        + " sequence " + state.lastSequence() + " open " + state.currentTransactionStartOffset());
            groups(out);
        }
    }

    private Set<String> names() throws Exception {
        Set<String> names = new TreeSet<>(admin.listTopics().names().get(30, TimeUnit.SECONDS));
        if (names.contains("deleted")) throw new AssertionError("a deleted topic is listed");
        return names;
    }

    private void configs(PrintWriter out, Collection<String> topics) throws Exception {
        List<ConfigResource> resources = new ArrayList<>();
        for (String topic : topics) resources.add(new ConfigResource(ConfigResource.Type.TOPIC, topic));
        var all = admin.describeConfigs(resources).all().get(30, TimeUnit.SECONDS);
        for (ConfigResource resource : resources) {
            TreeMap<String, String> own = new TreeMap<>();
            for (ConfigEntry entry : all.get(resource).entries())
                if (entry.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG) own.put(entry.name(), entry.value());
            out.println("configs " + resource.name() + " " + own);
        }
    }

    private Map<Long, ProducerState> byId(TopicPartition partition) throws Exception {
        Map<Long, ProducerState> states = new HashMap<>();
        for (ProducerState state : admin.describeProducers(List.of(partition)).partitionResult(partition)
            .get(30, TimeUnit.SECONDS).activeProducers()) states.put(state.producerId(), state);
        return states;
    }

    private void records(PrintWriter out, List<TopicPartition> partitions, IsolationLevel level) throws Exception {
        String name = level.toString().toLowerCase();
        Map<TopicPartition, ListOffsetsResult.ListOffsetsResultInfo> starts = offsets(partitions, OffsetSpec.earliest(), level);
        Map<TopicPartition, ListOffsetsResult.ListOffsetsResultInfo> ends = offsets(partitions, OffsetSpec.latest(), level);
        Map<TopicPartition, ListOffsetsResult.ListOffsetsResultInfo> newest =
            offsets(partitions, OffsetSpec.maxTimestamp(), level);
        Map<TopicPartition, List<String>> lines = new HashMap<>();
        Set<TopicPartition> unfinished = new HashSet<>();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(null, name)) {
            consumer.assign(partitions);
            for (TopicPartition partition : partitions) {
                lines.put(partition, new ArrayList<>());
                consumer.seek(partition, starts.get(partition).offset());
                if (starts.get(partition).offset() < ends.get(partition).offset()) unfinished.add(partition);
            }
            long limit = System.currentTimeMillis() + 60_000;
            while (!unfinished.isEmpty()) {
                if (System.currentTimeMillis() > limit) throw new AssertionError("not read to their end: " + unfinished);
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100)))
                    lines.get(new TopicPartition(record.topic(), record.partition())).add(line(record));
                unfinished.removeIf(p -> consumer.position(p) >= ends.get(p).offset());
            }
        }
        for (TopicPartition partition : partitions) {
            out.println(name + " " + partition + " from " + starts.get(partition).offset() + " to "
                + ends.get(partition).offset());
            // Apache Kafka may name a record that was deleted from the front.
            if (!partition.topic().equals("trimmed"))
                out.println(name + " " + partition + " newest " + newest.get(partition).offset());
            for (String line : lines.get(partition)) out.println(name + " " + partition + " " + line);
        }
    }

    private Map<TopicPartition, ListOffsetsResult.ListOffsetsResultInfo> offsets(
        List<TopicPartition> partitions, OffsetSpec spec, IsolationLevel level) throws Exception {
        Map<TopicPartition, OffsetSpec> question = new HashMap<>();
        for (TopicPartition partition : partitions) question.put(partition, spec);
        return admin.listOffsets(question, new ListOffsetsOptions(level)).all().get(30, TimeUnit.SECONDS);
    }

    private static String line(ConsumerRecord<byte[], byte[]> record) {
        StringBuilder line = new StringBuilder();
        line.append(record.offset()).append(' ').append(record.timestampType()).append(' ').append(record.timestamp());
        line.append(" epoch ").append(record.leaderEpoch().orElse(-1));
        line.append(" key ").append(text(record.key())).append(" value ").append(text(record.value()));
        for (Header header : record.headers())
            line.append(" header ").append(header.key()).append('=').append(text(header.value()));
        return line.toString();
    }

    private void groups(PrintWriter out) throws Exception {
        TreeSet<String> names = new TreeSet<>();
        for (GroupListing group : admin.listGroups().all().get(30, TimeUnit.SECONDS)) names.add(group.groupId());
        for (String group : names) {
            Map<TopicPartition, OffsetAndMetadata> offsets = admin.listConsumerGroupOffsets(group)
                .partitionsToOffsetAndMetadata().get(30, TimeUnit.SECONDS);
            TreeMap<String, OffsetAndMetadata> sorted = new TreeMap<>();
            offsets.forEach((partition, offset) -> sorted.put(partition.toString(), offset));
            sorted.forEach((partition, offset) -> out.println("group " + group + " " + partition + " at "
                + offset.offset() + " epoch " + offset.leaderEpoch().orElse(-1) + " " + offset.metadata()));
        }
    }

    // ---- clients

    private static ProducerRecord<byte[], byte[]> record(String topic, int partition, String key, String value) {
        return new ProducerRecord<>(topic, partition, key == null ? null : bytes(key), value == null ? null : bytes(value));
    }

    private static void send(KafkaProducer<byte[], byte[]> producer, List<ProducerRecord<byte[], byte[]>> records)
        throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (ProducerRecord<byte[], byte[]> record : records) sent.add(producer.send(record));
        for (Future<RecordMetadata> future : sent) future.get(30, TimeUnit.SECONDS);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** As text where it is text, else in hexadecimal. */
    private static String text(byte[] bytes) {
        if (bytes == null) return "null";
        StringBuilder text = new StringBuilder("'");
        for (byte b : bytes)
            if (b >= 32 && b < 127) text.append((char) b);
            else text.append(String.format("\\%02x", b));
        return text.append('\'').toString();
    }

    private KafkaProducer<byte[], byte[]> producer(String... settings) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("acks", "all");
        for (int i = 0; i < settings.length; i += 2) properties.put(settings[i], settings[i + 1]);
        return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private KafkaConsumer<byte[], byte[]> consumer(String group, String level) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("enable.auto.commit", "false");
        properties.put("isolation.level", level);
        properties.put("exclude.internal.topics", "false");
        if (group != null) properties.put("group.id", group);
        return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }
}
