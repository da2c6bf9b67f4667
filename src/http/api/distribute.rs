//! `/v1/apps/{app}/distribute`: gives an app to many mailboxes, or with `from` moves them to it.

use super::super::Shared;
use super::super::extract::json as read;
use super::super::problem::Answer;
use crate::admin::{self, Distributed, Order, typed};
use crate::domain::AppId;
use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, Path};
use serde_json::json;

/// POST `/v1/apps/{app}/distribute`.
pub(super) async fn distribute(shared: Data<Shared>, id: Path<String>, body: Bytes) -> Answer {
    let id = AppId::new(id.into_inner())?;
    let order = typed::<Order>(&read(&body)?)?.checked()?;
    if let Some(from) = &order.from {
        let Distributed { changed, invited, links, groups } =
            admin::move_app(&shared.admin, &id, from, &order).await?;
        return Ok(HttpResponse::Ok().json(json!({"app": id, "from": from, "server": order.server,
            "applied": order.apply, "changed": changed, "invited": invited, "links": links, "groups": groups})));
    }
    let Distributed { changed, invited, links, groups } =
        admin::distribute(&shared.admin, &id, &order).await?;
    Ok(HttpResponse::Ok().json(json!({"app": id, "server": order.server, "applied": order.apply,
        "changed": changed, "invited": invited, "links": links, "groups": groups})))
}
