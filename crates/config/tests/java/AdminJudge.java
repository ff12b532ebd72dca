// Asks a running Apache Kafka what it makes of configuration changes. Argument: bootstrap server. Each line of
// standard input is one question, tab separated; each answer ends with a line ".":
//
//   alter     TYPE  NAME  SET|DELETE|APPEND|SUBTRACT  KEY  VALUE   "ok", or the exception's class and message
//   describe  TYPE  NAME                                           one line for each key
//   create    NAME  KEY=VALUE;KEY=VALUE                            one line for each key, or the exception
//
// A described key is: name, value, source, sensitive, read-only, type, synonyms as name=value@source.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.config.ConfigResource;

public class AdminJudge {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        List<String> questions = in.lines().collect(Collectors.toList());
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[0]))) {
            for (String question : questions) {
                String[] f = question.split("\t", -1);
                try {
                    answer(admin, f);
                } catch (ExecutionException e) {
                    System.out.println(e.getCause().getClass().getSimpleName() + "\t" + e.getCause().getMessage());
                }
                System.out.println(".");
            }
        }
    }

    static void answer(Admin admin, String[] f) throws Exception {
        if (f[0].equals("create")) {
            Map<String, String> configs = new HashMap<>();
            if (!f[2].isEmpty())
                for (String pair : f[2].split(";")) configs.put(pair.split("=", 2)[0], pair.split("=", 2)[1]);
            NewTopic topic = new NewTopic(f[1], Optional.of(1), Optional.empty()).configs(configs);
            print(admin.createTopics(List.of(topic)).config(f[1]).get());
            return;
        }
        ConfigResource resource = new ConfigResource(ConfigResource.Type.valueOf(f[1]), f[2]);
        if (f[0].equals("describe")) {
            DescribeConfigsOptions options = new DescribeConfigsOptions().includeSynonyms(true);
            print(admin.describeConfigs(List.of(resource), options).all().get().get(resource));
            return;
        }
        AlterConfigOp.OpType type = AlterConfigOp.OpType.valueOf(f[3]);
        AlterConfigOp op = new AlterConfigOp(new ConfigEntry(f[4], f[5]), type);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(op))).all().get();
        // The broker applies the change when the metadata log reaches it.
        Thread.sleep(400);
        System.out.println("ok");
    }

    static void print(Config config) {
        TreeMap<String, ConfigEntry> sorted = new TreeMap<>();
        config.entries().forEach(entry -> sorted.put(entry.name(), entry));
        for (ConfigEntry e : sorted.values()) {
            List<String> synonyms = new ArrayList<>();
            for (ConfigEntry.ConfigSynonym s : e.synonyms())
                synonyms.add(s.name() + "=" + s.value() + "@" + s.source());
            System.out.println(String.join("\t", e.name(), String.valueOf(e.value()), e.source().name(),
                String.valueOf(e.isSensitive()), String.valueOf(e.isReadOnly()), e.type() == null ? "UNKNOWN" : e.type().name(),
                String.join(" ", synonyms)));
        }
    }
}
