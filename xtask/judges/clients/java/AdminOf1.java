// The admin client's calls of 1.0; `all()` of the topics' descriptions is gone in 4.0.

import java.util.Collections;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.TopicDescription;

@SuppressWarnings("deprecation")
public class AdminOf1 implements Judge.Section {
    @Override
    public void run(Judge judge) {
        String name = judge.topic("admin1");
        judge.check("describe", () -> {
            judge.create("admin1", 3);
            Judge.eventually("three partitions", () -> describe(judge, name).partitions().size() == 3);
            Judge.expect(describe(judge, name).partitions().get(0).leader().port() > 0, "a leader");
            Judge.expect(judge.admin.describeCluster().nodes().get(20, TimeUnit.SECONDS).size() == Judge.COPIES, "every node");
            Judge.expect(judge.admin.describeCluster().clusterId().get().length() == 22, "the cluster's id");
        });
        judge.check("partitions", () -> {
            judge.admin.createPartitions(Collections.singletonMap(name, NewPartitions.increaseTo(5)))
                .all().get(20, TimeUnit.SECONDS);
            Judge.eventually("five partitions", () -> describe(judge, name).partitions().size() == 5);
        });
        judge.check("delete", () -> {
            judge.admin.deleteTopics(Collections.singleton(name)).all().get(20, TimeUnit.SECONDS);
            Judge.eventually("it is gone", () -> {
                Set<String> names = judge.admin.listTopics().names().get(20, TimeUnit.SECONDS);
                return !names.contains(name) && names.contains(judge.topic("group"));
            });
        });
    }

    private static TopicDescription describe(Judge judge, String name) throws Exception {
        return judge.admin.describeTopics(Collections.singleton(name)).all().get(20, TimeUnit.SECONDS).get(name);
    }
}
