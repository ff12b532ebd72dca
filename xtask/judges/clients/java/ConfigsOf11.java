// A whole resource's configs at once. 1.0 asked with version 0, which Apache Kafka answers no more; the call is gone in 4.0.

import java.util.Arrays;
import java.util.Collections;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.common.config.ConfigResource;

@SuppressWarnings("deprecation")
public class ConfigsOf11 implements Judge.Section {
    @Override
    public void run(Judge judge) {
        judge.check("configs", () -> {
            String name = judge.topic("times");
            ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, name);
            Judge.expect(config(judge, topic, "retention.ms").value().equals("604800000"), "Kafka's default");
            Judge.expect(config(judge, topic, "retention.ms").isDefault(), "that it is a default");
            Config config = new Config(Arrays.asList(
                new ConfigEntry("retention.ms", "86400000"), new ConfigEntry("cleanup.policy", "compact")));
            judge.admin.alterConfigs(Collections.singletonMap(topic, config)).all().get(20, TimeUnit.SECONDS);
            Judge.eventually("the new value", () -> config(judge, topic, "retention.ms").value().equals("86400000"));
            Judge.expect(!config(judge, topic, "cleanup.policy").isDefault(), "that it is not a default");
            ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
            Judge.expect(config(judge, broker, "num.partitions").value().equals("2"), "the broker's own file");
        });
    }

    private static ConfigEntry config(Judge judge, ConfigResource resource, String key) throws Exception {
        return judge.admin.describeConfigs(Collections.singleton(resource)).all().get(20, TimeUnit.SECONDS)
            .get(resource).get(key);
    }
}
