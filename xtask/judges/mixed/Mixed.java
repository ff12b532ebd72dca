// A producer, a group member or an administrator that works while nodes change hands around it.
//
//   java -cp CLASSES:JARS Mixed BOOTSTRAP produce TOPIC TAG BOOK
//   java -cp CLASSES:JARS Mixed BOOTSTRAP consume TOPIC GROUP BOOK PROTOCOL
//   java -cp CLASSES:JARS Mixed BOOTSTRAP admin PREFIX
//   java -cp CLASSES:JARS Mixed BOOTSTRAP offsets GROUP
//
// `produce` and `consume` work until standard input ends. A producer's BOOK holds `NUMBER PARTITION OFFSET` for each
// acknowledged record, a consumer's `PARTITION OFFSET VALUE` for each record that it was given.

import java.io.BufferedWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Mixed {
    private static volatile boolean stop;

    public static void main(String[] args) throws Exception {
        switch (args[1]) {
            case "produce" -> produce(args[0], args[2], args[3], Path.of(args[4]));
            case "consume" -> consume(args[0], args[2], args[3], Path.of(args[4]), args[5]);
            case "offsets" -> offsets(args[0], args[2]);
            case "admin" -> new Administrator(args[0]).everything(args[2]);
            default -> throw new IllegalArgumentException(args[1]);
        }
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    private static void watchInput() {
        Thread thread = new Thread(() -> {
            try {
                while (System.in.read() >= 0) { }
            } catch (Exception e) {
                System.err.println(e);
            }
            stop = true;
        });
        thread.setDaemon(true);
        thread.start();
    }

    private static void produce(String bootstrap, String topic, String tag, Path file) throws Exception {
        watchInput();
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("acks", "all");
        p.put("enable.idempotence", "true");
        p.put("linger.ms", "5");
        AtomicLong failed = new AtomicLong(), acknowledged = new AtomicLong(), silence = new AtomicLong();
        AtomicLong last = new AtomicLong();
        long number = 0;
        try (BufferedWriter book = Files.newBufferedWriter(file);
                KafkaProducer<String, String> producer = new KafkaProducer<>(p, new StringSerializer(), new StringSerializer())) {
            int partitions = producer.partitionsFor(topic).size();
            while (!stop) {
                long n = number++;
                producer.send(new ProducerRecord<>(topic, (int) (n % partitions), null, tag + ":" + n), (meta, error) -> {
                    long now = System.nanoTime();
                    // Until the first acknowledgement there is nothing to go silent.
                    long before = last.getAndSet(now), silent = before == 0 ? 0 : now - before;
                    silence.accumulateAndGet(silent, Math::max);
                    if (silent > 500_000_000L) System.err.println(Instant.now() + " silent for " + silent / 1_000_000 + " ms");
                    if (error != null) {
                        failed.incrementAndGet();
                        System.err.println("failed " + n + " " + error);
                        return;
                    }
                    acknowledged.incrementAndGet();
                    try {
                        book.write(n + " " + meta.partition() + " " + meta.offset() + "\n");
                        book.flush();
                    } catch (Exception e) {
                        System.err.println("book " + e);
                        failed.incrementAndGet();
                    }
                });
                Thread.sleep(5);
            }
            producer.flush();
        }
        System.out.println("sent " + number + " acknowledged " + acknowledged + " failed " + failed
            + " silence " + silence.get() / 1_000_000);
    }

    private static void consume(String bootstrap, String topic, String group, Path file, String protocol) throws Exception {
        watchInput();
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("group.id", group);
        p.put("group.protocol", protocol);
        p.put("auto.offset.reset", "earliest");
        p.put("enable.auto.commit", "false");
        long count = 0, failedCommits = 0, silence = 0, last = 0;
        try (BufferedWriter book = Files.newBufferedWriter(file);
                KafkaConsumer<String, String> consumer = new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(topic));
            while (!stop) {
                int before = 0;
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    book.write(record.partition() + " " + record.offset() + " " + record.value() + "\n");
                    before++;
                    long now = System.nanoTime();
                    if (last != 0) silence = Math.max(silence, now - last);
                    last = now;
                }
                if (before > 0) {
                    book.flush();
                    count += before;
                    try {
                        Map<TopicPartition, Long> positions = new HashMap<>();
                        for (TopicPartition partition : consumer.assignment())
                            positions.put(partition, consumer.position(partition));
                        consumer.commitSync();
                        for (Map.Entry<TopicPartition, Long> at : positions.entrySet())
                            book.write("committed " + at.getKey().partition() + " " + at.getValue() + "\n");
                        book.flush();
                    } catch (Exception e) {
                        failedCommits++;
                        System.err.println("commit " + e);
                    }
                }
            }
        }
        System.out.println("consumed " + count + " failed commits " + failedCommits + " silence " + silence / 1_000_000);
    }

    /** `TOPIC PARTITION OFFSET` of all that a group has committed, whatever kind of group it is. */
    private static void offsets(String bootstrap, String group) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get(30, TimeUnit.SECONDS).forEach(
                (at, offset) -> System.out.println(at.topic() + " " + at.partition() + " " + offset.offset()));
        }
    }

    /** Changes topics of three replicas and waits until every broker says the same. */
    private static final class Administrator {
        private final Admin admin;

        Administrator(String bootstrap) {
            admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
        }

        void everything(String prefix) throws Exception {
            String topic = prefix + "-shaped";
            done("create", () -> admin.createTopics(List.of(new NewTopic(topic,
                Map.of(0, List.of(1, 2), 1, List.of(2, 3), 2, List.of(3, 1))))).all().get(30, TimeUnit.SECONDS));
            until("created", () -> shape(topic).equals("0=1,2 1=2,3 2=3,1"));

            Map<TopicPartition, Optional<NewPartitionReassignment>> moves = new HashMap<>();
            moves.put(new TopicPartition(topic, 0), Optional.of(new NewPartitionReassignment(List.of(3, 2))));
            moves.put(new TopicPartition(topic, 1), Optional.of(new NewPartitionReassignment(List.of(1, 3))));
            moves.put(new TopicPartition(topic, 2), Optional.of(new NewPartitionReassignment(List.of(2, 1))));
            done("reassign", () -> admin.alterPartitionReassignments(moves).all().get(30, TimeUnit.SECONDS));
            until("reassigned", () -> shape(topic).equals("0=3,2 1=1,3 2=2,1")
                && admin.listPartitionReassignments().reassignments().get(10, TimeUnit.SECONDS).isEmpty());
            until("whole after the reassignment", () -> whole(topic));

            done("grow", () -> admin.createPartitions(Map.of(topic,
                NewPartitions.increaseTo(5, List.of(List.of(1, 2), List.of(2, 3))))).all().get(30, TimeUnit.SECONDS));
            until("grown", () -> shape(topic).equals("0=3,2 1=1,3 2=2,1 3=1,2 4=2,3") && whole(topic));

            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            set(resource, "retention.ms", "123456789");
            until("the topic's configuration at every broker", () -> everyBroker(resource, "retention.ms", "123456789"));
            done("delete config", () -> admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(
                new ConfigEntry("retention.ms", ""), AlterConfigOp.OpType.DELETE)))).all().get(30, TimeUnit.SECONDS));
            until("the default again", () -> everyBroker(resource, "retention.ms", "604800000"));
            for (int id = 1; id <= 3; id++) {
                ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, String.valueOf(id));
                set(broker, "log.cleaner.threads", "2");
                until("broker " + id, () -> value(broker, "log.cleaner.threads").equals("2"));
            }
            ConfigResource all = new ConfigResource(ConfigResource.Type.BROKER, "");
            set(all, "message.max.bytes", "1234567");
            for (int id = 1; id <= 3; id++) {
                ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, String.valueOf(id));
                until("the cluster's default at " + id, () -> value(broker, "message.max.bytes").equals("1234567"));
            }

            done("elect", () -> admin.electLeaders(ElectionType.PREFERRED, null).partitions().get(30, TimeUnit.SECONDS));
            until("preferred leaders", () -> preferred(topic));

            String gone = prefix + "-gone";
            done("create what goes", () -> admin.createTopics(List.of(new NewTopic(gone, 3, (short) 3))).all()
                .get(30, TimeUnit.SECONDS));
            until("there", () -> whole(gone));
            done("delete", () -> admin.deleteTopics(List.of(gone)).all().get(30, TimeUnit.SECONDS));
            until("gone", () -> !admin.listTopics().names().get(10, TimeUnit.SECONDS).contains(gone));
            System.out.println("everything done");
        }

        private void set(ConfigResource resource, String key, String value) throws Exception {
            done("set " + key, () -> admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(
                new ConfigEntry(key, value), AlterConfigOp.OpType.SET)))).all().get(30, TimeUnit.SECONDS));
        }

        private TopicDescription describe(String topic) throws Exception {
            return admin.describeTopics(List.of(topic)).allTopicNames().get(10, TimeUnit.SECONDS).get(topic);
        }

        private String shape(String topic) throws Exception {
            StringBuilder text = new StringBuilder();
            for (TopicPartitionInfo partition : describe(topic).partitions()) {
                text.append(text.length() == 0 ? "" : " ").append(partition.partition()).append('=');
                String separator = "";
                for (Node node : partition.replicas()) {
                    text.append(separator).append(node.id());
                    separator = ",";
                }
            }
            return text.toString();
        }

        private boolean whole(String topic) throws Exception {
            return describe(topic).partitions().stream()
                .allMatch(p -> p.leader() != null && p.isr().size() == p.replicas().size());
        }

        private boolean preferred(String topic) throws Exception {
            return describe(topic).partitions().stream()
                .allMatch(p -> p.leader() != null && p.leader().id() == p.replicas().get(0).id());
        }

        private String value(ConfigResource resource, String key) throws Exception {
            return admin.describeConfigs(List.of(resource)).all().get(10, TimeUnit.SECONDS).get(resource).get(key).value();
        }

        /** Any broker answers for a topic: asks each of them by a client of its own. */
        private boolean everyBroker(ConfigResource resource, String key, String value) throws Exception {
            for (Node node : admin.describeCluster().nodes().get(10, TimeUnit.SECONDS))
                try (Admin one = Admin.create(Map.of("bootstrap.servers", node.host() + ":" + node.port()))) {
                    if (!one.describeConfigs(List.of(resource)).all().get(10, TimeUnit.SECONDS).get(resource).get(key)
                        .value().equals(value)) return false;
                }
            return true;
        }

        private static void done(String what, Callable<?> change) throws Exception {
            try {
                change.call();
            } catch (Exception e) {
                throw new Exception(what + ": " + e, e);
            }
            System.out.println("done " + what);
        }

        private static void until(String what, Callable<Boolean> condition) throws Exception {
            long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
            Exception last = null;
            while (System.nanoTime() < end) {
                try {
                    if (condition.call()) {
                        System.out.println("done " + what);
                        return;
                    }
                    last = null;
                } catch (Exception e) {
                    last = e;
                }
                Thread.sleep(100);
            }
            throw new Exception("not " + what + " within 60 s", last);
        }
    }
}
