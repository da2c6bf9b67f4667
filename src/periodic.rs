//! Work that is done now and again for as long as the daemon runs. Each piece has a name, none begins while its last run is
//! under way, a panic costs one run, and all of them end when the daemon drains.

use crate::clock;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// When a piece of work is wanted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// After this pause.
    After(Duration),
    /// Never.
    Never,
}

/// The daemon's periodic work.
#[derive(Debug)]
pub struct Periodic {
    stopping: watch::Sender<bool>,
    running: Mutex<Vec<(&'static str, JoinHandle<()>)>>,
}

impl Default for Periodic {
    fn default() -> Self {
        Self { stopping: watch::Sender::new(false), running: Mutex::default() }
    }
}

impl Periodic {
    /// Does a piece of work now, and again whenever it says. Each run is a task of its own on the calling thread's
    /// runtime; one that panics is logged by the panic hook and made again after `pause`.
    pub fn spawn<F: Future<Output = Again> + 'static>(
        &self,
        name: &'static str,
        pause: Duration,
        mut work: impl FnMut() -> F + 'static,
    ) {
        let mut stopping = self.stopping.subscribe();
        let task = actix::spawn(async move {
            loop {
                let mut run = Run(actix::spawn(work()));
                let again = (&mut run.0).await.unwrap_or(Again::After(pause));
                let Again::After(pause) = again else { return };
                tokio::select! {
                    _ = stopping.wait_for(|stopping| *stopping) => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        });
        let mut running = self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        running.push((name, task));
    }

    /// [`Periodic::spawn`] with the same pause each time.
    pub fn every<F: Future<Output = ()> + 'static>(
        &self,
        name: &'static str,
        pause: Duration,
        mut work: impl FnMut() -> F + 'static,
    ) {
        self.spawn(name, pause, move || {
            let run = work();
            async move {
                run.await;
                Again::After(pause)
            }
        });
    }

    /// Begins no further run, and waits for so long for those under way; then they are cut off. The names of those.
    pub async fn stop(&self, patience: Duration) -> Vec<&'static str> {
        self.stopping.send_replace(true);
        let running =
            std::mem::take(&mut *self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        let deadline = clock::monotonic() + patience;
        let mut late = Vec::new();
        for (name, mut task) in running {
            if tokio::time::timeout_at(deadline.into(), &mut task).await.is_err() {
                task.abort();
                late.push(name);
            }
        }
        late
    }
}

/// A run that ends with whoever waits for it.
struct Run(JoinHandle<Again>);

impl Drop for Run {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;
    use tokio::sync::Notify;

    const HOUR: Duration = Duration::from_secs(3600);
    const MOMENT: Duration = Duration::from_millis(1);

    #[actix::test]
    async fn a_panic_costs_one_run_and_stopping_ends_the_pauses() {
        let (periodic, runs, ran) = (Periodic::default(), Rc::new(Cell::new(0)), Rc::new(Notify::new()));
        let (counted, told) = (runs.clone(), ran.clone());
        periodic.spawn("counting", MOMENT, move || {
            let (runs, ran) = (counted.clone(), told.clone());
            async move {
                runs.set(runs.get() + 1);
                ran.notify_one();
                assert!(runs.get() != 2, "the second run panics");
                Again::After(if runs.get() == 1 { MOMENT } else { HOUR })
            }
        });
        for _ in 0..3 {
            ran.notified().await;
        }
        // the pause of an hour ends, too
        assert!(periodic.stop(HOUR).await.is_empty());
        assert_eq!(runs.get(), 3);
    }

    #[actix::test]
    async fn a_run_that_does_not_end_is_named() {
        let periodic = Periodic::default();
        periodic.every("endless", HOUR, std::future::pending);
        periodic.spawn("once", HOUR, || async { Again::Never });
        assert_eq!(periodic.stop(MOMENT).await, ["endless"]);
    }
}
