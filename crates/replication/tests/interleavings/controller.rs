//! The controller of the model: registrations, elections from ISR and ELR, AlterPartition. A new image for every
//! change; brokers apply them one by one, when they get to it.

use std::collections::BTreeMap;

use ottla_replication::leader::{Answer, Assignment, Proposal, Recovery, Refusal};
use ottla_replication::{Broker, BrokerId};

#[derive(Clone, Debug)]
pub struct Image {
    pub leader: Option<BrokerId>,
    pub partition: Assignment,
    pub elr: Vec<BrokerId>,
    pub brokers: BTreeMap<BrokerId, Broker>,
}

pub struct Controller {
    pub images: Vec<Image>,
    minimum: usize,
    epochs: i64,
    pub elections: usize,
    pub eligible_elections: usize,
}

impl Controller {
    pub fn new(minimum: usize) -> Controller {
        let broker =
            |id: BrokerId| (id, Broker { epoch: i64::from(id), fenced: false, shutting_down: false });
        let partition = Assignment { replicas: vec![1, 2, 3], isr: vec![1, 2, 3], ..Assignment::default() };
        let first =
            Image { leader: Some(1), partition, elr: Vec::new(), brokers: (1..=3).map(broker).collect() };
        Controller { images: vec![first], minimum, epochs: 10, elections: 0, eligible_elections: 0 }
    }

    pub fn image(&self) -> &Image {
        self.images.last().expect("there is one")
    }

    /// Who may lead without loss.
    pub fn candidates(&self) -> Vec<BrokerId> {
        let image = self.image();
        image.partition.isr.iter().chain(&image.elr).copied().collect()
    }

    pub fn fence(&mut self, id: BrokerId) {
        let mut image = self.image().clone();
        image.brokers.get_mut(&id).expect("a broker").fenced = true;
        self.leave(&mut image, id);
        self.images.push(image);
    }

    pub fn unfence(&mut self, id: BrokerId) {
        let mut image = self.image().clone();
        image.brokers.get_mut(&id).expect("a broker").fenced = false;
        self.elect(&mut image);
        self.images.push(image);
    }

    /// A new incarnation, fenced at first. One that lost its disk's cache is trusted no more.
    pub fn register(&mut self, id: BrokerId, clean: bool) {
        let mut image = self.image().clone();
        self.epochs += 1;
        image.brokers.insert(id, Broker { epoch: self.epochs, fenced: true, shutting_down: false });
        self.leave(&mut image, id);
        if !clean && image.elr.contains(&id) {
            image.elr.retain(|it| *it != id);
            image.partition.partition_epoch += 1;
        }
        self.images.push(image);
    }

    fn leave(&mut self, image: &mut Image, id: BrokerId) {
        if image.partition.isr.contains(&id) {
            let old = image.partition.isr.clone();
            image.partition.isr.retain(|it| *it != id);
            self.keep_eligible(image, &old);
            image.partition.partition_epoch += 1;
        }
        if image.leader == Some(id) {
            image.leader = None;
            image.partition.leader_epoch += 1;
            self.elect(image);
        }
    }

    fn keep_eligible(&self, image: &mut Image, old: &[BrokerId]) {
        if image.partition.isr.len() >= self.minimum.min(3) {
            image.elr.clear();
            return;
        }
        for id in old {
            if !image.elr.contains(id) {
                image.elr.push(*id);
            }
        }
        let isr = &image.partition.isr;
        image.elr.retain(|id| !isr.contains(id));
    }

    fn elect(&mut self, image: &mut Image) {
        if image.leader.is_some() {
            return;
        }
        let alive = |id: &&BrokerId| !image.brokers[*id].fenced;
        if let Some(id) = image.partition.isr.iter().find(alive).copied() {
            image.leader = Some(id);
        } else if let Some(id) = image.elr.iter().find(alive).copied() {
            image.leader = Some(id);
            image.partition.isr = vec![id];
            image.elr.retain(|it| *it != id);
            self.keep_eligible(image, &[]);
            self.eligible_elections += 1;
        } else {
            return;
        }
        self.elections += 1;
        image.partition.leader_epoch += 1;
        image.partition.partition_epoch += 1;
    }

    /// The same leader, or another member of the ISR, in a new epoch.
    pub fn elect_again(&mut self) {
        let mut image = self.image().clone();
        let alive = |id: &&BrokerId| !image.brokers[*id].fenced;
        let Some(id) = image.partition.isr.iter().rev().find(alive).copied() else {
            return;
        };
        image.leader = Some(id);
        image.partition.leader_epoch += 1;
        image.partition.partition_epoch += 1;
        self.elections += 1;
        self.images.push(image);
    }

    /// AlterPartition, checked in Kafka's order.
    pub fn alter(&mut self, from: BrokerId, proposal: &Proposal) -> Answer {
        let mut image = self.image().clone();
        let refuse = Answer::Refused;
        let (partition, brokers) = (&image.partition, &image.brokers);
        if proposal.leader_epoch > partition.leader_epoch
            || proposal.partition_epoch > partition.partition_epoch
        {
            return refuse(Refusal::Other);
        }
        if proposal.leader_epoch < partition.leader_epoch {
            return refuse(Refusal::FencedLeaderEpoch);
        }
        if image.leader != Some(from) {
            return refuse(Refusal::InvalidRequest);
        }
        if proposal.partition_epoch < partition.partition_epoch {
            return refuse(Refusal::InvalidUpdateVersion);
        }
        let fits = |it: &ottla_replication::leader::InSync| {
            let broker = brokers[&it.id];
            !broker.fenced && (it.broker_epoch == -1 || it.broker_epoch == broker.epoch)
        };
        if !proposal.isr.iter().all(fits) {
            return refuse(Refusal::IneligibleReplica);
        }
        assert!(proposal.isr.iter().any(|it| it.id == from), "the leader leaves the ISR: {proposal:?}");
        assert_eq!(proposal.recovery, Recovery::Recovered);
        let old = std::mem::take(&mut image.partition.isr);
        image.partition.isr = proposal.isr.iter().map(|it| it.id).collect();
        self.keep_eligible(&mut image, &old);
        image.partition.partition_epoch += 1;
        let answer = Answer::Committed {
            leader_epoch: image.partition.leader_epoch,
            partition_epoch: image.partition.partition_epoch,
            isr: image.partition.isr.clone(),
            recovery: image.partition.recovery,
        };
        self.images.push(image);
        answer
    }
}
