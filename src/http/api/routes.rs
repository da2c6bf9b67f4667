//! The addresses under `/v1`.

use super::super::routing::{get, only};
use super::{
    apps, diagnoses, distribute, doctor, events, folders, guide, import, invite, mailboxes, master_key,
    messages, outbox, raw, sign_ins, switches, verify,
};
use actix_web::web::{self, PayloadConfig, ServiceConfig, resource};

/// The addresses under `/v1`.
pub(in crate::http) fn routes(config: &mut ServiceConfig, max_body: usize) {
    config
        .service(
            only(resource("/apps"), "GET, HEAD, POST")
                .route(get().to(apps::list))
                .route(web::post().to(apps::create)),
        )
        .service(
            only(resource("/apps/{app}"), "GET, HEAD, PUT, PATCH, DELETE")
                .route(get().to(apps::one))
                .route(web::put().to(apps::put))
                .route(web::patch().to(apps::patch))
                .route(web::delete().to(apps::delete)),
        )
        .service(
            only(resource("/apps/{app}/distribute"), "POST").route(web::post().to(distribute::distribute)),
        )
        .service(only(resource("/master-key:rotate"), "POST").route(web::post().to(master_key::rotate)))
        .service(only(resource("/diagnoses"), "GET, HEAD").route(get().to(diagnoses::list)))
        .service(only(resource("/apps/{app}/verify"), "POST").route(web::post().to(verify::verify)))
        .service(only(resource("/apps/{app}/guide"), "GET, HEAD").route(get().to(guide::guide)))
        .service(only(resource("/events"), "GET, HEAD").route(get().to(events::list)))
        .service(only(resource("/sign-ins/{id}"), "GET, HEAD").route(get().to(sign_ins::one)))
        .service(only(resource("/sign-ins/{id}/paste"), "POST").route(web::post().to(sign_ins::paste)))
        .service(only(resource("/sign-ins/{id}/accept"), "POST").route(web::post().to(sign_ins::accept)));
    mailbox_routes(config, max_body);
    mail_routes(config, max_body);
}

fn mailbox_routes(config: &mut ServiceConfig, max_body: usize) {
    config
        .service(
            only(resource("/mailboxes"), "GET, HEAD, POST")
                .route(get().to(mailboxes::list))
                .route(web::post().to(mailboxes::create)),
        )
        .service(
            only(resource("/mailboxes:import"), "POST")
                .app_data(PayloadConfig::new(max_body))
                .route(web::post().to(import::import)),
        )
        .service(only(resource("/mailboxes:summary"), "GET, HEAD").route(get().to(mailboxes::summary)))
        .service(
            only(resource("/mailboxes/{mb}"), "GET, HEAD, PUT, PATCH, DELETE")
                .route(get().to(mailboxes::one))
                .route(web::put().to(mailboxes::put))
                .route(web::patch().to(mailboxes::patch))
                .route(web::delete().to(mailboxes::delete)),
        )
        .service(only(resource("/mailboxes/{mb}/diagnosis"), "GET").route(web::get().to(doctor::examine)))
        .service(only(resource("/mailboxes/{mb}/invite"), "POST").route(web::post().to(invite::invite)))
        .service(only(resource("/mailboxes/{mb}/pause"), "POST").route(web::post().to(switches::pause)))
        .service(only(resource("/mailboxes/{mb}/resume"), "POST").route(web::post().to(switches::resume)))
        .service(only(resource("/mailboxes/{mb}/sync"), "POST").route(web::post().to(switches::sync)))
        .service(
            only(resource("/mailboxes/{mb}/refresh-token"), "POST")
                .route(web::post().to(switches::refresh_token)),
        )
        .service(
            only(resource("/mailboxes/{mb}/sign-in"), "GET, HEAD, POST")
                .route(get().to(sign_ins::newest))
                .route(web::post().to(sign_ins::create)),
        );
}

fn mail_routes(config: &mut ServiceConfig, max_body: usize) {
    config
        .service(only(resource("/mailboxes/{mb}/folders"), "GET, HEAD").route(get().to(folders::list)))
        .service(
            only(resource("/mailboxes/{mb}/folders/{folder}"), "PATCH")
                .route(web::patch().to(folders::patch)),
        )
        .service(only(resource("/mailboxes/{mb}/messages"), "GET, HEAD").route(get().to(messages::list)))
        .service(only(resource("/mailboxes/{mb}/messages/{id}"), "GET, HEAD").route(get().to(messages::one)))
        .service(only(resource("/mailboxes/{mb}/messages/{id}/raw"), "GET, HEAD").route(get().to(raw::raw)))
        .service(
            only(resource("/mailboxes/{mb}/outbox"), "GET, HEAD, POST")
                .app_data(PayloadConfig::new(max_body))
                .route(get().to(outbox::list))
                .route(web::post().to(outbox::submit)),
        )
        .service(only(resource("/mailboxes/{mb}/outbox/{id}"), "GET, HEAD").route(get().to(outbox::one)))
        .service(
            only(resource("/mailboxes/{mb}/outbox/{id}/cancel"), "POST")
                .route(web::post().to(outbox::cancel)),
        );
}
