// Writes the golden batches beside this file with Apache Kafka's own classes.
//
//   java -cp "<directory with the jars of kafka-clients 4.3.1>/*" Golden.java <output directory>
//
// Every file holds one hexadecimal line per entry. What the bytes must mean is written in ../golden.rs.

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.KRaftVersionRecord;
import org.apache.kafka.common.message.LeaderChangeMessage;
import org.apache.kafka.common.message.SnapshotFooterRecord;
import org.apache.kafka.common.message.SnapshotHeaderRecord;
import org.apache.kafka.common.message.VotersRecord;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.DefaultRecordBatch;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.internal.SimpleRecord;

public class Golden {
    static Path directory;

    public static void main(String[] args) throws Exception {
        directory = Path.of(args[0]);
        CompressionType[] all = {CompressionType.NONE, CompressionType.GZIP, CompressionType.SNAPPY,
            CompressionType.LZ4, CompressionType.ZSTD};
        for (CompressionType type : all) {
            String name = type.name().toLowerCase();
            write("magic2-" + name, records(type, RecordBatch.CURRENT_MAGIC_VALUE, 42));
            if (type != CompressionType.NONE)
                write("large-" + name, large(type));
            if (type != CompressionType.ZSTD) {
                write("magic1-" + name, old(type, RecordBatch.MAGIC_VALUE_V1, TimestampType.CREATE_TIME));
                write("magic0-" + name, old(type, RecordBatch.MAGIC_VALUE_V0, TimestampType.NO_TIMESTAMP_TYPE));
            }
        }
        write("magic1-append-time", old(CompressionType.GZIP, RecordBatch.MAGIC_VALUE_V1, TimestampType.LOG_APPEND_TIME));
        write("append-time", appendTime());
        write("empty", empty());
        write("markers",
            marker(ControlRecordType.COMMIT, 17), marker(ControlRecordType.ABORT, 18));
        write("kraft", leaderChange(), header(), footer(), version(), voters());
    }

    static void write(String name, ByteBuffer... entries) throws Exception {
        StringBuilder text = new StringBuilder();
        for (ByteBuffer entry : entries) {
            ByteBuffer bytes = entry.duplicate();
            while (bytes.hasRemaining())
                text.append(String.format("%02x", bytes.get()));
            text.append('\n');
        }
        Files.writeString(directory.resolve(name + ".hex"), text.toString());
    }

    static byte[] utf8(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static SimpleRecord record(long timestamp, String key, String value, Header... headers) {
        return new SimpleRecord(timestamp, utf8(key), utf8(value), headers);
    }

    static SimpleRecord[] content() {
        return new SimpleRecord[] {
            record(1_700_000_000_000L, "k0", "value 0"),
            record(1_700_000_000_250L, null, "no key", new RecordHeader("a", utf8("1")),
                new RecordHeader("b", null), new RecordHeader("a", utf8("2")), new RecordHeader("", new byte[0])),
            record(1_699_999_999_000L, "tombstone", null),
            record(1_700_000_000_100L, "", ""),
        };
    }

    // Idempotent and transactional, leader epoch 7, at offset 42.
    static ByteBuffer records(CompressionType type, byte magic, long offset) {
        return MemoryRecords.withTransactionalRecords(magic, offset, Compression.of(type).build(), 4711L, (short) 3,
            Integer.MAX_VALUE - 1, 7, content()).buffer();
    }

    static ByteBuffer large(CompressionType type) {
        List<SimpleRecord> list = new ArrayList<>();
        for (int i = 0; i < 700; i++)
            list.add(record(1_700_000_000_000L + i, "key-" + i % 97, "value number " + i + " of a longer batch ".repeat(5)));
        return MemoryRecords.withRecords(Compression.of(type).build(), list.toArray(new SimpleRecord[0])).buffer();
    }

    static ByteBuffer old(CompressionType type, byte magic, TimestampType timestampType) {
        ByteBuffer buffer = ByteBuffer.allocate(4096);
        MemoryRecordsBuilder builder = MemoryRecords.builder(buffer, magic, Compression.of(type).build(), timestampType,
            100L, 1_600_000_000_000L);
        builder.appendWithOffset(100L, magic == 0 ? -1 : 1_500_000_000_000L, utf8("k0"), utf8("value 0"));
        builder.appendWithOffset(101L, magic == 0 ? -1 : 1_500_000_000_500L, null, utf8("no key"));
        builder.appendWithOffset(105L, magic == 0 ? -1 : 1_500_000_000_250L, utf8("tombstone"), null);
        return builder.build().buffer();
    }

    static ByteBuffer appendTime() {
        ByteBuffer buffer = ByteBuffer.allocate(4096);
        MemoryRecordsBuilder builder = MemoryRecords.builder(buffer, RecordBatch.CURRENT_MAGIC_VALUE, Compression.NONE,
            TimestampType.LOG_APPEND_TIME, 42L, 1_700_000_123_456L);
        for (SimpleRecord record : content())
            builder.append(record);
        return builder.build().buffer();
    }

    static ByteBuffer empty() {
        ByteBuffer buffer = ByteBuffer.allocate(DefaultRecordBatch.RECORD_BATCH_OVERHEAD);
        DefaultRecordBatch.writeEmptyHeader(buffer, RecordBatch.CURRENT_MAGIC_VALUE, 4711L, (short) 3,
            Integer.MAX_VALUE - 1, 42L, 45L, 7, TimestampType.CREATE_TIME, 1_700_000_000_250L, true, false);
        buffer.flip();
        return buffer;
    }

    static ByteBuffer marker(ControlRecordType type, int coordinatorEpoch) {
        ByteBuffer buffer = ByteBuffer.allocate(256);
        MemoryRecords.writeEndTransactionalMarker(buffer, 42L, 1_700_000_000_000L, 7, 4711L, (short) 3,
            new EndTransactionMarker(type, coordinatorEpoch));
        buffer.flip();
        return buffer;
    }

    static ByteBuffer leaderChange() {
        LeaderChangeMessage message = new LeaderChangeMessage().setVersion((short) 0).setLeaderId(2)
            .setVoters(List.of(new LeaderChangeMessage.Voter().setVoterId(1), new LeaderChangeMessage.Voter().setVoterId(2),
                new LeaderChangeMessage.Voter().setVoterId(3)))
            .setGrantingVoters(List.of(new LeaderChangeMessage.Voter().setVoterId(2), new LeaderChangeMessage.Voter().setVoterId(3)));
        return MemoryRecords.withLeaderChangeMessage(10L, 1_700_000_000_000L, 7, ByteBuffer.allocate(512), message).buffer();
    }

    static ByteBuffer header() {
        return MemoryRecords.withSnapshotHeaderRecord(0L, 1_700_000_000_000L, 7, ByteBuffer.allocate(512),
            new SnapshotHeaderRecord().setVersion((short) 0).setLastContainedLogTimestamp(1_699_999_999_999L)).buffer();
    }

    static ByteBuffer footer() {
        return MemoryRecords.withSnapshotFooterRecord(9L, 1_700_000_000_000L, 7, ByteBuffer.allocate(512),
            new SnapshotFooterRecord().setVersion((short) 0)).buffer();
    }

    static ByteBuffer version() {
        return MemoryRecords.withKRaftVersionRecord(1L, 1_700_000_000_000L, 7, ByteBuffer.allocate(512),
            new KRaftVersionRecord().setVersion((short) 0).setKRaftVersion((short) 1)).buffer();
    }

    static ByteBuffer voters() {
        VotersRecord.EndpointCollection endpoints = new VotersRecord.EndpointCollection();
        endpoints.add(new VotersRecord.Endpoint().setName("CONTROLLER").setHost("localhost").setPort(9093));
        endpoints.add(new VotersRecord.Endpoint().setName("C2").setHost("h\u00f6st").setPort(65535));
        return MemoryRecords.withVotersRecord(2L, 1_700_000_000_000L, 7, ByteBuffer.allocate(512),
            new VotersRecord().setVersion((short) 0).setVoters(List.of(
                new VotersRecord.Voter().setVoterId(1).setVoterDirectoryId(new Uuid(0x0102030405060708L, 0x090a0b0c0d0e0f10L))
                    .setEndpoints(endpoints)
                    .setKRaftVersionFeature(new VotersRecord.KRaftVersionFeature()
                        .setMinSupportedVersion((short) 0).setMaxSupportedVersion((short) 1)),
                new VotersRecord.Voter().setVoterId(2).setVoterDirectoryId(Uuid.ZERO_UUID)
                    .setKRaftVersionFeature(new VotersRecord.KRaftVersionFeature()
                        .setMinSupportedVersion((short) 1).setMaxSupportedVersion((short) 1))))).buffer();
    }
}
