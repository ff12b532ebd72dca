// Reads documents from standard input, each as a decimal length, a newline, and that many bytes; writes what
// java.util.Properties makes of each: one line per entry, key and value in hexadecimal UTF-16, sorted; then ".".
// A document that Java refuses gives the line "error".

import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.util.Properties;
import java.util.TreeMap;

public class PropertiesDump {
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
            try {
                properties.load(new ByteArrayInputStream(document));
                TreeMap<String, String> sorted = new TreeMap<>();
                properties.forEach((k, v) -> sorted.put(hex((String) k), hex((String) v)));
                sorted.forEach((k, v) -> out.append(k).append('=').append(v).append('\n'));
            } catch (IllegalArgumentException e) {
                out.append("error\n");
            }
            out.append(".\n");
        }
        System.out.print(out);
    }

    static String hex(String text) {
        StringBuilder out = new StringBuilder();
        for (char c : text.toCharArray()) out.append(String.format("%04x", (int) c));
        return out.toString();
    }
}
