// Prints every configuration key of the Apache Kafka on the class path, one per line, tab separated:
//
//   family  name  type  default  importance  internal  mode  validator
//
// family is broker, topic, group or client-metrics; default is "-" when the key is mandatory and "null" when
// it has no value; mode is read-only, per-broker or cluster-wide (broker keys only, else "-"). Further lines:
//
//   synonym        topic-key   broker-key  (in Kafka's order)
//   group-synonym  group-key   broker-key
//
// The output is compared with this crate's own table by the ignored test `table_equals_the_jar` (see
// tests/table_vs_jar.rs), which runs this file with `java -cp '<kafka>/libs/*' ConfigDump.java`.

import java.lang.reflect.Field;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.coordinator.group.GroupConfig;
import org.apache.kafka.server.config.AbstractKafkaConfig;
import org.apache.kafka.server.config.DynamicBrokerConfig;
import org.apache.kafka.server.config.DynamicConfig;
import org.apache.kafka.server.config.ServerTopicConfigSynonyms;
import org.apache.kafka.server.metrics.ClientMetricsConfigs;
import org.apache.kafka.storage.internals.log.LogConfig;

public class ConfigDump {
    public static void main(String[] args) throws Exception {
        Map<String, String> modes = DynamicBrokerConfig.dynamicConfigUpdateModes();
        Map<String, ConfigDef.ConfigKey> broker = new TreeMap<>(AbstractKafkaConfig.CONFIG_DEF.configKeys());
        dump("broker", broker, modes);
        Map<String, ConfigDef.ConfigKey> quota = new TreeMap<>(DynamicConfig.Broker.configKeys());
        quota.keySet().removeAll(broker.keySet());
        dump("broker-dynamic", quota, modes);
        dump("topic", LogConfig.configKeys(), null);
        dump("group", GroupConfig.CONFIG_DEF.configKeys(), null);
        dump("client-metrics", ClientMetricsConfigs.configDef().configKeys(), null);
        for (String extra : new java.util.TreeSet<>(modes.keySet()))
            if (!broker.containsKey(extra) && !quota.containsKey(extra))
                System.out.println("dynamic-only\t" + extra + "\t" + modes.get(extra));
        new TreeMap<>(ServerTopicConfigSynonyms.ALL_TOPIC_CONFIG_SYNONYMS).forEach((k, list) ->
            list.forEach(s -> System.out.println("synonym\t" + k + "\t" + s.name())));
        new TreeMap<>(GroupConfig.ALL_GROUP_CONFIG_SYNONYMS).forEach((k, s) ->
            s.ifPresent(name -> System.out.println("group-synonym\t" + k + "\t" + name)));
    }

    static void dump(String family, Map<String, ConfigDef.ConfigKey> keys, Map<String, String> modes) throws Exception {
        for (ConfigDef.ConfigKey key : new TreeMap<>(keys).values()) {
            String value;
            if (!key.hasDefault()) value = "-";
            else if (key.defaultValue == null) value = "null";
            else value = "=" + ConfigDef.convertToString(key.defaultValue, key.type);
            String mode = modes == null ? "-" : modes.getOrDefault(key.name, "read-only");
            System.out.println(String.join("\t", family, key.name, key.type.name().toLowerCase(), value,
                key.importance.name().toLowerCase(), key.internalConfig ? "internal" : "public", mode,
                validator(key.validator)));
        }
    }

    static Object field(Object of, String name) throws Exception {
        Field field = of.getClass().getDeclaredField(name);
        field.setAccessible(true);
        return field.get(of);
    }

    static String validator(ConfigDef.Validator v) throws Exception {
        if (v == null) return "any";
        if (v instanceof ConfigDef.Range) return "range " + field(v, "min") + " " + field(v, "max");
        if (v instanceof ConfigDef.ValidList)
            return "list empty=" + field(v, "isEmptyAllowed") + " null=" + field(v, "isNullAllowed") + " " + v;
        if (v instanceof ConfigDef.CompositeValidator) {
            StringBuilder out = new StringBuilder("all");
            for (Object inner : (java.util.List<?>) field(v, "validators"))
                out.append(" {").append(validator((ConfigDef.Validator) inner)).append("}");
            return out.toString();
        }
        if (v instanceof ConfigDef.CaseInsensitiveValidString)
            return "one-of-ignoring-case " + new java.util.TreeSet<>((java.util.Set<?>) field(v, "validStrings"));
        if (v instanceof ConfigDef.ValidString) return "one-of " + v;
        return v.getClass().getName().replaceAll(".*[.$]", "") + " " + v;
    }
}
