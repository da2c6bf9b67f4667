//! Binding, routes, and the net under all handlers: no answer without words, no panic to the outside.

use super::listeners::{BindError, Listener, Listeners, Serves, only_its_own};
use super::problem::{NO_SNIFF, NO_STORE, PROBLEM_JSON};
use super::routing::{get, only};
use super::visitors::{Visitors, tcp};
use super::{HttpDeps, Shared, api, auth, bodies, pages};
use crate::descriptors::{self, Shares};
use crate::problem::Problem;
use crate::signin;
use crate::work::blocking;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Server, ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::{DefaultHeaders, Next, from_fn};
use actix_web::{App, Error, HttpResponse, HttpServer, web};
use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// One server for each listener.
pub struct Servers(Vec<Server>);

/// Ends servers that run.
pub struct ServersHandle(Vec<ServerHandle>);

impl Servers {
    /// By which they are ended.
    #[must_use]
    pub fn handle(&self) -> ServersHandle {
        ServersHandle(self.0.iter().map(Server::handle).collect())
    }

    /// Serves until all of them have ended.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn run(self) -> std::io::Result<()> {
        futures_util::future::try_join_all(self.0).await.map(drop)
    }
}

impl ServersHandle {
    /// Ends them all; `graceful`: when what they are answering is answered.
    pub async fn stop(&self, graceful: bool) {
        futures_util::future::join_all(self.0.iter().map(|handle| handle.stop(graceful))).await;
    }
}

/// Servers whose addresses are bound.
pub struct Bound {
    /// They run when they are awaited.
    pub server: Servers,
    /// The API's address.
    pub address: SocketAddr,
    /// Where users come to, without a slash at its end.
    pub public_url: String,
    /// Set to `true`, requests that wait for something to happen are answered at once.
    pub ending: watch::Sender<bool>,
}

/// Binds the configured addresses at once. Port 0 is allowed: the address given back is the real one, and without a
/// configured `public_url` links are made of it.
///
/// # Errors
/// [`BindError`] if an address cannot be had, or a certificate not be used.
pub fn bind(deps: HttpDeps) -> Result<Bound, BindError> {
    let listeners = Listeners::open(&deps.config)?;
    let address = listeners.api.address;
    let drain = deps.config.timing.drain.as_secs();
    let (ending, is_ending) = watch::channel(false);
    let periodic = Arc::clone(&deps.periodic);
    let shared = web::Data::new(Shared::new(deps, listeners.pages_address(), is_ending));
    let public_url = shared.signin.public_url.clone();
    let left = signin::unfinished(&shared.signin);
    signin::resume_trials(&shared.signin);
    signin::take_up_unfinished(&shared.signin, left);
    let context = shared.signin.clone();
    periodic.every("old sign-ins", Duration::from_secs(3600), move || {
        let context = context.clone();
        async move { signin::forget_ended(&context).await }
    });
    actix_web::rt::spawn(signin::run_trials(shared.signin.clone()));
    let mut servers = Vec::new();
    for listener in [Some(listeners.api), listeners.pages].into_iter().flatten() {
        servers.push(serve(listener, &shared, drain)?);
    }
    Ok(Bound { server: Servers(servers), address, public_url, ending })
}

/// A server for one listener: whoever takes all connections of one takes none of the other's.
fn serve(listener: Listener, shared: &web::Data<Shared>, drain: u64) -> Result<Server, BindError> {
    let Listener { serves, socket, tls, address, key } = listener;
    let shared = shared.clone();
    let visitors = Visitors::new(shared.config.signin.per_address);
    let connections = Shares::of(descriptors::limit()).http;
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .app_data(serves)
            .wrap(from_fn(bodies::bounded))
            .wrap(from_fn(only_its_own))
            .wrap(from_fn(net))
            .configure(|config| routes(config, &shared))
    })
    .workers(workers)
    .max_connections((connections / workers).max(1))
    // a head that does not come, a connection that is not used again: others wait for its place
    .client_request_timeout(Duration::from_secs(5))
    .keep_alive(Duration::from_secs(5))
    .on_connect(move |connection, data| {
        give_up_stalled(connection);
        if serves == Serves::Pages {
            visitors.admit(connection, data);
        }
    })
    // head and body of a streamed answer are written apart: the second must not wait for the first to be
    // acknowledged, which takes a client 40 ms
    .tcp_nodelay(true)
    .disable_signals()
    .shutdown_timeout(drain);
    let listening = match tls {
        Some(tls) => server.listen_rustls_0_23(socket, tls),
        None => server.listen(socket),
    };
    Ok(listening.map_err(|source| BindError::Listen { address, key, source })?.run())
}

/// An answer that nobody takes does not hold its connection for ever (RFC 5482).
fn give_up_stalled(connection: &dyn Any) {
    if let Some(stream) = tcp(connection)
        && let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, STALLED)
    {
        tracing::debug!(%error, "no limit for how long an answer may be left untaken");
    }
}

/// Milliseconds for which what was sent may stay unacknowledged.
const STALLED: u32 = 90_000;

/// Every address there is.
pub(super) fn routes(config: &mut web::ServiceConfig, shared: &Shared) {
    let max_body = shared.config.http.max_body;
    config
        .app_data(web::PayloadConfig::new(max_body.min(1 << 20)))
        .service(only(web::resource("/healthz"), "GET, HEAD").route(get().to(healthz)))
        .service(only(web::resource("/readyz"), "GET, HEAD").route(get().to(readyz)))
        .configure(pages::routes)
        .service(
            web::scope("/v1")
                .wrap(DefaultHeaders::new().add(NO_STORE).add(NO_SNIFF))
                .wrap(from_fn(only_what_is_durable))
                .wrap(from_fn(auth::require_key))
                .configure(|config| api::routes(config, max_body))
                .default_service(web::to(nothing_here)),
        )
        .default_service(web::to(nothing_here));
}

async fn nothing_here() -> Result<HttpResponse, Problem> {
    Err(Problem::nothing_here())
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "ok"}))
}

async fn readyz(shared: web::Data<Shared>) -> Result<HttpResponse, Problem> {
    let store = shared.store.clone();
    blocking(move || store.erasures()).await?;
    Ok(HttpResponse::Ok().json(serde_json::json!({"status": "ready"})))
}

/// Holds an answer back until what it was made of is durable: a crash must not take back an answer.
async fn only_what_is_durable(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let store = request.app_data::<web::Data<Shared>>().map(|shared| shared.store.clone());
    let response = next.call(request).await?;
    if let Some(store) = store {
        store.settle().await.map_err(Problem::from)?;
    }
    Ok(response)
}

/// Gives every refusal without a problem one of its own: extractors, routing, payload limits.
pub(super) async fn net(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // the request must not be held here: routing needs it to itself
    let response = match next.call(request).await {
        Ok(response) => response.map_into_boxed_body(),
        Err(error) if error.as_error::<Problem>().is_some() => return Err(error),
        Err(error) => return Err(Problem::of_status(error.as_response_error().status_code()).into()),
    };
    let status = response.status();
    let media_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let has_words =
        media_type.is_some_and(|kind| kind.starts_with(PROBLEM_JSON) || kind.starts_with("text/html"));
    if has_words || !(status.is_client_error() || status.is_server_error()) {
        return Ok(response);
    }
    let (request, _) = response.into_parts();
    let worded = actix_web::ResponseError::error_response(&Problem::of_status(status));
    Ok(ServiceResponse::new(request, worded))
}
