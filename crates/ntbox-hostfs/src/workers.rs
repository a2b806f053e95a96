//! The file system's own worker threads.
//!
//! They are not the system's: a work item of a filter may wait for a request
//! that is put off here, and must not keep it from being worked on.

use ntbox_kernel::processor::{thread, work};
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

type Job = Box<dyn FnOnce() + Send>;

struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    /// Threads that wait for requests which others may have to work on.
    waiting: usize,
    /// Jobs queued or running, and DPCs that finish them.
    outstanding: usize,
}

const THREADS: usize = 4;

static QUEUE: Mutex<Queue> = Mutex::new(Queue {
    jobs: VecDeque::new(),
    threads: 0,
    idle: 0,
    waiting: 0,
    outstanding: 0,
});
static WORK: Condvar = Condvar::new();
static IDLE: Condvar = Condvar::new();

thread_local! {
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

fn queue() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this thread is a worker: it must not wait for another one.
pub fn is_worker() -> bool {
    IS_WORKER.get()
}

/// Runs `job` on a worker, at PASSIVE_LEVEL. Any IRQL up to DISPATCH_LEVEL.
pub fn queue_job(job: Job) {
    let mut queue = queue();
    queue.jobs.push_back(job);
    queue.outstanding += 1;
    wake(queue);
}

/// Has a thread take what is queued.
fn wake(mut queue: MutexGuard<'_, Queue>) {
    if queue.idle < queue.jobs.len() && queue.threads < THREADS + queue.waiting {
        queue.threads += 1;
        let name = format!("HostFs worker {}", queue.threads);
        drop(queue);
        drop(thread::spawn_system(&name, run));
    } else {
        drop(queue);
        WORK.notify_one();
    }
}

/// Waits in `body` for requests of this thread's own. If it is a worker, another one may take its place meanwhile: what it
/// waits for may be put off to a worker.
pub fn while_waiting<R>(body: impl FnOnce() -> R) -> R {
    if !is_worker() {
        return body();
    }
    let mut held = queue();
    held.waiting += 1;
    wake(held);
    let result = body();
    queue().waiting -= 1;
    result
}

/// Runs `job` in a DPC; [`drain`] waits for it.
pub fn queue_dpc(job: Job) {
    queue().outstanding += 1;
    work::queue_dpc(Box::new(move || {
        job();
        done();
    }));
}

/// Runs `job` on a worker and waits until it is done. PASSIVE_LEVEL or APC_LEVEL, not from a worker.
pub fn run_elsewhere(job: Job) {
    struct Done(Mutex<bool>, Condvar);
    let done = std::sync::Arc::new(Done(Mutex::new(false), Condvar::new()));
    let signal = std::sync::Arc::clone(&done);
    queue_job(Box::new(move || {
        job();
        *signal.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        signal.1.notify_all();
    }));
    let flag = done.0.lock().unwrap_or_else(PoisonError::into_inner);
    drop(
        done.1
            .wait_while(flag, |done| !*done)
            .unwrap_or_else(PoisonError::into_inner),
    );
}

fn done() {
    let mut queue = queue();
    queue.outstanding -= 1;
    if queue.outstanding == 0 {
        IDLE.notify_all();
    }
}

fn run() {
    IS_WORKER.set(true);
    let mut guard = queue();
    loop {
        let Some(job) = guard.jobs.pop_front() else {
            guard.idle += 1;
            guard = WORK.wait(guard).unwrap_or_else(PoisonError::into_inner);
            guard.idle -= 1;
            continue;
        };
        drop(guard);
        job();
        thread::deliver_apcs();
        done();
        guard = queue();
    }
}

/// Waits until no job and no DPC of [`queue_dpc`] is left.
pub fn drain() {
    let guard = queue();
    drop(
        IDLE.wait_while(guard, |queue| queue.outstanding != 0)
            .unwrap_or_else(PoisonError::into_inner),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntbox_kernel::nt::{DISPATCH_LEVEL, PASSIVE_LEVEL};
    use ntbox_kernel::processor::irql;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn jobs_run_on_workers_and_dpcs_at_dispatch() {
        static RUN: AtomicU32 = AtomicU32::new(0);
        for _ in 0..100 {
            queue_job(Box::new(|| {
                assert!(is_worker() && irql::current() == PASSIVE_LEVEL);
                queue_dpc(Box::new(|| {
                    assert_eq!(irql::current(), DISPATCH_LEVEL);
                    RUN.fetch_add(1, Ordering::Relaxed);
                }));
            }));
        }
        drain();
        assert_eq!(RUN.load(Ordering::Relaxed), 100);
        assert!(!is_worker());
    }

    #[test]
    fn a_job_elsewhere_is_done_when_the_call_returns() {
        let done = std::sync::Arc::new(AtomicU32::new(0));
        let inside = std::sync::Arc::clone(&done);
        run_elsewhere(Box::new(move || {
            inside.store(u32::from(is_worker()), Ordering::Relaxed);
        }));
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }
}
