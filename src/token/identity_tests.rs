//! Whose an account is: names, pins, tenants, and who is a stranger.

use super::*;
use crate::domain::MailboxId;
use serde_json::json;

const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const NOW: Timestamp = Timestamp(1_795_460_342_000);

fn token(claims: &Value) -> Claims {
    parse(&format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()))).unwrap()
}

fn entra(name: &str, oid: &str, tid: &str) -> Claims {
    token(
        &json!({"iss": format!("https://login.microsoftonline.com/{tid}/v2.0"), "aud": "client", "nonce": "n",
        "exp": NOW.0 / 1000 + 3600, "oid": oid, "tid": tid, "sub": "s", "preferred_username": name}),
    )
}

fn mailbox(delegates: &[&str]) -> Mailbox {
    let auth = Auth::Oauth {
        app: None,
        login: Some("a.mueller@makler.example".into()),
        aliases: vec!["info@makler.example".into()],
        delegates: delegates.iter().map(|name| String::from(*name)).collect(),
    };
    Mailbox {
        id: MailboxId::new("anna").unwrap(),
        address: "anna@makler.example".into(),
        display_name: None,
        provider: None,
        imap: None,
        smtp: None,
        auth,
        policy: crate::domain::mailbox::Policy::default(),
        owner: None,
        reference: None,
        labels: std::collections::BTreeMap::new(),
        active: true,
    }
}

#[test]
fn address_login_alias_and_delegate_match_whatever_their_case() {
    for name in
        ["Anna@Makler.example", "a.mueller@makler.example", "info@makler.example", "boss@makler.example"]
    {
        let found = entra(name, "o", TENANT).identify(&mailbox(&["boss@makler.example"]), None, None);
        assert_eq!(found, Identity::Match, "{name}");
    }
}

#[test]
fn personal_accounts_share_a_tenant_and_a_domain_and_are_strangers() {
    let mut mailbox = mailbox(&[]);
    mailbox.address = String::from("anna@outlook.com");
    let other = entra("bob@outlook.com", "o", PERSONAL_ACCOUNTS);
    assert_eq!(other.identify(&mailbox, None, Some(PERSONAL_ACCOUNTS)), Identity::Stranger);
    assert_eq!(other.identify(&mailbox, None, None), Identity::Stranger);
    let pin = entra("anna@outlook.com", "a", PERSONAL_ACCOUNTS).signed_in_as();
    assert_eq!(other.identify(&mailbox, Some(&pin), None), Identity::Stranger);
    mailbox.address = String::from("anna@gmail.com");
    let other = token(&json!({"iss": "https://accounts.google.com", "aud": "client", "sub": "2",
        "email": "bob@gmail.com", "email_verified": true}));
    assert_eq!(other.identify(&mailbox, None, None), Identity::Stranger, "anybody has an address there");
}

#[test]
fn a_colleague_may_be_accepted_and_a_stranger_may_not() {
    let colleague = entra("bob@makler.example", "o", TENANT);
    assert_eq!(colleague.identify(&mailbox(&[]), None, Some(TENANT)), Identity::SameTenantOther);
    assert_eq!(colleague.identify(&mailbox(&[]), None, Some("makler.example")), Identity::SameTenantOther);
    let stranger = entra("bob@else.example", "o", "99999999-2222-3333-4444-555555555555");
    assert_eq!(stranger.identify(&mailbox(&[]), None, Some(TENANT)), Identity::Stranger);
    assert_eq!(stranger.identify(&mailbox(&[]), None, None), Identity::Stranger);
}

#[test]
fn the_pin_outweighs_the_name() {
    let pin =
        SignedInAs { name: "old@makler.example".into(), oid: Some("o1".into()), tid: Some(TENANT.into()) };
    let renamed = entra("anna.new@makler.example", "o1", TENANT);
    assert_eq!(renamed.identify(&mailbox(&[]), Some(&pin), None), Identity::Match);
    let successor = entra("anna@makler.example", "o2", TENANT);
    assert_eq!(successor.identify(&mailbox(&[]), Some(&pin), None), Identity::SameTenantOther);
}

#[test]
fn entra_s_email_claim_is_not_believed() {
    let forged = token(&json!({"tid": "x", "oid": "o", "email": "anna@makler.example"}));
    assert_eq!(forged.identify(&mailbox(&[]), None, Some(TENANT)), Identity::Stranger);
    let google = token(&json!({"sub": "1", "email": "anna@makler.example", "email_verified": true}));
    assert_eq!(google.identify(&mailbox(&[]), None, None), Identity::Match);
    for unverified in [
        json!({"sub": "1", "email": "anna@makler.example", "email_verified": false}),
        json!({"sub": "1", "email": "anna@makler.example", "email_verified": "false"}),
        json!({"sub": "1", "email": "anna@makler.example", "email_verified": 1}),
        json!({"sub": "1", "email": "anna@makler.example"}),
        json!({"sub": "1", "preferred_username": "anna@makler.example"}),
        json!({"sub": "1", "upn": "anna@makler.example"}),
    ] {
        assert_eq!(
            token(&unverified).identify(&mailbox(&[]), None, None),
            Identity::Stranger,
            "{unverified}"
        );
    }
}

#[test]
fn userinfo_alone_tells_a_user_by_verified_names() {
    let told = json!({"sub": "1", "email": "anna@makler.example", "email_verified": "true"});
    let claims = Claims::of_userinfo(&told).unwrap();
    assert_eq!(claims.identify(&mailbox(&[]), None, None), Identity::Match);
    for nobody in [
        json!({"email": "anna@makler.example"}),
        json!({"sub": "1"}),
        json!({"sub": "1", "email": "x@y", "email_verified": false}),
        json!({"sub": "1", "email": "x@y"}),
        json!({"sub": "1", "preferred_username": "x@y"}),
    ] {
        assert_eq!(Claims::of_userinfo(&nobody), None);
    }
}

#[test]
fn audience_end_nonce_and_issuer_are_checked() {
    let issuer = "https://login.microsoftonline.com/{tenantid}/v2.0";
    let claims = entra("anna@makler.example", "o", TENANT);
    assert_eq!(claims.check("client", issuer, Some("n"), NOW), Ok(()));
    assert_eq!(claims.check("other", issuer, Some("n"), NOW), Err(IdentityError::Audience));
    assert_eq!(claims.check("client", issuer, Some("m"), NOW), Err(IdentityError::Nonce));
    let late = NOW.plus(Duration::from_secs(3901));
    assert_eq!(claims.check("client", issuer, Some("n"), late), Err(IdentityError::Expired));
    for (audience, party, is_ours) in [
        (json!(["client"]), Value::Null, true),
        (json!(["client", "other"]), json!("client"), true),
        (json!(["client", "other"]), Value::Null, false),
        (json!(["client", "other"]), json!("other"), false),
        (json!("client"), json!("other"), false),
    ] {
        let claims = token(&json!({"iss": "i", "aud": audience, "azp": party, "exp": NOW.0 / 1000 + 9}));
        assert_eq!(claims.check("client", "i", None, NOW).is_ok(), is_ours, "{audience} {party}");
    }
    let other = claims.check("client", "https://accounts.google.com", Some("n"), NOW);
    assert!(matches!(other, Err(IdentityError::Issuer(_))));
    for garbage in ["", "a.b.c", "e30", "e30.!!.x"] {
        assert_eq!(parse(garbage), Err(IdentityError::Unreadable));
    }
}
