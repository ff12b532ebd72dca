// Reads a vectors file, decodes every value with the classes that Apache Kafka's build generated, encodes it again and
// compares. Also lays out, for the one who called it, the schemas that lie in the jars and the table of APIs.
//
//   java -cp 'LIBS/*' WireJudge.java VECTORS OUT LIBS
//
// OUT/schemas/*.json: every message schema of the jars.   OUT/apis.txt: one line for each API and version.
// The vectors: groups of  u16 length, name, i16 version, u32 count, count times (u32 length, bytes).

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.InputStream;
import java.lang.reflect.Constructor;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Enumeration;
import java.util.HexFormat;
import java.util.List;
import java.util.TreeMap;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.Readable;

public class WireJudge {
    private static final String[] PACKAGES = {
        "org.apache.kafka.common.message.",
        "org.apache.kafka.common.metadata.",
        "org.apache.kafka.coordinator.group.generated.",
        "org.apache.kafka.coordinator.transaction.generated.",
        "org.apache.kafka.coordinator.share.generated.",
    };
    private static final int SHOWN = 20;

    public static void main(String[] args) throws Exception {
        Path out = Path.of(args[1]);
        layOutSchemas(Path.of(args[2]), out.resolve("schemas"));
        writeApis(out.resolve("apis.txt"));
        System.exit(judge(Path.of(args[0])) ? 0 : 1);
    }

    private static boolean judge(Path vectors) throws Exception {
        int passed = 0;
        int failed = 0;
        int groups = 0;
        try (DataInputStream in = new DataInputStream(new BufferedInputStream(Files.newInputStream(vectors), 1 << 20))) {
            while (true) {
                int length;
                try {
                    length = in.readUnsignedShort();
                } catch (EOFException end) {
                    break;
                }
                String name = new String(in.readNBytes(length), StandardCharsets.UTF_8);
                short version = in.readShort();
                int count = in.readInt();
                groups++;
                Constructor<?> constructor = find(name);
                for (int i = 0; i < count; i++) {
                    byte[] bytes = in.readNBytes(in.readInt());
                    String wrong = constructor == null ? "no such class" : roundTrip(constructor, version, bytes);
                    if (wrong == null) {
                        passed++;
                    } else if (++failed <= SHOWN) {
                        System.out.println("java: " + name + " v" + version + " value " + i + ": " + wrong
                            + "\n    " + HexFormat.of().formatHex(bytes));
                    }
                }
            }
        }
        System.out.println("java: " + groups + " messages and versions: " + passed + " passed, " + failed + " failed");
        return failed == 0;
    }

    /** What is wrong with the value, or null. */
    private static String roundTrip(Constructor<?> constructor, short version, byte[] bytes) {
        try {
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            Message message = (Message) constructor.newInstance(new ByteBufferAccessor(buffer), version);
            if (version < message.lowestSupportedVersion() || version > message.highestSupportedVersion()) {
                return "versions are " + message.lowestSupportedVersion() + " to " + message.highestSupportedVersion();
            }
            if (buffer.hasRemaining()) {
                return buffer.remaining() + " bytes were not read";
            }
            ByteBuffer again = MessageUtil.toByteBufferAccessor(message, version).buffer();
            byte[] written = new byte[again.remaining()];
            again.get(written);
            if (!Arrays.equals(bytes, written)) {
                return "was written differently: " + HexFormat.of().formatHex(written) + "\n    " + message;
            }
            return null;
        } catch (Throwable error) {
            Throwable cause = error.getCause() == null ? error : error.getCause();
            return "cannot be read: " + cause;
        }
    }

    private static Constructor<?> find(String name) throws Exception {
        for (String prefix : PACKAGES) {
            for (String suffix : new String[] {"Data", ""}) {
                try {
                    return Class.forName(prefix + name + suffix).getConstructor(Readable.class, short.class);
                } catch (ClassNotFoundException next) {
                    // It is in another package.
                }
            }
        }
        return null;
    }

    private static void layOutSchemas(Path libs, Path out) throws Exception {
        Files.createDirectories(out);
        try (DirectoryStream<Path> jars = Files.newDirectoryStream(libs, "kafka-*.jar")) {
            for (Path path : jars) {
                try (JarFile jar = new JarFile(path.toFile())) {
                    for (Enumeration<JarEntry> entries = jar.entries(); entries.hasMoreElements();) {
                        JarEntry entry = entries.nextElement();
                        String name = entry.getName();
                        boolean schema = name.matches("(common/)?(message|metadata)/[A-Za-z]+\\.json");
                        if (schema) {
                            try (InputStream in = jar.getInputStream(entry)) {
                                Files.write(out.resolve(Path.of(name).getFileName()), in.readAllBytes());
                            }
                        }
                    }
                }
            }
        }
    }

    /** key name version unstable listeners request-header response-header */
    private static void writeApis(Path path) throws Exception {
        TreeMap<Short, List<String>> lines = new TreeMap<>();
        for (ApiMessageType api : ApiMessageType.values()) {
            List<String> of = new ArrayList<>();
            short highest = api.highestSupportedVersion(true);
            for (short v = api.lowestSupportedVersion(); v <= highest; v++) {
                boolean unstable = api.latestVersionUnstable() && v == highest;
                boolean broker = api.listeners().contains(ApiMessageType.ListenerType.BROKER);
                boolean controller = api.listeners().contains(ApiMessageType.ListenerType.CONTROLLER);
                of.add(api.apiKey() + " " + api.name + " " + v + " unstable=" + unstable + " broker=" + broker
                    + " controller=" + controller + " request-header=" + api.requestHeaderVersion(v)
                    + " response-header=" + api.responseHeaderVersion(v));
            }
            lines.put(api.apiKey(), of);
        }
        List<String> all = new ArrayList<>();
        lines.values().forEach(all::addAll);
        Files.write(path, all);
    }
}
