//! Ids of an app that cannot be right: swapped, or the same one twice. Pure.

use crate::config::Provider;
use crate::domain::ProviderKind;

/// Whether tenant and client id may be what they are entered as; else the field and what to do.
pub(super) fn check(
    provider: ProviderKind,
    tenant: Option<&str>,
    client_id: &str,
) -> Result<(), (&'static str, &'static str)> {
    let preset = Provider::of_kind(provider).and_then(|provider| provider.oauth.as_ref());
    if preset.is_none_or(|preset| preset.tenant.is_none()) || client_id.is_empty() {
        return Ok(());
    }
    if tenant.is_some_and(|tenant| tenant.eq_ignore_ascii_case(client_id)) {
        let problem = "is the same as the client id: on the Overview page of the app registration it is the \
                       Directory (tenant) ID";
        return Err(("tenant", problem));
    }
    // nothing but a tenant has a domain
    if client_id.contains(['.', '@', '/']) {
        let problem = if tenant.is_some_and(is_guid) {
            "looks like a domain, and the tenant like an id: they are swapped"
        } else {
            "looks like a domain or an address: it is the Application (client) ID on the Overview page of the app \
             registration"
        };
        return Err(("client_id", problem));
    }
    Ok(())
}

/// Whether a text has the shape of the ids that Entra ID gives.
pub(super) fn is_guid(text: &str) -> bool {
    let parts: Vec<&str> = text.trim_matches(['{', '}']).split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [8, 4, 4, 4, 12] && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6b5a1d2e-0c1f-4c52-9a77-2f0d3a5b7c11";

    #[test]
    fn ids_that_are_equal_or_swapped_are_named() {
        let check = |tenant, client_id: &str| check(ProviderKind::Office365, tenant, client_id);
        assert_eq!(check(Some("makler.example"), ID), Ok(()));
        assert_eq!(check(None, ""), Ok(()));
        assert_eq!(check(Some(ID), &ID.to_uppercase()).unwrap_err().0, "tenant");
        let (field, problem) = check(Some(ID), "makler.example").unwrap_err();
        assert!(field == "client_id" && problem.contains("swapped"), "{problem}");
        assert_eq!(check(None, "anna@makler.example").unwrap_err().0, "client_id");
        let google = "123-abc.apps.googleusercontent.com";
        assert_eq!(super::check(ProviderKind::Google, None, google), Ok(()));
    }
}
