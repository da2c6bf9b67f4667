//! How addresses and methods are routed.

use crate::problem::Problem;
use actix_web::{HttpResponse, Resource, Route, guard, web};

/// A resource that answers other methods than its own with 405 and the list of them.
pub(super) fn only(resource: Resource, allow: &'static str) -> Resource {
    resource.default_service(web::to(move || async move {
        Err::<HttpResponse, Problem>(Problem::method_not_allowed(allow))
    }))
}

/// GET, and HEAD with it.
pub(super) fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}
