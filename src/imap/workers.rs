//! Threads that parse, compress and seal, one per core, at a lower priority than those that read and answer: a
//! pipeline flows while its first stage is never kept waiting by its last.

use super::protocol::ImapError;
use crate::threads;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// How much nicer than others the threads are (nice(2)).
const NICER: i32 = 5;

type Job = Box<dyn FnOnce() + Send>;

/// The threads; they end when nobody can give them work any more.
#[derive(Clone)]
pub struct Workers {
    jobs: Sender<Job>,
}

impl Workers {
    /// Starts as many as there are cores: more would only take the caches from each other.
    #[must_use]
    pub fn start() -> Self {
        let (jobs, incoming) = channel();
        let incoming = Arc::new(Mutex::new(incoming));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for number in 0..cores {
            let incoming = Arc::clone(&incoming);
            let name = format!("prepare-{number}");
            let started = std::thread::Builder::new().name(name).spawn(move || work(&incoming));
            if let Err(error) = started {
                tracing::error!(%error, "a worker thread could not be started");
            }
        }
        Self { jobs }
    }

    /// Has work done; the result comes when its turn has come. Work that panics is lost alone.
    pub(super) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Work<T> {
        let (reply, result) = oneshot::channel();
        let job: Job = Box::new(move || drop(reply.send(work())));
        // without a thread the job is dropped, and its reply with it: that is what the waiter sees
        drop(self.jobs.send(job));
        Work(result)
    }
}

/// Work under way.
pub(super) struct Work<T>(oneshot::Receiver<T>);

impl<T> Work<T> {
    /// Waits for the result.
    pub(super) async fn result(self) -> Result<T, ImapError> {
        self.0.await.map_err(|_| ImapError::Internal(String::from("a worker ended: see the log")))
    }
}

fn work(incoming: &Mutex<Receiver<Job>>) {
    threads::work_in_long_pieces(NICER);
    loop {
        let next = incoming.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // told by the panic hook; the waiter hears that its reply is gone
        drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_its_own_works_affair() {
        let workers = Workers::start();
        for _ in 0..20 {
            let broken = workers.run(|| assert!(std::hint::black_box(false), "on purpose"));
            let sound = workers.run(|| 6 * 7);
            assert!(broken.result().await.is_err());
            assert_eq!(sound.result().await.unwrap(), 42);
        }
    }

    #[tokio::test]
    async fn work_is_done_beside_other_work() {
        if std::thread::available_parallelism().is_ok_and(|cores| cores.get() < 2) {
            return;
        }
        let workers = Workers::start();
        let (tell, told) = std::sync::mpsc::channel();
        let waiting = workers.run(move || told.recv());
        let telling = workers.run(move || tell.send(()));
        assert!(telling.result().await.unwrap().is_ok());
        assert!(waiting.result().await.unwrap().is_ok());
    }
}
