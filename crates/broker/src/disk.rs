//! A few threads for what may block on a disk: fsync, loading, retention, deletion. Never the hot path.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use parking_lot::Mutex;

type Job = Box<dyn FnOnce() + Send>;

/// The threads. Jobs run in the order they came, several at a time.
pub(crate) struct DiskPool {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl DiskPool {
    pub(crate) fn start(threads: usize) -> io::Result<DiskPool> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let start = |index| {
            let queue = queue.clone();
            std::thread::Builder::new().name(format!("disk-{index}")).spawn(move || {
                loop {
                    let job = queue.lock().recv();
                    match job {
                        // The hook has told of the panic; the other jobs still need a thread.
                        Ok(job) => drop(catch_unwind(AssertUnwindSafe(job))),
                        Err(mpsc::RecvError) => return,
                    }
                }
            })
        };
        let threads = (0..threads.max(1)).map(start).collect::<io::Result<Vec<_>>>()?;
        Ok(DiskPool { jobs: Mutex::new(Some(jobs)), threads: Mutex::new(threads) })
    }

    /// Runs `job` as soon as a thread is free; after [`DiskPool::stop`] it is dropped.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        if let Some(jobs) = &*self.jobs.lock() {
            let _ = jobs.send(Box::new(job));
        }
    }

    /// Waits until all jobs are done and ends the threads.
    pub(crate) fn stop(&self) {
        drop(self.jobs.lock().take());
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }
}

/// Runs `work` on each item and waits for all. Each group has up to `threads` threads of its own: groups are log
/// directories, and a slow disk holds up only its own (Kafka's `num.recovery.threads.per.data.dir`). What comes of the
/// items is in the order of the groups, and in no order within.
pub(crate) fn in_parallel<T: Send, R: Send>(
    groups: Vec<Vec<T>>,
    threads: usize,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    if groups.iter().map(Vec::len).sum::<usize>() < 2 {
        return groups.into_iter().flatten().map(work).collect();
    }
    let work = &work;
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for group in groups {
            let count = threads.clamp(1, group.len().max(1));
            let queue = Arc::new(Mutex::new(group.into_iter()));
            for _ in 0..count {
                let queue = queue.clone();
                running.push(scope.spawn(move || {
                    let next = || queue.lock().next();
                    std::iter::from_fn(next).map(work).collect::<Vec<R>>()
                }));
            }
        }
        let done = running.into_iter().map(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        done.flatten().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_all_run_before_the_stop() {
        let pool = DiskPool::start(2).unwrap();
        let (sender, receiver) = mpsc::channel();
        for n in 0..100 {
            let sender = sender.clone();
            pool.run(move || sender.send(n).unwrap());
        }
        pool.stop();
        assert_eq!(receiver.try_iter().count(), 100);
        pool.run(|| panic!("stopped"));
    }

    #[test]
    fn a_job_that_panics_takes_no_thread_with_it() {
        let pool = DiskPool::start(1).unwrap();
        let (sender, receiver) = mpsc::channel();
        pool.run(|| panic!("as expected"));
        pool.run(move || sender.send(7).unwrap());
        assert_eq!(receiver.recv(), Ok(7));
        pool.stop();
    }

    #[test]
    fn each_group_has_threads_of_its_own() {
        let groups = |sizes: &[usize]| sizes.iter().enumerate().map(|(g, n)| vec![g; *n]).collect::<Vec<_>>();
        // All of them at once, or none would end.
        let barrier = std::sync::Barrier::new(6);
        let mut done = in_parallel(groups(&[2, 2, 2]), 2, |group| {
            barrier.wait();
            group * 10
        });
        assert_eq!(done, [0, 0, 10, 10, 20, 20]);
        done = in_parallel(groups(&[500, 0, 1]), 3, |group| group);
        assert_eq!(done.iter().filter(|group| **group == 0).count(), 500);
        assert_eq!(done.last(), Some(&2));
        assert_eq!(in_parallel(groups(&[0, 1]), 1, |group| group), [1]);
    }
}
