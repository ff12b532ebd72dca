// Reads server.properties documents from standard input, each as a decimal length, a newline, and that many bytes;
// writes for each, on one line, "ok" or the message with which Apache Kafka refuses it.

import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.util.Properties;
import kafka.server.KafkaConfig;

public class FileJudge {
    public static void main(String[] args) throws Exception {
        DataInputStream in = new DataInputStream(System.in);
        StringBuilder out = new StringBuilder();
        while (true) {
            StringBuilder length = new StringBuilder();
            int c;
            while ((c = in.read()) >= 0 && c != '\n') length.append((char) c);
            if (c < 0) break;
            byte[] document = new byte[Integer.parseInt(length.toString())];
            in.readFully(document);
            Properties properties = new Properties();
            properties.load(new ByteArrayInputStream(document));
            try {
                new KafkaConfig(properties, false);
                out.append("ok\n");
            } catch (Exception e) {
                out.append(String.valueOf(e.getMessage()).replace('\n', ' ')).append('\n');
            }
        }
        System.out.print(out);
    }
}
