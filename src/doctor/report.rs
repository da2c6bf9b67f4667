//! The record of an examination: each step's result and time, within one deadline for all.

use crate::clock;
use crate::diagnosis::{Facts, catalogue, describe};
use crate::domain::Diagnosis;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How a step, or the whole, went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepResult {
    /// Good.
    Ok,
    /// Not good: the diagnosis says why.
    Failed,
    /// Not tried: the detail says why.
    Skipped,
}

/// One step.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Its name.
    pub name: &'static str,
    /// How it went.
    pub result: StepResult,
    /// How long it took.
    pub milliseconds: u64,
    /// What was seen.
    pub detail: String,
    /// Why it failed.
    pub diagnosis: Option<Diagnosis>,
}

/// What a later step needs from earlier ones, or why it is not there.
pub(super) type Way<T> = Result<T, String>;

/// What a step comes to: something for later steps and what was seen, or what is wrong.
pub(super) type Outcome<T> = Result<(T, String), Diagnosis>;

/// The steps so far.
pub(super) struct StepList {
    steps: Vec<Step>,
    ends: Instant,
}

impl StepList {
    pub(super) fn new(patience: Duration) -> Self {
        Self { steps: Vec::new(), ends: clock::monotonic() + patience }
    }

    /// Takes a step if the way to it is open.
    pub(super) async fn step<P, T, F>(
        &mut self,
        name: &'static str,
        way: Way<P>,
        work: impl FnOnce(P) -> F,
    ) -> Way<T>
    where
        F: Future<Output = Outcome<T>>,
    {
        let begun = clock::monotonic();
        let left = self.ends.saturating_duration_since(begun);
        let way = way.and_then(|open| if left.is_zero() { Err(String::from(NO_TIME)) } else { Ok(open) });
        let open = match way {
            Ok(open) => open,
            Err(why) => {
                self.skip(name, &why);
                return Err(why);
            }
        };
        let outcome = match tokio::time::timeout(left, work(open)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(describe(&catalogue::DOCTOR_TIMEOUT, &Facts::default(), None)),
        };
        let took = clock::monotonic().saturating_duration_since(begun);
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let (result, detail, diagnosis, on) = match outcome {
            Ok((value, detail)) => (StepResult::Ok, detail, None, Ok(value)),
            Err(found) => {
                let detail = found.evidence.clone().unwrap_or_else(|| found.summary.clone());
                (StepResult::Failed, detail, Some(found), Err(format!("the step {name} failed")))
            }
        };
        self.steps.push(Step { name, result, milliseconds, detail, diagnosis });
        on
    }

    /// Notes that a step was not taken.
    pub(super) fn skip(&mut self, name: &'static str, why: &str) {
        let result = StepResult::Skipped;
        self.steps.push(Step { name, result, milliseconds: 0, detail: why.to_owned(), diagnosis: None });
    }

    pub(super) fn into_steps(self) -> Vec<Step> {
        self.steps
    }
}

const NO_TIME: &str = "no time was left (timing.doctor)";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_step_after_a_failed_one_says_which_and_a_late_one_that_no_time_was_left() {
        let mut list = StepList::new(Duration::from_millis(30));
        let fail = |()| async {
            Err::<((), String), _>(describe(&catalogue::SERVER_BUSY, &Facts::default(), Some("421 busy")))
        };
        let way = list.step("tcp", Ok(()), fail).await;
        let way = list.step("tls", way, |()| async { Ok(((), String::new())) }).await;
        assert_eq!(way, Err(String::from("the step tcp failed")));
        let never = |()| async {
            std::future::pending::<()>().await;
            Ok(((), String::new()))
        };
        list.step("clock", Ok(()), never).await.unwrap_err();
        list.step("token", Ok(()), |()| async { Ok(((), String::new())) }).await.unwrap_err();
        let steps = list.into_steps();
        let shown: Vec<_> = steps.iter().map(|step| (step.name, step.result, step.detail.as_str())).collect();
        assert_eq!(shown[0], ("tcp", StepResult::Failed, "421 busy"));
        assert_eq!(shown[1], ("tls", StepResult::Skipped, "the step tcp failed"));
        assert_eq!((shown[2].0, shown[2].1), ("clock", StepResult::Failed));
        assert_eq!(shown[3], ("token", StepResult::Skipped, NO_TIME));
        assert_eq!(steps[2].diagnosis.as_ref().unwrap().code, "doctor_timeout");
    }
}
