//! An autoconfig file (`config-v1.1.xml`) becomes servers. It is a stranger's: nothing outside it is read, no entity is
//! expanded, and what is not protected by TLS does not count. Pure.

use super::servers::{self, Servers};
use crate::domain::{Endpoint, Security};
use roxmltree::{Document, Node, ParsingOptions};

/// More elements and texts than any such file has.
const MOST_NODES: u32 = 5_000;

/// Why a file gives no servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// It cannot be read, or has parts that such a file has not.
    #[error("is no autoconfig file")]
    Unreadable,
    /// POP3 alone, or nothing.
    #[error("names no IMAP server")]
    NoImap,
    /// Without TLS, or with a sign-in that we do not know.
    #[error(
        "names no {0} server with TLS or STARTTLS, a valid name and port, and a sign-in by password or OAuth2"
    )]
    Unusable(&'static str),
}

/// The servers that a file names for the mailboxes of a domain: of each kind the first that may be used, since they are in
/// order of preference.
pub(super) fn read(file: &[u8], domain: &str) -> Result<Servers, Unfit> {
    let text = std::str::from_utf8(file).map_err(|_| Unfit::Unreadable)?;
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|_| Unfit::Unreadable)?;
    let root = document.root_element();
    if !root.has_tag_name("clientConfig") {
        return Err(Unfit::Unreadable);
    }
    let provider = child(root, "emailProvider").ok_or(Unfit::Unreadable)?;
    let of_kind = |tag: &'static str, kind: &'static str| {
        let has_kind = move |node: &Node<'_, '_>| {
            node.has_tag_name(tag) && node.attribute("type").is_some_and(|is| is.eq_ignore_ascii_case(kind))
        };
        provider.children().filter(has_kind).collect::<Vec<_>>()
    };
    let incoming = of_kind("incomingServer", "imap");
    if incoming.is_empty() {
        return Err(Unfit::NoImap);
    }
    let usable = |nodes: &[Node<'_, '_>]| nodes.iter().find_map(|node| server(*node, domain));
    let (imap, imap_login) = usable(&incoming).ok_or(Unfit::Unusable("IMAP"))?;
    let outgoing = of_kind("outgoingServer", "smtp");
    let sending = usable(&outgoing);
    if sending.is_none() && !outgoing.is_empty() {
        return Err(Unfit::Unusable("SMTP"));
    }
    let (smtp, smtp_login) = sending.unzip();
    Ok(Servers { imap, smtp, imap_login, smtp_login: smtp_login.flatten() })
}

/// A server and its user name, if it may be used.
fn server(node: Node<'_, '_>, domain: &str) -> Option<(Endpoint, Option<String>)> {
    let security = match said(node, "socketType")?.to_ascii_uppercase().as_str() {
        "SSL" | "TLS" => Security::Tls,
        "STARTTLS" => Security::Starttls,
        _ => return None,
    };
    let host = servers::host(said(node, "hostname")?, domain)?;
    let port: u16 = said(node, "port")?.parse().ok().filter(|port| *port != 0)?;
    let ways = node.children().filter(|way| way.has_tag_name("authentication"));
    let is_known = |way: Node<'_, '_>| {
        let way = way.text().unwrap_or_default().trim();
        ["password-cleartext", "plain", "OAuth2"].iter().any(|known| way.eq_ignore_ascii_case(known))
    };
    if !ways.into_iter().any(is_known) {
        return None;
    }
    let login = said(node, "username");
    if login.is_some_and(|login| !servers::is_login(login)) {
        return None;
    }
    Some((Endpoint { host, port, security }, login.map(String::from)))
}

fn child<'a, 'i>(node: Node<'a, 'i>, tag: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.has_tag_name(tag))
}

fn said<'a>(node: Node<'a, '_>, tag: &str) -> Option<&'a str> {
    child(node, tag)?.text().map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kind: &str, host: &str, port: &str, socket: &str, way: &str, login: &str) -> String {
        let tag = if kind == "smtp" { "outgoingServer" } else { "incomingServer" };
        format!(
            "<{tag} type=\"{kind}\"><hostname>{host}</hostname><port>{port}</port><socketType>{socket}</socketType>\
             <username>{login}</username><authentication>{way}</authentication></{tag}>"
        )
    }

    fn imap(host: &str, port: &str, socket: &str, way: &str) -> String {
        one("imap", host, port, socket, way, "%EMAILADDRESS%")
    }

    fn smtp(host: &str, port: &str, socket: &str) -> String {
        one("smtp", host, port, socket, "password-cleartext", "%EMAILLOCALPART%")
    }

    fn file(servers: &[String]) -> String {
        let servers = servers.concat();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<clientConfig version=\"1.1\"><!-- x --><emailProvider id=\"x\">\
             <domain>firma.test</domain>{servers}</emailProvider></clientConfig>"
        )
    }

    fn read_text(text: &str) -> Result<Servers, Unfit> {
        read(text.as_bytes(), "firma.test")
    }

    const PASSWORD: &str = "password-cleartext";

    #[test]
    fn the_first_server_of_each_kind_that_may_be_used_counts() {
        let text = file(&[
            one("pop3", "pop.firma.test", "995", "SSL", PASSWORD, "x"),
            imap("plain.firma.test", "143", "plain", PASSWORD),
            imap("kerberos.firma.test", "993", "SSL", "GSSAPI"),
            imap("imap.%EMAILDOMAIN%", "993", "SSL", "OAuth2"),
            imap("second.firma.test", "143", "STARTTLS", PASSWORD),
            smtp("smtp.firma.test", " 587 ", "STARTTLS"),
        ]);
        let found = read_text(&text).unwrap();
        let imap = Endpoint { host: String::from("imap.firma.test"), port: 993, security: Security::Tls };
        let smtp =
            Endpoint { host: String::from("smtp.firma.test"), port: 587, security: Security::Starttls };
        assert_eq!((&found.imap, &found.smtp), (&imap, &Some(smtp)));
        let logins = (String::from("anna@firma.test"), String::from("anna"));
        assert_eq!(found.logins("anna@firma.test"), logins);
        let with_mark = format!("\u{feff}{text}");
        assert_eq!(read_text(&with_mark), Ok(found));
    }

    #[test]
    fn a_file_for_receiving_alone_is_one_and_one_that_sends_unprotected_is_not() {
        let receiving = imap("imap.firma.test", "993", "SSL", PASSWORD);
        assert_eq!(read_text(&file(std::slice::from_ref(&receiving))).unwrap().smtp, None);
        let sending = smtp("smtp.firma.test", "25", "plain");
        assert_eq!(read_text(&file(&[receiving, sending])), Err(Unfit::Unusable("SMTP")));
    }

    #[test]
    fn what_may_not_be_used_gives_nothing() {
        let pop = one("pop3", "pop.firma.test", "995", "SSL", PASSWORD, "x");
        assert_eq!(read_text(&file(&[pop, smtp("smtp.firma.test", "465", "SSL")])), Err(Unfit::NoImap));
        let unusable = Err(Unfit::Unusable("IMAP"));
        for port in ["0", "65536", "-1", "99999999999999999999", "9 93", "imaps", ""] {
            assert_eq!(
                read_text(&file(&[imap("imap.firma.test", port, "SSL", PASSWORD)])),
                unusable,
                "{port}"
            );
        }
        for host in ["127.0.0.1", "localhost", "[::1]", "a b.test", "", "imap.firma.test/x", "%HOST%.test"] {
            assert_eq!(read_text(&file(&[imap(host, "993", "SSL", PASSWORD)])), unusable, "{host}");
        }
        for (socket, way) in
            [("plain", PASSWORD), ("", PASSWORD), ("SSL", "none"), ("SSL", "password-encrypted")]
        {
            assert_eq!(
                read_text(&file(&[imap("imap.firma.test", "993", socket, way)])),
                unusable,
                "{socket} {way}"
            );
        }
        let login = one("imap", "imap.firma.test", "993", "SSL", PASSWORD, "%REALNAME%");
        assert_eq!(read_text(&file(&[login])), unusable);
    }

    #[test]
    fn hostile_files_are_refused_and_cost_little() {
        let bomb = "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">\
                    <!ENTITY c \"&b;&b;&b;&b;&b;&b;\">]><clientConfig><emailProvider>&c;</emailProvider></clientConfig>";
        let outside =
            "<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/hostname\">]><clientConfig>&f;</clientConfig>";
        let many =
            format!("<clientConfig><emailProvider>{}</emailProvider></clientConfig>", "<a/>".repeat(16_000));
        let deep = format!("<clientConfig><emailProvider>{}", "<a>".repeat(20_000));
        let closed = format!("{deep}{}</emailProvider></clientConfig>", "</a>".repeat(20_000));
        for text in
            [bomb, outside, &many, &deep, &closed, "", "<html/>", "{}", "<clientConfig/>", "<clientConfig>"]
        {
            assert_eq!(read_text(text), Err(Unfit::Unreadable), "{:?}", text.get(..60));
        }
        assert_eq!(read(b"<clientConfig>\xff</clientConfig>", "firma.test"), Err(Unfit::Unreadable));
    }
}
