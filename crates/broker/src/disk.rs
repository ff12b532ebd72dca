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

/// Runs `work` on each item, on up to `threads` threads at once, and waits for all.
pub(crate) fn in_parallel<T: Send, R: Send>(
    items: Vec<T>,
    threads: usize,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    if items.len() < 2 || threads < 2 {
        return items.into_iter().map(work).collect();
    }
    let (count, work) = (items.len(), &work);
    let queue = Mutex::new(items.into_iter().enumerate());
    let done = Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(count) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().next();
                    let Some((at, item)) = next else { return };
                    let result = work(item);
                    done.lock().push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
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
    fn parallel_work_keeps_its_order() {
        assert_eq!(
            in_parallel((0..1000).collect(), 4, |n: i32| n * 2),
            (0..1000).map(|n| n * 2).collect::<Vec<_>>()
        );
    }
}
