//! A seed of a kind of world, perhaps with less in it than the seed has drawn.

use std::fmt;

use crate::{cluster, plan};

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Kind {
    /// The metadata quorum alone.
    Quorum,
    /// Controllers, brokers, partitions and clients.
    Cluster,
    /// The same with consumer groups.
    Groups,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Quorum => "quorum",
            Kind::Cluster => "cluster",
            Kind::Groups => "groups",
        })
    }
}

/// What is taken away from what a seed draws.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Less {
    /// Kinds of trouble that do not come.
    pub without: Vec<String>,
    /// Trouble ends by then, in milliseconds.
    pub until_ms: Option<i64>,
    /// At most so many clients and partitions, and so many brokers beside the least.
    pub most: Option<usize>,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What is simulated.
    pub kind: Kind,
    /// The seed.
    pub seed: u64,
    /// What is taken away.
    pub less: Less,
}

impl Less {
    pub(crate) fn quorum(&self, plan: &mut plan::Plan) {
        plan.troubles.retain(|kind| !self.without.contains(&format!("{kind:?}")));
        plan.trouble_ms = plan.trouble_ms.min(self.until_ms.unwrap_or(i64::MAX));
        plan.observers = plan.observers.min(self.most.unwrap_or(usize::MAX));
    }

    pub(crate) fn cluster(&self, plan: &mut cluster::plan::Plan) {
        plan.troubles.retain(|kind| !self.without.contains(&format!("{kind:?}")));
        plan.trouble_ms = plan.trouble_ms.min(self.until_ms.unwrap_or(i64::MAX));
        let most = self.most.unwrap_or(usize::MAX);
        plan.producers = plan.producers.min(most);
        plan.members = plan.members.min(most.saturating_add(1));
        plan.partitions = plan.partitions.min(most.min(100) as i32);
        let least = if plan.combined { 3usize.saturating_sub(plan.controllers) } else { 3 };
        plan.brokers = plan.brokers.min(least.saturating_add(most.saturating_sub(1)));
    }
}

impl Case {
    /// A seed as it is drawn.
    pub fn new(kind: Kind, seed: u64) -> Case {
        Case { kind, seed, less: Less::default() }
    }

    /// A line of the corpus: kind, seed, and the options that take something away.
    pub fn parse(line: &str) -> Option<Case> {
        let mut words = line.split_whitespace();
        let kind = match words.next()? {
            "quorum" => Kind::Quorum,
            "cluster" => Kind::Cluster,
            "groups" => Kind::Groups,
            _ => return None,
        };
        let mut case = Case::new(kind, words.next()?.parse().ok()?);
        while let Some(word) = words.next() {
            let value = words.next()?;
            match word {
                "--without" => case.less.without = value.split(',').map(str::to_owned).collect(),
                "--until-ms" => case.less.until_ms = Some(value.parse().ok()?),
                "--most" => case.less.most = Some(value.parse().ok()?),
                _ => return None,
            }
        }
        Some(case)
    }

    /// Cases with one thing less in them.
    pub(crate) fn smaller(&self) -> Vec<Case> {
        let (troubles, trouble_ms) = self.drawn();
        let with = |change: &dyn Fn(&mut Less)| {
            let mut case = self.clone();
            change(&mut case.less);
            case
        };
        let mut smaller = vec![with(&|less| less.until_ms = Some(trouble_ms / 2))];
        smaller.extend((self.less.most != Some(1)).then(|| with(&|less| less.most = Some(1))));
        smaller.extend(troubles.into_iter().map(|kind| with(&|less| less.without.push(kind.clone()))));
        smaller.push(with(&|less| less.until_ms = Some(trouble_ms * 7 / 8)));
        smaller.retain(|case| case.less.until_ms.is_none_or(|until| until > 500));
        smaller
    }

    /// Kinds of trouble of this case, and how long it lasts.
    fn drawn(&self) -> (Vec<String>, i64) {
        match self.kind {
            Kind::Quorum => {
                let mut plan = plan::Plan::of_seed(self.seed);
                self.less.quorum(&mut plan);
                (plan.troubles.iter().map(|kind| format!("{kind:?}")).collect(), plan.trouble_ms)
            }
            Kind::Cluster | Kind::Groups => {
                let mut plan = cluster::plan::Plan::of_seed(self.seed, self.kind == Kind::Groups);
                self.less.cluster(&mut plan);
                (plan.troubles.iter().map(|kind| format!("{kind:?}")).collect(), plan.trouble_ms)
            }
        }
    }
}

impl fmt::Display for Case {
    /// As options of the program.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--only {} --seed {}", self.kind, self.seed)?;
        if !self.less.without.is_empty() {
            write!(f, " --without {}", self.less.without.join(","))?;
        }
        if let Some(until) = self.less.until_ms {
            write!(f, " --until-ms {until}")?;
        }
        if let Some(most) = self.less.most {
            write!(f, " --most {most}")?;
        }
        Ok(())
    }
}
