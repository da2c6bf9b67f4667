//! How a piece of work is run: on a thread that may block, or once more when somebody else wrote first.

use crate::problem::Problem;
use crate::store::StoreError;

/// Work that reads the disk or takes long, off the arbiter.
pub(crate) async fn blocking<T, E, F>(work: F) -> Result<T, Problem>
where
    F: FnOnce() -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
    Problem: From<E>,
{
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|_| Problem::unavailable("busy", "the pool is closed"))??)
}

/// Repeats a compare-and-set that others may disturb.
pub(crate) async fn retry_conflicts<T>(
    mut attempt: impl AsyncFnMut() -> Result<T, Problem>,
) -> Result<T, Problem> {
    for _ in 0..4 {
        match attempt().await {
            Err(problem) if problem.is_conflict() => {}
            other => return other,
        }
    }
    Err(Problem::from(StoreError::Conflict))
}
