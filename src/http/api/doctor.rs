//! GET `/v1/mailboxes/{mb}/diagnosis`: the doctor looks at a mailbox now.

use super::super::Shared;
use super::super::language::language_of;
use super::super::problem::Answer;
use crate::admin::set;
use crate::doctor::DoctorError;
use crate::problem::Problem;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

/// GET `/v1/mailboxes/{mb}/diagnosis`. A caller that hangs up ends the examination.
pub(super) async fn examine(shared: Data<Shared>, id: Path<String>, request: HttpRequest) -> Answer {
    let language = language_of(&request)?;
    let stored = shared.mailbox(&id)?;
    let report = shared.doctor.examine(&stored).await.map_err(problem_of)?;
    let mut shown = serde_json::to_value(report.shown(language)).unwrap_or_default();
    set(&mut shown, "state", json!(shared.view(&stored)?.state));
    Ok(HttpResponse::Ok().json(shown))
}

fn problem_of(error: DoctorError) -> Problem {
    let text = error.to_string();
    match error {
        DoctorError::Busy => Problem::conflict("doctor_running", text),
        DoctorError::Store(error) => Problem::from(error),
        DoctorError::Net(error) => {
            Problem::unavailable("doctor_failed", text).with_diagnosis(&error.diagnosis())
        }
    }
}
