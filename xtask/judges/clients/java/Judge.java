// What every version of the Java client is asked to do. It compiles against 1.0.2 and everything after; what came or went
// in between lies in the classes beside it, and the caller names those that the version at hand has:
//
//   java -cp CLASSES:JARS Judge BOOTSTRAP PREFIX first|second ZSTD CLASS...
//
// One line for every check: `ok NAME` or `fail NAME: REASON`.

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Judge {
    /** What changed its signature between the versions. */
    public interface Era {
        ConsumerRecords<byte[], byte[]> poll(Consumer<byte[], byte[]> consumer, long ms);

        OffsetAndMetadata committed(Consumer<byte[], byte[]> consumer, TopicPartition partition);
    }

    /** More checks, of calls that not every version has. */
    public interface Section {
        void run(Judge judge) throws Exception;
    }

    interface Check {
        void run() throws Exception;
    }

    static final int RECORDS = 200;

    final String bootstrap;
    final String prefix;
    final List<Section> sections = new ArrayList<>();
    Era era;
    AdminClient admin;

    Judge(String bootstrap, String prefix) {
        this.bootstrap = bootstrap;
        this.prefix = prefix;
    }

    public static void main(String[] args) throws Exception {
        Judge judge = new Judge(args[0], args[1]);
        for (String name : Arrays.asList(args).subList(4, args.length)) {
            Object part = Class.forName(name).getDeclaredConstructor().newInstance();
            if (part instanceof Era) judge.era = (Era) part;
            if (part instanceof Section) judge.sections.add((Section) part);
        }
        Properties properties = new Properties();
        properties.put("bootstrap.servers", judge.bootstrap);
        judge.admin = AdminClient.create(properties);
        if (args[2].equals("first")) judge.first(args[3].equals("true"));
        else judge.second();
        judge.admin.close();
        System.exit(0);
    }

    void first(boolean zstd) throws Exception {
        check("create", () -> {
            for (String name : Arrays.asList("group", "commit", "headers", "times", "once"))
                create(name, 2);
        });
        List<String> codecs = new ArrayList<>(Arrays.asList("none", "gzip", "snappy", "lz4"));
        if (zstd) codecs.add("zstd");
        for (String codec : codecs) check(codec, () -> codec(codec));
        check("headers", this::headers);
        check("times", this::times);
        check("idempotent", this::idempotent);
        check("group", () -> new Members(this).run(topic("group"), prefix + "-group", new Properties()));
        check("commit", this::commit);
        for (Section section : sections) section.run(this);
    }

    /** After the server was started again. */
    void second() {
        TopicPartition partition = new TopicPartition(topic("commit"), 0);
        check("restart", () -> {
            try (KafkaConsumer<byte[], byte[]> consumer = consumer(prefix + "-commit", new Properties())) {
                OffsetAndMetadata committed = era.committed(consumer, partition);
                expect(committed != null && committed.offset() == 7, "committed offset 7, not " + committed);
                expect(committed.metadata().equals("seven"), "its metadata, not " + committed.metadata());
                consumer.assign(Collections.singletonList(partition));
                ConsumerRecord<byte[], byte[]> next = read(consumer, 1).get(0);
                expect(next.offset() == 7 && text(next.value()).equals("value-7"), "the record at 7, not " + next);
            }
        });
        check("survived", () -> verify("gzip", 0));
    }

    void codec(String codec) throws Exception {
        create(codec, 1);
        Properties properties = new Properties();
        properties.put("compression.type", codec);
        properties.put("linger.ms", "20");
        try (KafkaProducer<byte[], byte[]> producer = producer(properties)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < RECORDS; i++)
                sent.add(producer.send(new ProducerRecord<>(topic(codec), 0, key(i), value(i))));
            for (int i = 0; i < RECORDS; i++) {
                long offset = sent.get(i).get(20, TimeUnit.SECONDS).offset();
                expect(offset == i, "acknowledged at " + i + ", not at " + offset);
            }
        }
        verify(codec, 0);
    }

    /** The records of `codec` are all there, in order, null keys and tombstones included. */
    void verify(String codec, int from) throws Exception {
        TopicPartition partition = new TopicPartition(topic(codec), 0);
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(null, new Properties())) {
            consumer.assign(Collections.singletonList(partition));
            consumer.seek(partition, from);
            List<ConsumerRecord<byte[], byte[]>> records = read(consumer, RECORDS - from);
            for (int i = from; i < RECORDS; i++) {
                ConsumerRecord<byte[], byte[]> record = records.get(i - from);
                expect(record.offset() == i, "offset " + i + ", not " + record.offset());
                expect(Arrays.equals(record.key(), key(i)), "the key of " + i);
                expect(Arrays.equals(record.value(), value(i)), "the value of " + i);
            }
        }
    }

    void headers() throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer(new Properties())) {
            ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic("headers"), 0, key(1), value(1));
            record.headers().add("b", bytes("1")).add("a", bytes("2")).add("b", bytes("3")).add("n", null);
            record.headers().add("", new byte[0]);
            producer.send(record).get(20, TimeUnit.SECONDS);
        }
        TopicPartition partition = new TopicPartition(topic("headers"), 0);
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(null, new Properties())) {
            consumer.assign(Collections.singletonList(partition));
            consumer.seekToBeginning(Collections.singletonList(partition));
            StringBuilder seen = new StringBuilder();
            for (Header header : read(consumer, 1).get(0).headers())
                seen.append(header.key()).append('=').append(text(header.value())).append(' ');
            expect(seen.toString().equals("b=1 a=2 b=3 n=null = "), "headers as sent, not " + seen);
        }
    }

    void times() throws Exception {
        TopicPartition partition = new TopicPartition(topic("times"), 1);
        long base = System.currentTimeMillis() - 100_000;
        try (KafkaProducer<byte[], byte[]> producer = producer(new Properties())) {
            for (int i = 0; i < 10; i++)
                producer.send(new ProducerRecord<>(topic("times"), 1, base + i * 1000, key(i), value(i)))
                    .get(20, TimeUnit.SECONDS);
        }
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(null, new Properties())) {
            List<TopicPartition> one = Collections.singletonList(partition);
            expect(consumer.beginningOffsets(one).get(partition) == 0, "beginning at 0");
            expect(consumer.endOffsets(one).get(partition) == 10, "end at 10");
            Map<TopicPartition, Long> when = new HashMap<>();
            when.put(partition, base + 2500);
            expect(consumer.offsetsForTimes(when).get(partition).offset() == 3, "offset 3 for its time");
            when.put(partition, base + 9001);
            expect(consumer.offsetsForTimes(when).get(partition) == null, "no offset for a later time");
            consumer.assign(one);
            consumer.seek(partition, 4);
            ConsumerRecord<byte[], byte[]> record = read(consumer, 1).get(0);
            expect(record.timestamp() == base + 4000, "the timestamp as sent");
            expect(record.timestampType().toString().equals("CreateTime"), "CreateTime");
        }
    }

    void idempotent() throws Exception {
        Properties properties = new Properties();
        properties.put("enable.idempotence", "true");
        properties.put("acks", "all");
        properties.put("retries", "10");
        properties.put("max.in.flight.requests.per.connection", "5");
        properties.put("batch.size", "2000");
        try (KafkaProducer<byte[], byte[]> producer = producer(properties)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < 1000; i++)
                sent.add(producer.send(new ProducerRecord<>(topic("once"), 0, null, bytes("once-" + i))));
            for (int i = 0; i < 1000; i++) {
                long offset = sent.get(i).get(20, TimeUnit.SECONDS).offset();
                expect(offset == i, "acknowledged at " + i + ", not at " + offset);
            }
        }
    }

    void commit() throws Exception {
        TopicPartition partition = new TopicPartition(topic("commit"), 0);
        try (KafkaProducer<byte[], byte[]> producer = producer(new Properties())) {
            for (int i = 0; i < 10; i++)
                producer.send(new ProducerRecord<>(topic("commit"), 0, null, bytes("value-" + i)));
            producer.flush();
        }
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(prefix + "-commit", new Properties())) {
            consumer.assign(Collections.singletonList(partition));
            consumer.seekToBeginning(Collections.singletonList(partition));
            read(consumer, 10);
            consumer.commitSync(Collections.singletonMap(partition, new OffsetAndMetadata(7, "seven")));
            expect(era.committed(consumer, partition).offset() == 7, "the offset that was committed");
        }
    }

    // ---- what the checks and the sections are made of

    void check(String name, Check check) {
        try {
            check.run();
            System.out.println("ok " + name);
        } catch (Throwable error) {
            StackTraceElement[] trace = error.getStackTrace();
            StringBuilder where = new StringBuilder();
            for (StackTraceElement element : trace)
                if (element.getFileName() != null && element.getClassName().indexOf('.') < 0)
                    where.append(" at ").append(element.getFileName()).append(':').append(element.getLineNumber());
            System.out.println("fail " + name + ": " + String.valueOf(error).replace('\n', ' ') + where);
        }
        System.out.flush();
    }

    static void expect(boolean truth, String what) {
        if (!truth) throw new AssertionError("expected " + what);
    }

    /** Asks until the answer is the one that is waited for. */
    static void eventually(String what, Callable<Boolean> question) throws Exception {
        long end = System.currentTimeMillis() + 20_000;
        while (true) {
            try {
                if (question.call())
                    return;
                expect(System.currentTimeMillis() < end, what + " within 20 s");
            } catch (java.util.concurrent.ExecutionException notYet) {
                // Of several brokers one may not have heard of it yet.
                if (System.currentTimeMillis() >= end)
                    throw notYet;
            }
            Thread.sleep(20);
        }
    }

    /** Replicas of each topic. */
    static final short COPIES = Short.parseShort(System.getenv().getOrDefault("JUDGE_COPIES", "1"));

    String topic(String name) {
        return prefix + "-" + name;
    }

    void create(String name, int partitions) throws Exception {
        NewTopic topic = new NewTopic(topic(name), partitions, COPIES);
        admin.createTopics(Collections.singleton(topic)).all().get(20, TimeUnit.SECONDS);
    }

    static byte[] key(int i) {
        return i % 10 == 3 ? null : bytes("key-" + i);
    }

    static byte[] value(int i) {
        if (i % 10 == 7) return null;
        StringBuilder text = new StringBuilder("value-" + i);
        for (int k = 0; k < i % 13; k++) text.append(" the same words again and again");
        return bytes(text.toString());
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] bytes) {
        return bytes == null ? "null" : new String(bytes, StandardCharsets.UTF_8);
    }

    KafkaProducer<byte[], byte[]> producer(Properties extra) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("acks", "all");
        properties.putAll(extra);
        return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }

    KafkaConsumer<byte[], byte[]> consumer(String group, Properties extra) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "earliest");
        properties.put("heartbeat.interval.ms", "200");
        properties.put("session.timeout.ms", "10000");
        if (group != null) properties.put("group.id", group);
        properties.putAll(extra);
        return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    List<ConsumerRecord<byte[], byte[]>> read(Consumer<byte[], byte[]> consumer, int count) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        long end = System.currentTimeMillis() + 20_000;
        while (records.size() < count) {
            expect(System.currentTimeMillis() < end, count + " records within 20 s, not " + records.size());
            for (ConsumerRecord<byte[], byte[]> record : era.poll(consumer, 200)) records.add(record);
        }
        return records;
    }
}
