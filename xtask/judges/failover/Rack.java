// A consumer that says which brokers its records came from.
//
//   java -cp CLASSES:JARS Rack BOOTSTRAP TOPIC RACK COUNT
//
// Reads COUNT records of partition 0 and prints `node ID BYTES` for every broker, then `read COUNT`.

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class Rack {
    public static void main(String[] args) {
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("client.rack", args[2]);
        // Small answers: the first one, which names the replica to read from, shall not hold everything.
        p.put("max.partition.fetch.bytes", "65536");
        int wanted = Integer.parseInt(args[3]), count = 0;
        Map<Integer, Double> bytes = new TreeMap<>();
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            TopicPartition partition = new TopicPartition(args[1], 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = System.nanoTime() + 60_000_000_000L;
            while (count < wanted && System.nanoTime() < end) count += consumer.poll(Duration.ofMillis(500)).count();
            for (Map.Entry<MetricName, ? extends Metric> entry : consumer.metrics().entrySet()) {
                MetricName name = entry.getKey();
                String node = name.tags().get("node-id");
                if (!name.name().equals("incoming-byte-total") || node == null) continue;
                int id = Integer.parseInt(node.substring("node-".length()));
                if (id >= 0 && id < 1000) bytes.merge(id, (Double) entry.getValue().metricValue(), Double::sum);
            }
        }
        bytes.forEach((id, total) -> System.out.println("node " + id + " " + total.longValue()));
        System.out.println("read " + count);
        Runtime.getRuntime().halt(count >= wanted ? 0 : 1);
    }
}
