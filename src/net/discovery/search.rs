//! Asks for a domain's servers: every way at once, the best answer that there is, in a few seconds.

use super::autoconfig;
use super::servers::{self, Servers};
use super::srv::{self, Offer, Service};
use crate::net::{HttpClient, HttpError, MxResolver};
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use std::time::Duration;
use url::Url;

/// A person waits for the answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// Bytes of an autoconfig file.
const LARGEST: usize = 64 << 10;

/// How often a file may be elsewhere.
const REDIRECTS: usize = 2;

/// Finds the servers of domains that nobody knows. Cheap to clone.
#[derive(Clone)]
pub struct Discovery {
    http: HttpClient,
    names: MxResolver,
    by_exchangers: bool,
}

/// A way to find them.
enum Way {
    File(Url),
    Records,
}

impl Discovery {
    /// Asks by this client, which follows no redirects, and these name servers; whether the file of whoever takes the domain's
    /// mail counts, too.
    #[must_use]
    pub fn new(http: HttpClient, names: MxResolver, by_exchangers: bool) -> Self {
        Self { http, names, by_exchangers }
    }

    /// The servers of the mailboxes of an address's domain, which takes its mail at these hosts.
    ///
    /// # Errors
    /// What was tried, and what came of it.
    pub async fn servers(&self, address: &str, exchangers: &[String]) -> Result<Servers, String> {
        let domain = address.rsplit('@').next().unwrap_or_default();
        let Some(domain) = servers::host(domain, "") else {
            return Err(String::from("the domain is no name that could be looked up"));
        };
        let ways = self.ways(&domain, address, exchangers);
        let domain = domain.as_str();
        let ask = |way: Way| async move {
            let answer = tokio::time::timeout(DEADLINE, self.ask(&way, domain)).await;
            answer.unwrap_or_else(|_| Err(format!("{}: no answer in time", way.words())))
        };
        let mut tried = Vec::new();
        let all = ways.len();
        let mut answers = std::pin::pin!(stream::iter(ways).map(ask).buffered(all));
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(found) => return Ok(found),
                Err(cause) => tried.push(cause),
            }
        }
        Err(tried.join("; "))
    }

    /// What is asked, best first.
    fn ways(&self, domain: &str, address: &str, exchangers: &[String]) -> Vec<Way> {
        let mut ways = Vec::new();
        let mut add = |host: &str| {
            let place = format!("https://autoconfig.{host}/mail/config-v1.1.xml");
            if let Ok(mut url) = Url::parse(&place) {
                url.query_pairs_mut().append_pair("emailaddress", address);
                ways.push(Way::File(url));
            }
        };
        add(domain);
        let base = exchangers.iter().find_map(|exchanger| base(exchanger)).filter(|base| base != domain);
        if let Some(base) = base.filter(|_| self.by_exchangers) {
            add(&base);
        }
        let known = format!("https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml");
        if let Ok(url) = Url::parse(&known) {
            ways.insert(1, Way::File(url));
        }
        ways.push(Way::Records);
        ways
    }

    async fn ask(&self, way: &Way, domain: &str) -> Result<Servers, String> {
        match way {
            Way::File(url) => {
                let file = self.file(url.clone()).await;
                let found =
                    file.and_then(|file| autoconfig::read(&file, domain).map_err(|unfit| unfit.to_string()));
                found.map_err(|cause| format!("{}: {cause}", way.words()))
            }
            Way::Records => self.records(domain).await.map_err(|cause| format!("{}: {cause}", way.words())),
        }
    }

    async fn file(&self, mut url: Url) -> Result<Vec<u8>, String> {
        for _ in 0..=REDIRECTS {
            let unreachable = |error: HttpError| match error {
                HttpError::Denied(_) => error.to_string(),
                HttpError::Http(_) => String::from("cannot be reached"),
            };
            let request = self.http.get(url.clone()).build().map_err(|error| unreachable(error.into()))?;
            let mut response = self.http.execute(request).await.map_err(unreachable)?;
            let status = response.status();
            if status.is_redirection() {
                let place = response.headers().get("location").and_then(|place| place.to_str().ok());
                let place = place.and_then(|place| url.join(place).ok());
                // what came by http could be anybody's
                let is_protected = |place: &Url| place.scheme() == "https" && place.username().is_empty();
                url = place.filter(is_protected).ok_or("is redirected to where it cannot be trusted")?;
                continue;
            }
            if !status.is_success() {
                return Err(format!("answers {}", status.as_u16()));
            }
            let mut file = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(|error| unreachable(error.into()))? {
                if file.len() + piece.len() > LARGEST {
                    return Err(String::from("is larger than 64 KiB"));
                }
                file.extend_from_slice(&piece);
            }
            return Ok(file);
        }
        Err(String::from("is redirected too often"))
    }

    async fn records(&self, domain: &str) -> Result<Servers, String> {
        let lookups = Service::ALL.map(|service| self.names.services(service, domain));
        let records: Vec<_> = join_all(lookups).await.into_iter().flatten().collect();
        match srv::choose(&records, domain) {
            Offer::Servers(found) => Ok(found),
            Offer::Elsewhere(told) => Err(format!(
                "they name {told}, which nobody vouches for because it is outside the domain: if it is right, say so in the \
                 mailbox"
            )),
            Offer::Nothing => Err(String::from("none for IMAP")),
        }
    }
}

impl Way {
    fn words(&self) -> String {
        match self {
            Self::File(url) => format!("https://{}{}", url.host_str().unwrap_or_default(), url.path()),
            Self::Records => String::from("SRV records"),
        }
    }
}

/// The domain that a mail exchanger belongs to: below a public suffix, where names are sold.
fn base(exchanger: &str) -> Option<String> {
    let host = servers::host(exchanger, "")?;
    psl::domain_str(&host).map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_of_a_mail_exchanger_is_never_one_in_which_names_are_sold() {
        for (exchanger, expected) in [
            ("mx1.mail.hoster.example.", Some("hoster.example")),
            ("MX.hoster.co.uk", Some("hoster.co.uk")),
            ("hoster.co.uk", Some("hoster.co.uk")),
            ("firma.asso.fr.", Some("firma.asso.fr")),
            ("co.uk", None),
            ("localhost", None),
            ("192.0.2.1", None),
        ] {
            assert_eq!(base(exchanger).as_deref(), expected, "{exchanger}");
        }
    }
}
