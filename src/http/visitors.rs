//! How many requests one address may have in flight at the users' pages, which are open to the world.

use super::Shared;
use super::problem::Problem;
use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::web::Data;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Nobody signs in to more mailboxes at once.
const AT_ONCE: usize = 32;

/// Who is being answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Visitors(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One request; it counts until it is dropped.
#[derive(Debug)]
pub(super) struct Visit {
    visitors: Visitors,
    address: IpAddr,
}

impl Visitors {
    /// Counts a request. `None`: this address has too many.
    fn enter(&self, address: IpAddr) -> Option<Visit> {
        let mut present = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = present.entry(address).or_default();
        if *requests >= AT_ONCE {
            return None;
        }
        *requests = requests.saturating_add(1);
        Some(Visit { visitors: self.clone(), address })
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut present = self.visitors.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = present.get(&self.address).copied().unwrap_or_default().saturating_sub(1);
        if left == 0 {
            present.remove(&self.address);
        } else {
            present.insert(self.address, left);
        }
    }
}

/// Answers 429 to an address that has too many requests in flight. A proxy on this machine stands for many users, and
/// knows them apart.
pub(super) async fn limited(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let address = request.peer_addr().map(|peer| peer.ip()).filter(|address| !address.is_loopback());
    let visitors = request.app_data::<Data<Shared>>().map(|shared| shared.visitors.clone());
    let _visit = match address.zip(visitors).map(|(address, visitors)| visitors.enter(address)) {
        Some(None) => {
            let detail = "too many requests of this address are being answered: try again in a moment";
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail);
            return Err(problem.retry_after(Duration::from_secs(5)).closing().into());
        }
        Some(visit) => visit,
        None => None,
    };
    next.call(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_and_others_are_not_concerned() {
        let visitors = Visitors::default();
        let [one, other] = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().unwrap());
        let mut visits: Vec<Visit> = (0..AT_ONCE).map(|_| visitors.enter(one).unwrap()).collect();
        assert!(visitors.enter(one).is_none() && visitors.enter(other).is_some());
        visits.pop();
        assert!(visitors.enter(one).is_some());
        drop(visits);
        assert!(visitors.0.lock().unwrap().is_empty(), "nobody is remembered");
    }
}
