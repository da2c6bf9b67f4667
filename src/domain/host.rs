//! Names of hosts. Pure.

/// Whether a host is a domain's own: the domain, or below it. Both in the same letters.
#[must_use]
pub fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_only_ends_like_a_domain_is_not_below_it() {
        let (own, other) = ("imap.firma.test", "imap.notfirma.test");
        assert!(is_within(own, "firma.test") && is_within("firma.test", "firma.test"));
        assert!(!is_within(other, "firma.test") && !is_within("firma.test.example", "firma.test"));
    }
}
