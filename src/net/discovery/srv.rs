//! SRV records become servers (RFC 6186, RFC 8314 §5.1). Without DNSSEC nobody vouches for them: a host outside the domain
//! may be a forger's, with a valid certificate for its own name (RFC 6186 §6). It is told, not taken. Pure.

use super::servers::{self, Servers};
use crate::domain::host::is_within;
use crate::domain::{Endpoint, Security};
use std::cmp::Reverse;

/// A service that a record can be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) enum Service {
    /// IMAP with TLS from the start.
    Imaps,
    /// IMAP with STARTTLS.
    Imap,
    /// Submission with TLS from the start.
    Submissions,
    /// Submission with STARTTLS.
    Submission,
}

impl Service {
    /// Every service; of two with the same priority the earlier one is taken.
    pub(in crate::net) const ALL: [Self; 4] = [Self::Imaps, Self::Imap, Self::Submissions, Self::Submission];

    /// Its name in the DNS.
    pub(in crate::net) fn name(self) -> &'static str {
        match self {
            Self::Imaps => "_imaps._tcp",
            Self::Imap => "_imap._tcp",
            Self::Submissions => "_submissions._tcp",
            Self::Submission => "_submission._tcp",
        }
    }

    fn receives(self) -> bool {
        match self {
            Self::Imaps | Self::Imap => true,
            Self::Submissions | Self::Submission => false,
        }
    }

    fn security(self) -> Security {
        match self {
            Self::Imaps | Self::Submissions => Security::Tls,
            Self::Imap | Self::Submission => Security::Starttls,
        }
    }
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) struct Record {
    /// What it is of.
    pub(in crate::net) service: Service,
    /// The lowest is taken.
    pub(in crate::net) priority: u16,
    /// Of the same priority, the highest.
    pub(in crate::net) weight: u16,
    /// The port.
    pub(in crate::net) port: u16,
    /// The host; the root: not offered.
    pub(in crate::net) target: String,
}

/// What a domain's records come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// Servers of the domain's own.
    Servers(Servers),
    /// Servers outside it, in words: somebody has to say that they are meant.
    Elsewhere(String),
    /// No server to receive from.
    Nothing,
}

/// Servers by the records of a domain.
pub(super) fn choose(records: &[Record], domain: &str) -> Offer {
    let best = |receives: bool| {
        let of_kind = records.iter().filter(move |record| record.service.receives() == receives);
        let usable = of_kind.filter_map(|record| Some((record, endpoint(record)?)));
        usable
            .min_by_key(|(record, _)| (record.priority, starts_late(record.service), Reverse(record.weight)))
            .map(|(_, endpoint)| endpoint)
    };
    let Some(imap) = best(true) else { return Offer::Nothing };
    let smtp = best(false);
    if std::iter::once(&imap).chain(&smtp).all(|endpoint| is_within(&endpoint.host, domain)) {
        return Offer::Servers(Servers { imap, smtp, imap_login: None, smtp_login: None });
    }
    let smtp = smtp.map(|endpoint| format!(", smtp {}", words(&endpoint))).unwrap_or_default();
    Offer::Elsewhere(format!("imap {}{smtp}", words(&imap)))
}

fn starts_late(service: Service) -> bool {
    service.security() == Security::Starttls
}

fn endpoint(record: &Record) -> Option<Endpoint> {
    let host = servers::host(&record.target, "")?;
    (record.port != 0).then_some(Endpoint { host, port: record.port, security: record.service.security() })
}

fn words(endpoint: &Endpoint) -> String {
    let security = match endpoint.security {
        Security::Tls => "tls",
        Security::Starttls => "starttls",
        Security::None => "none",
    };
    format!("{}:{} ({security})", endpoint.host, endpoint.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(service: Service, priority: u16, weight: u16, port: u16, target: &str) -> Record {
        Record { service, priority, weight, port, target: String::from(target) }
    }

    fn found(records: &[Record]) -> (String, Option<String>) {
        match choose(records, "firma.test") {
            Offer::Servers(servers) => (words(&servers.imap), servers.smtp.as_ref().map(words)),
            other @ (Offer::Elsewhere(_) | Offer::Nothing) => panic!("{other:?}"),
        }
    }

    #[test]
    fn priority_then_tls_from_the_start_then_weight_decides() {
        let records = [
            record(Service::Imap, 0, 9, 143, "a.firma.test."),
            record(Service::Imaps, 0, 1, 993, "b.firma.test."),
            record(Service::Imaps, 0, 5, 993, "C.firma.test."),
            record(Service::Imaps, 10, 99, 993, "d.firma.test."),
            record(Service::Submissions, 20, 0, 465, "e.firma.test."),
            record(Service::Submission, 10, 0, 587, "f.firma.test."),
        ];
        let smtp = Some(String::from("f.firma.test:587 (starttls)"));
        assert_eq!(found(&records), (String::from("c.firma.test:993 (tls)"), smtp));
    }

    #[test]
    fn a_root_is_no_offer_and_nothing_without_imap() {
        let absent = record(Service::Imaps, 0, 0, 0, ".");
        let other = record(Service::Imap, 5, 0, 143, "imap.firma.test.");
        let sending = record(Service::Submission, 0, 0, 587, "smtp.firma.test.");
        let (imap, smtp) = found(&[absent.clone(), other]);
        assert_eq!((imap.as_str(), smtp), ("imap.firma.test:143 (starttls)", None));
        let odd = [
            record(Service::Imaps, 0, 0, 993, "127.0.0.1."),
            record(Service::Imaps, 0, 0, 0, "imap.firma.test."),
            record(Service::Imaps, 0, 0, 993, ""),
        ];
        for records in [&[absent, sending][..], &odd, &[]] {
            assert_eq!(choose(records, "firma.test"), Offer::Nothing);
        }
    }

    #[test]
    fn a_host_outside_the_domain_is_told_and_not_taken() {
        let own = record(Service::Imaps, 0, 0, 993, "imap.firma.test.");
        let foreign = record(Service::Submissions, 0, 0, 465, "smtp.firma.test.hoster.example.");
        let told =
            String::from("imap imap.firma.test:993 (tls), smtp smtp.firma.test.hoster.example:465 (tls)");
        assert_eq!(choose(&[own, foreign], "firma.test"), Offer::Elsewhere(told));
        let near = record(Service::Imaps, 0, 0, 993, "imap.notfirma.test.");
        let told = String::from("imap imap.notfirma.test:993 (tls)");
        assert_eq!(choose(&[near], "firma.test"), Offer::Elsewhere(told));
    }
}
