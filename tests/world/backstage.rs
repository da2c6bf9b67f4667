//! The thread and the tokio runtime on which the world's own servers live, apart from any runtime of the
//! caller. Child processes are started from this thread too: their parent-death signal follows the thread
//! that started them, not the process, so that thread must live exactly as long as the world.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

type Job = Box<dyn FnOnce() + Send>;

/// Shared ownership of the thread; the last owner's drop ends it.
#[derive(Clone)]
pub struct Backstage {
    inner: Arc<Inner>,
}

struct Inner {
    handle: tokio::runtime::Handle,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Backstage {
    pub fn new() -> Self {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("world".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .thread_name("world-io")
                    .enable_all()
                    .build()
                    .unwrap();
                tell.send(runtime.handle().clone()).unwrap();
                while let Ok(job) = inbox.recv() {
                    job();
                }
                runtime.shutdown_background();
            })
            .unwrap();
        let handle = told.recv().unwrap();
        let inner = Inner { handle, jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) };
        Self { inner: Arc::new(inner) }
    }

    /// The runtime the servers are spawned on.
    pub fn handle(&self) -> &tokio::runtime::Handle {
        &self.inner.handle
    }

    /// Runs `job` on the world's own thread and waits for its result.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = mpsc::channel();
        let boxed: Job = Box::new(move || {
            let _ = tell.send(job());
        });
        self.inner.jobs.lock().unwrap().as_ref().expect("backstage is open").send(boxed).unwrap();
        told.recv().expect("the job finished")
    }

    /// Listens on a free loopback port.
    pub fn listen(&self) -> (tokio::net::TcpListener, u16) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let _context = self.inner.handle.enter();
        (tokio::net::TcpListener::from_std(listener).unwrap(), port)
    }
}

impl Default for Backstage {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.jobs.lock().unwrap().take();
        let Some(thread) = self.thread.lock().unwrap().take() else { return };
        if thread.thread().id() != std::thread::current().id() {
            let _ = thread.join();
        }
    }
}
