//! A pasted address: the answer of a provider whose redirect leads to an empty page of its own (Entra ID's native
//! redirect, `…/oauth2/nativeclient`).

use super::context::Context;
use super::result::SignInResult;
use super::returned::{Found, Returned, find, use_answer};
use crate::problem::Problem;
use crate::store::SignIn;

/// Why a pasted text is not the answer that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PasteError {
    /// It is no address, or one without a code.
    NoCode,
    /// It answers another sign-in, or an earlier visit of this one.
    OtherSignIn,
    /// No visit is waited for.
    NotStarted,
}

/// Takes a pasted address for this sign-in. The result is `None` if another visit began meanwhile.
pub(crate) async fn accept_pasted(
    context: &Context,
    sign_in: &SignIn,
    address: &str,
) -> Result<Result<(Found, Option<SignInResult>), PasteError>, Problem> {
    let Some(returned) = parse(address) else { return Ok(Err(PasteError::NoCode)) };
    if sign_in.attempt.is_none() {
        return Ok(Err(PasteError::NotStarted));
    }
    let found = find(context, returned.state.as_deref().unwrap_or_default())?;
    let Some(mut found) = found.filter(|found| found.row.value.id == sign_in.id) else {
        return Ok(Err(PasteError::OtherSignIn));
    };
    let result = use_answer(context, &mut found, &returned).await?;
    Ok(Ok((found, result)))
}

/// What an address says: the query, or the fragment, of what was pasted. `None`: neither a code nor an error.
fn parse(address: &str) -> Option<Returned> {
    let joined: String = address.split_whitespace().collect();
    let text = joined.trim_matches(['"', '\'', '<', '>']);
    let start = text.find(['?', '#'])?;
    let mut returned = Returned::default();
    let pairs = text.get(start.saturating_add(1)..)?.replace('#', "&");
    for (name, value) in url::form_urlencoded::parse(pairs.as_bytes()).into_owned() {
        match name.as_str() {
            "code" => returned.code = Some(value),
            "state" => returned.state = Some(value),
            "error" => returned.error = Some(value),
            "error_description" => returned.error_description = Some(value),
            "iss" => returned.iss = Some(value),
            _ => {}
        }
    }
    let says_something =
        returned.code.as_ref().or(returned.error.as_ref()).is_some_and(|text| !text.is_empty());
    says_something.then_some(returned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_however_it_was_copied() {
        for text in [
            "https://login.microsoftonline.com/common/oauth2/nativeclient?code=1.AX&state=s.t&session_state=0",
            "  https://login.microsoftonline.com/common/oauth2/nativeclient?code=1.\r\nAX&state=s.t \n",
            "\"https://login.microsoftonline.com/common/oauth2/nativeclient#code=1.AX&state=s.t\"",
            "/common/oauth2/nativeclient?state=s.t&code=1.AX#",
        ] {
            let read = parse(text).unwrap();
            assert_eq!((read.code.as_deref(), read.state.as_deref()), (Some("1.AX"), Some("s.t")), "{text}");
        }
        let declined = parse("https://x/nativeclient?error=access_denied&state=s").unwrap();
        assert_eq!((declined.code, declined.error.as_deref()), (None, Some("access_denied")));
    }

    #[test]
    fn what_holds_no_code_is_told_apart() {
        for text in [
            "",
            "hello",
            "https://login.microsoftonline.com/common/oauth2/nativeclient",
            "https://x/?code=&state=s",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
