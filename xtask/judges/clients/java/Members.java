// Two members of one group: the first has everything, they share, the second leaves, the first has everything again.
// Every record is read, and none by both.

import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;

class Members {
    private final Judge judge;
    private final ConcurrentMap<String, Integer> seen = new ConcurrentHashMap<>();

    Members(Judge judge) {
        this.judge = judge;
    }

    final class Member implements Runnable, ConsumerRebalanceListener {
        final KafkaConsumer<byte[], byte[]> consumer;
        final Set<TopicPartition> owned = Collections.newSetFromMap(new ConcurrentHashMap<TopicPartition, Boolean>());
        final AtomicInteger assignments = new AtomicInteger();
        final Thread thread = new Thread(this);
        volatile boolean leave;
        volatile Throwable fault;

        Member(String topic, String group, Properties extra) {
            consumer = judge.consumer(group, extra);
            consumer.subscribe(Collections.singletonList(topic), this);
            thread.start();
        }

        @Override
        public void run() {
            try {
                while (!leave) {
                    for (ConsumerRecord<byte[], byte[]> record : judge.era.poll(consumer, 50))
                        seen.merge(Judge.text(record.value()), 1, Integer::sum);
                    try {
                        consumer.commitSync();
                    } catch (RebalanceInProgressException later) {
                        // A cooperative rebalance has begun; the next poll ends it.
                    }
                }
            } catch (Throwable error) {
                fault = error;
            } finally {
                consumer.close();
                owned.clear();
            }
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            owned.removeAll(partitions);
            // What was read before must not be read again by the next owner.
            if (!partitions.isEmpty()) consumer.commitSync();
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            owned.addAll(partitions);
            assignments.incrementAndGet();
        }
    }

    void run(String topic, String group, Properties extra) throws Exception {
        Member one = new Member(topic, group, extra);
        Member two = null;
        try {
            Judge.eventually("the only member has both partitions", () -> one.owned.size() == 2);
            send(topic, 0, 50);
            Judge.eventually("50 records read", () -> seen.size() == 50);
            Member other = new Member(topic, group, extra);
            two = other;
            Judge.eventually("one partition for each of two", () -> one.owned.size() == 1 && other.owned.size() == 1);
            Set<TopicPartition> all = new HashSet<>(one.owned);
            all.addAll(other.owned);
            Judge.expect(all.size() == 2, "different partitions for the two");
            send(topic, 50, 100);
            Judge.eventually("100 records read", () -> seen.size() == 100);
            other.leave = true;
            other.thread.join(20_000);
            Judge.eventually("both partitions for the one that stayed", () -> one.owned.size() == 2);
            send(topic, 100, 150);
            Judge.eventually("150 records read", () -> seen.size() == 150);
            for (String value : seen.keySet()) Judge.expect(seen.get(value) == 1, value + " read once");
        } finally {
            for (Member member : new Member[] {one, two}) {
                if (member == null) continue;
                member.leave = true;
                member.thread.join(20_000);
            }
        }
        Judge.expect(one.fault == null && two.fault == null, "no fault, but " + one.fault + " " + two.fault);
    }

    private void send(String topic, int from, int to) {
        try (KafkaProducer<byte[], byte[]> producer = judge.producer(new Properties())) {
            for (int i = from; i < to; i++)
                producer.send(new ProducerRecord<>(topic, i % 2, null, Judge.bytes("member-" + i)));
        }
    }
}
