//! The mail exchangers of a domain, by DNS.

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A person waits for the answer.
const DEADLINE: Duration = Duration::from_secs(3);

/// Looks up mail exchangers. Cheap to clone.
#[derive(Clone)]
pub struct MxResolver(Option<Arc<TokioResolver>>);

impl MxResolver {
    /// Uses this name server, else those of the system.
    #[must_use]
    pub fn new(nameserver: Option<SocketAddr>) -> Self {
        let builder = match nameserver {
            Some(at) => {
                let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
                connections.iter_mut().for_each(|connection| connection.port = at.port());
                let server = NameServerConfig::new(at.ip(), true, connections);
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
                Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
            }
            None => TokioResolver::builder_tokio(),
        };
        match builder.and_then(hickory_resolver::ResolverBuilder::build) {
            Ok(resolver) => Self(Some(Arc::new(resolver))),
            Err(error) => {
                tracing::warn!(%error, "no name server to ask for mail exchangers");
                Self(None)
            }
        }
    }

    /// The hosts that take a domain's mail, best first; none if there are none, or if no name server answers in time.
    pub async fn lookup(&self, domain: &str) -> Vec<String> {
        let Some(resolver) = &self.0 else { return Vec::new() };
        // the dot keeps the system's search list out of it
        let lookup = resolver.mx_lookup(format!("{}.", domain.trim_end_matches('.')));
        let found = match tokio::time::timeout(DEADLINE, lookup).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::debug!(domain, %error, "no mail exchangers found");
                return Vec::new();
            }
            Err(_) => {
                tracing::debug!(domain, "no answer about mail exchangers in time");
                return Vec::new();
            }
        };
        let mut hosts: Vec<(u16, String)> = found
            .answers()
            .iter()
            .filter_map(|record| {
                let RData::MX(mx) = &record.data else { return None };
                Some((mx.preference, mx.exchange.to_utf8()))
            })
            .collect();
        hosts.sort();
        hosts.into_iter().map(|(_, host)| host).collect()
    }
}
