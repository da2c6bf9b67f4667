//! How the system shares its processors among our threads.

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
};

/// The best and the worst niceness (nice(2)).
const BEST: i32 = -20;
const WORST: i32 = 19;

/// Lets the calling thread work for others when nobody else wants the processor: in long pieces (`SCHED_BATCH`, sched(7))
/// and `nicer` than it was, by so many steps of nice(2). Whoever answers a server or makes a commit durable takes the
/// processor from it at once. What the system refuses stays as it is.
pub fn work_behind_others(nicer: i32) {
    let present = match rustix::process::getpriority_process(None) {
        Ok(present) => present,
        Err(error) => return tracing::debug!(%error, "a thread's niceness is not told"),
    };
    let thread = thread_priority::thread_native_id();
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
    let priority = as_nice_as(present.saturating_add(nicer));
    if let Err(error) = thread_priority::set_thread_priority_and_policy(thread, priority, policy) {
        tracing::debug!(?error, "a thread keeps its way of being scheduled");
    }
}

/// A niceness as the library counts: 99 steps from the nicest on, of which it makes 39. The middle of those that it
/// makes this one of, whichever way it rounds.
fn as_nice_as(nice: i32) -> ThreadPriority {
    let halves = 2 * (WORST - nice.clamp(BEST, WORST)) - 1;
    let value = u8::try_from((99 * halves + 39) / 78).ok();
    let value = value.and_then(|value| ThreadPriorityValue::try_from(value).ok());
    value.map_or(ThreadPriority::Min, ThreadPriority::Crossplatform)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_becomes_as_nice_as_it_is_told_and_works_in_long_pieces() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let outside = niceness();
        std::thread::spawn(move || {
            work_behind_others(0);
            assert_eq!(niceness(), outside);
            for step in outside + 1..=WORST {
                work_behind_others(1);
                assert_eq!(niceness(), step);
            }
            work_behind_others(1);
            assert_eq!(niceness(), WORST);
            let policy = thread_priority::thread_schedule_policy().unwrap();
            assert_eq!(policy, ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch));
        })
        .join()
        .unwrap();
        // each thread has its own
        assert_eq!(niceness(), outside);
    }
}
