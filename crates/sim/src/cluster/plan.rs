//! What a seed stands for: how large the cluster is and what happens to it.

use crate::random::Random;

/// One kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// `kill -9`: the process goes, what it wrote stays in the system's cache.
    Kill,
    /// The power goes between two steps, and with it what was not synced.
    PowerCut,
    /// The power goes in the middle of a call to the disk.
    PowerCutInCall,
    /// A call to the disk fails; the process stops.
    DiskError,
    /// A broker comes back with an empty disk.
    DiskSwap,
    /// One node hears nobody and is heard by nobody.
    Isolate,
    /// One direction between two nodes is cut.
    OneWay,
    /// The nodes fall into two halves.
    Split,
    /// Some messages are lost.
    Loss,
    /// Some messages arrive twice.
    Duplicates,
    /// Messages take long and overtake each other.
    Delay,
    /// Syncs take long.
    SlowDisk,
    /// A process stops for a while and goes on (SIGSTOP, SIGCONT).
    Pause,
    /// A wall clock jumps.
    ClockJump,
    /// A broker hands over what it leads, stops, and comes back.
    Shutdown,
    /// The active controller is told to step down.
    Resign,
    /// A node makes a metadata snapshot and drops the log before it.
    Snapshot,
    /// Replicas are moved to other brokers.
    Reassign,
    /// Preferred leaders are elected.
    Prefer,
    /// A listener that lives refuses a connection.
    Refusal,
}

const ALL: [Trouble; 20] = [
    Trouble::Kill,
    Trouble::PowerCut,
    Trouble::PowerCutInCall,
    Trouble::DiskError,
    Trouble::DiskSwap,
    Trouble::Isolate,
    Trouble::OneWay,
    Trouble::Split,
    Trouble::Loss,
    Trouble::Duplicates,
    Trouble::Delay,
    Trouble::SlowDisk,
    Trouble::Pause,
    Trouble::ClockJump,
    Trouble::Shutdown,
    Trouble::Resign,
    Trouble::Snapshot,
    Trouble::Reassign,
    Trouble::Prefer,
    Trouble::Refusal,
];

/// The whole plan of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Nodes that are controllers; they have the indices from 0 on.
    pub controllers: usize,
    /// Whether these are brokers, too.
    pub combined: bool,
    /// Nodes that are brokers only.
    pub brokers: usize,
    /// Partitions of the topic.
    pub partitions: i32,
    /// Replicas of each.
    pub replicas: i16,
    /// `min.insync.replicas`
    pub min_isr: usize,
    /// Eligible leader replicas (KIP-966). Without them a power cut may take what was acknowledged: there is none then.
    pub elr: bool,
    /// `unclean.leader.election.enable`
    pub unclean: bool,
    /// Brokers whose listener refuses connections are fenced at once.
    pub early: bool,
    /// Clients that write.
    pub producers: usize,
    /// Longest pause between an answer and the next write, in milliseconds.
    pub write_ms: i64,
    /// Bytes a follower fetches at most.
    pub fetch_bytes: usize,
    /// Bytes of a segment.
    pub segment_bytes: u32,
    /// `replica.lag.time.max.ms`
    pub lag_ms: i64,
    /// `broker.session.timeout.ms`
    pub session_ms: i64,
    /// How long there is trouble, in milliseconds.
    pub trouble_ms: i64,
    /// Longest pause between two troubles, in milliseconds.
    pub gap_ms: i64,
    /// Consumer groups; none in the kind of world without them.
    pub groups: usize,
    /// Members of all groups together.
    pub members: usize,
    /// Partitions of `__consumer_offsets`.
    pub offsets_partitions: i32,
    /// The members' session timeout, in milliseconds.
    pub member_session_ms: i64,
    /// Their rebalance timeout.
    pub rebalance_ms: i64,
    /// `group.initial.rebalance.delay.ms`
    pub delay_ms: i64,
    /// How often members leave, stop or pause, of a thousand turns.
    pub churn: u64,
    /// Kinds of trouble that this run has.
    pub troubles: Vec<Trouble>,
}

impl Plan {
    /// The generator of a seed: another one for each kind of world.
    pub fn random(seed: u64, groups: bool) -> Random {
        Random::new(seed ^ if groups { 0x6060_6060_6060_6060 } else { 0xc1c1_c1c1_c1c1_c1c1 })
    }

    /// The plan that a seed begins with.
    pub fn of_seed(seed: u64, groups: bool) -> Plan {
        Plan::draw(&mut Plan::random(seed, groups), groups)
    }

    /// Draws the plan of a run.
    pub fn draw(random: &mut Random, groups: bool) -> Plan {
        let mut plan = Plan::draw_cluster(random);
        if groups {
            plan.partitions = 1;
            plan.producers = 1;
            plan.groups = 1 + random.index(2);
            plan.members = plan.groups + 1 + random.index(5);
            plan.offsets_partitions = 1 + random.index(2) as i32;
            plan.member_session_ms = random.between(2_000, 6_000);
            plan.rebalance_ms = random.between(1_500, 6_000);
            plan.delay_ms = random.between(0, 800);
            plan.churn = [0, 5, 20, 60][random.index(4)];
        }
        plan
    }

    fn draw_cluster(random: &mut Random) -> Plan {
        let elr = random.chance(700);
        let combined = random.chance(600);
        let controllers = [1, 3, 3, 3][random.index(4)];
        let least = if combined { 3usize.saturating_sub(controllers) } else { 3 };
        let brokers = least + random.index(2);
        let replicas = [2, 3, 3, 3][random.index(4)];
        let keep = [150, 300, 600][random.index(3)];
        let usable = |trouble: &Trouble| match trouble {
            Trouble::PowerCut | Trouble::PowerCutInCall => elr,
            Trouble::DiskSwap => elr && brokers > 0,
            _ => true,
        };
        let troubles = ALL.into_iter().filter(usable).filter(|_| random.chance(keep)).collect();
        Plan {
            controllers,
            combined,
            brokers,
            partitions: 1 + random.index(3) as i32,
            replicas,
            min_isr: 1 + random.index(2),
            elr,
            unclean: random.chance(150),
            early: random.chance(500),
            producers: 1 + random.index(4),
            write_ms: random.between(5, 250),
            fetch_bytes: [1, 400, 4_000, 1 << 20][random.index(4)],
            segment_bytes: [3_000, 20_000, 1 << 20][random.index(3)],
            lag_ms: random.between(500, 3_000),
            session_ms: random.between(1_000, 4_000),
            trouble_ms: random.between(5_000, 20_000),
            gap_ms: random.between(200, 2_500),
            groups: 0,
            members: 0,
            offsets_partitions: 0,
            member_session_ms: 0,
            rebalance_ms: 0,
            delay_ms: 0,
            churn: 0,
            troubles,
        }
    }

    /// Nodes in all.
    pub fn nodes(&self) -> usize {
        self.controllers + self.brokers
    }

    /// Whether the node is a broker.
    pub fn is_broker(&self, node: usize) -> bool {
        self.combined || node >= self.controllers
    }

    /// Ids of all brokers.
    pub fn broker_ids(&self) -> Vec<i32> {
        (0..self.nodes()).filter(|node| self.is_broker(*node)).map(|node| node as i32 + 1).collect()
    }
}
