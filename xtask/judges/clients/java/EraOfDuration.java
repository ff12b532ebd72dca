// The consumer since 2.4: waits for a Duration, committed offsets as a set.

import java.time.Duration;
import java.util.Collections;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

public class EraOfDuration implements Judge.Era {
    @Override
    public ConsumerRecords<byte[], byte[]> poll(Consumer<byte[], byte[]> consumer, long ms) {
        return consumer.poll(Duration.ofMillis(ms));
    }

    @Override
    public OffsetAndMetadata committed(Consumer<byte[], byte[]> consumer, TopicPartition partition) {
        return consumer.committed(Collections.singleton(partition)).get(partition);
    }
}
