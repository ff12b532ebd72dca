// The consumer of 1.0 and 2.0: waits in milliseconds, one committed offset at a time. Both are gone in 4.0.

import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

public class EraOfMillis implements Judge.Era {
    @Override
    @SuppressWarnings("deprecation")
    public ConsumerRecords<byte[], byte[]> poll(Consumer<byte[], byte[]> consumer, long ms) {
        return consumer.poll(ms);
    }

    @Override
    public OffsetAndMetadata committed(Consumer<byte[], byte[]> consumer, TopicPartition partition) {
        return consumer.committed(partition);
    }
}
