//! Threads that parse, compress and seal, one per core, at a lower priority than those that read and answer: a
//! pipeline flows while its first stage is never kept waiting by its last. Each mailbox has a queue of its own, and they are
//! served in turn: one whose work is slow keeps another waiting for what is being done, not for what is to be done.

use crate::domain::Incarnation;
use crate::imap::protocol::ImapError;
use crate::threads;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// By how much the threads' priority is lower than that of others (nice(2)).
const NICER: i32 = 19;

type Job = Box<dyn FnOnce() + Send>;

/// The threads; they end when the last handle is dropped.
#[derive(Clone)]
pub struct Workers {
    desk: Arc<Desk>,
}

/// Where work is handed in. When it is dropped the threads end.
struct Desk(Arc<Hall>);

struct Hall {
    queues: Mutex<Queues<Job>>,
    changed: Condvar,
}

/// Work that waits, by mailbox, and how many threads work for each.
struct Queues<J> {
    /// The mailboxes that wait, in the order of their turns.
    waiting: VecDeque<(Incarnation, VecDeque<J>)>,
    served: BTreeMap<Incarnation, usize>,
    is_closed: bool,
}

impl<J> Default for Queues<J> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), served: BTreeMap::new(), is_closed: false }
    }
}

impl<J> Queues<J> {
    fn add(&mut self, mailbox: Incarnation, job: J) {
        match self.waiting.iter_mut().find(|(waiting, _)| *waiting == mailbox) {
            Some((_, jobs)) => jobs.push_back(job),
            None => self.waiting.push_back((mailbox, VecDeque::from([job]))),
        }
    }

    /// What is done next: of the mailboxes for which the fewest threads work, the one whose turn it is.
    fn take(&mut self) -> Option<(Incarnation, J)> {
        let served = |(mailbox, _): &(Incarnation, _)| self.served.get(mailbox).copied().unwrap_or(0);
        let (place, _) = self.waiting.iter().enumerate().min_by_key(|(_, waiting)| served(waiting))?;
        let (mailbox, mut jobs) = self.waiting.remove(place)?;
        let job = jobs.pop_front()?;
        if !jobs.is_empty() {
            self.waiting.push_back((mailbox, jobs));
        }
        *self.served.entry(mailbox).or_default() += 1;
        Some((mailbox, job))
    }

    fn done(&mut self, mailbox: Incarnation) {
        if let Some(threads) = self.served.get_mut(&mailbox) {
            *threads = threads.saturating_sub(1);
            if *threads == 0 {
                self.served.remove(&mailbox);
            }
        }
    }
}

impl Hall {
    fn queues(&self) -> MutexGuard<'_, Queues<Job>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.0.queues().is_closed = true;
        self.0.changed.notify_all();
    }
}

impl Workers {
    /// Starts as many as there are cores: more would only take the caches from each other.
    #[must_use]
    pub fn start() -> Self {
        let hall = Arc::new(Hall { queues: Mutex::default(), changed: Condvar::new() });
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut started = 0;
        for number in 0..cores {
            let hall = Arc::clone(&hall);
            let name = format!("prepare-{number}");
            match std::thread::Builder::new().name(name).spawn(move || work(&hall)) {
                Ok(_) => started += 1,
                Err(error) => tracing::error!(%error, "a worker thread could not be started"),
            }
        }
        // without a thread work is dropped, and its reply with it: that is what the waiter sees
        hall.queues().is_closed = started == 0;
        Self { desk: Arc::new(Desk(hall)) }
    }

    /// Has work done for a mailbox; the result comes when its turn has come. Work that panics is lost alone.
    pub(in crate::imap) fn run<T: Send + 'static>(
        &self,
        mailbox: Incarnation,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Work<T> {
        let (reply, result) = oneshot::channel();
        let job: Job = Box::new(move || drop(reply.send(work())));
        let hall = &self.desk.0;
        let mut queues = hall.queues();
        if !queues.is_closed {
            queues.add(mailbox, job);
            hall.changed.notify_one();
        }
        drop(queues);
        Work(result)
    }
}

/// Work under way.
pub(in crate::imap) struct Work<T>(oneshot::Receiver<T>);

impl<T> Work<T> {
    /// Waits for the result.
    pub(in crate::imap) async fn result(self) -> Result<T, ImapError> {
        self.0.await.map_err(|_| ImapError::Internal(String::from("a worker ended: see the log")))
    }
}

fn work(hall: &Hall) {
    threads::work_behind_others(NICER);
    let mut queues = hall.queues();
    loop {
        if let Some((mailbox, job)) = queues.take() {
            drop(queues);
            // the panic hook logs it; the waiter sees that its reply is gone
            drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)));
            queues = hall.queues();
            queues.done(mailbox);
        } else if queues.is_closed {
            return;
        } else {
            queues = hall.changed.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const ANNA: Incarnation = Incarnation(1);
    const BEN: Incarnation = Incarnation(2);

    #[tokio::test]
    async fn a_panic_is_its_own_works_affair() {
        let workers = Workers::start();
        for _ in 0..20 {
            let broken = workers.run(ANNA, || assert!(std::hint::black_box(false), "on purpose"));
            let sound = workers.run(ANNA, || 6 * 7);
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
        let waiting = workers.run(ANNA, move || told.recv());
        let telling = workers.run(ANNA, move || tell.send(()));
        assert!(telling.result().await.unwrap().is_ok());
        assert!(waiting.result().await.unwrap().is_ok());
    }

    #[test]
    fn threads_go_to_whom_the_fewest_work_for_and_then_by_turns() {
        let mut queues = Queues::default();
        let carla = Incarnation(3);
        (0..4).for_each(|job| queues.add(ANNA, job));
        queues.add(BEN, 10);
        queues.add(carla, 20);
        queues.add(BEN, 11);
        let order: Vec<_> = std::iter::from_fn(|| queues.take().map(|(_, job)| job)).collect();
        assert_eq!(order, [0, 10, 20, 1, 11, 2, 3]);
        (0..4).for_each(|_| queues.done(ANNA));
        queues.add(BEN, 12);
        queues.add(ANNA, 4);
        assert_eq!(queues.take(), Some((ANNA, 4)), "nobody works for it");
        assert!(queues.served.len() == 3 && queues.waiting.len() == 1);
    }

    /// With one queue for all, the work of the second mailbox is behind everything that the first one handed in.
    #[tokio::test]
    async fn a_mailbox_waits_for_one_piece_of_anothers_work_and_not_for_all() {
        let workers = Workers::start();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let held = Arc::new(Mutex::new(held));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let slow = (0..cores + 5).map(|_| {
            let (begin, held) = (begin.clone(), Arc::clone(&held));
            workers.run(ANNA, move || {
                begin.send(()).unwrap();
                held.lock().unwrap().recv().unwrap();
            })
        });
        let slow: Vec<_> = slow.collect();
        for _ in 0..cores {
            begun.recv().await.unwrap();
        }
        let quick = workers.run(BEN, || 42);
        release.send(()).unwrap();
        let result = tokio::time::timeout(Duration::from_secs(20), quick.result()).await;
        (0..cores + 5).for_each(|_| release.send(()).unwrap_or_default());
        assert_eq!(result.expect("it waits for more than one piece of work").unwrap(), 42);
        for work in slow {
            work.result().await.unwrap();
        }
    }
}
