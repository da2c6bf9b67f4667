//! The addresses under `/sign-in`.

use super::super::routing::{get, only};
use super::{callback, owner, paste, visit};
use actix_web::web::{self, ServiceConfig};

/// The addresses under `/sign-in`.
pub(in crate::http) fn routes(config: &mut ServiceConfig) {
    let post = web::post().to(visit::start);
    config
        .service(only(web::resource("/sign-in/callback"), "GET").route(web::get().to(callback::come_back)))
        .service(
            only(web::resource("/sign-in/{token}"), "GET, HEAD, POST")
                .route(get().to(visit::show))
                .route(post),
        )
        .service(only(web::resource("/sign-in/{token}/outcome"), "GET, HEAD").route(get().to(visit::outcome)))
        .service(only(web::resource("/sign-in/{token}/status"), "GET, HEAD").route(get().to(visit::status)))
        .service(only(web::resource("/sign-in/{token}/paste"), "POST").route(web::post().to(paste::pasted)))
        .service(
            only(web::resource("/sign-in/{token}/for/{mailbox}"), "POST").route(web::post().to(owner::start)),
        );
}
