//! The mail exchangers and the mail services of a domain, by DNS.

use super::discovery::{Record, Service};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
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
        let mut hosts: Vec<(u16, String)> = Vec::new();
        for data in self.ask(domain, RecordType::MX).await {
            if let RData::MX(mx) = data {
                hosts.push((mx.preference, mx.exchange.to_utf8()));
            }
        }
        hosts.sort();
        hosts.into_iter().map(|(_, host)| host).collect()
    }

    /// The records of a domain's service, as they come.
    pub(super) async fn services(&self, service: Service, domain: &str) -> Vec<Record> {
        let mut records = Vec::new();
        for data in self.ask(&format!("{}.{domain}", service.name()), RecordType::SRV).await {
            if let RData::SRV(srv) = data {
                let (priority, weight, port) = (srv.priority, srv.weight, srv.port);
                records.push(Record { service, priority, weight, port, target: srv.target.to_ascii() });
            }
        }
        records
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Vec<RData> {
        let Some(resolver) = &self.0 else { return Vec::new() };
        // the dot keeps the system's search list out of it
        let lookup = resolver.lookup(format!("{}.", name.trim_end_matches('.')), kind);
        match tokio::time::timeout(DEADLINE, lookup).await {
            Ok(Ok(found)) => found.answers().iter().map(|record| record.data.clone()).collect(),
            Ok(Err(error)) => {
                tracing::debug!(name, %kind, %error, "nothing found");
                Vec::new()
            }
            Err(_) => {
                tracing::debug!(name, %kind, "no answer in time");
                Vec::new()
            }
        }
    }
}
