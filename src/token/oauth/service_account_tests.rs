//! Key files as administrators enter them, right and wrong, and what is signed with them.

use crate::token::oauth::certificate::tests::made;
use crate::token::oauth::service_account::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

const NOW: Timestamp = Timestamp(1_795_460_342_999);

fn endpoint() -> Url {
    Url::parse("https://oauth2.googleapis.com/token").unwrap()
}

/// A key file with every field that Google's have.
fn file() -> Value {
    json!({
        "type": "service_account", "project_id": "makler-mail",
        "private_key_id": "0123456789abcdef0123456789abcdef01234567",
        "private_key": made().key_pem(),
        "client_email": "stafette@makler-mail.iam.gserviceaccount.com", "client_id": "113000000000000000017",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "client_x509_cert_url": "https://www.googleapis.com/robot/v1/metadata/x509/stafette",
        "universe_domain": "googleapis.com",
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut changed = file();
    changed[name] = value;
    changed
}

fn without(name: &str) -> Value {
    let mut changed = file();
    changed.as_object_mut().unwrap().remove(name);
    changed
}

#[test]
fn a_key_file_is_read_as_an_object_and_as_a_text() {
    let read_one = read_service_account(&file(), &endpoint()).unwrap();
    assert_eq!(read_one.client_email, "stafette@makler-mail.iam.gserviceaccount.com");
    assert_eq!((read_one.client_id.as_str(), read_one.private_key_id.len()), ("113000000000000000017", 40));
    assert!(!format!("{read_one:?}").contains("PRIVATE"), "it is not shown");
    let text = Value::String(serde_json::to_string_pretty(&file()).unwrap());
    assert_eq!(read_service_account(&text, &endpoint()).unwrap(), read_one);
    assert_eq!(read_service_account(&without("token_uri"), &endpoint()).unwrap(), read_one);
    for uri in ["https://accounts.google.com/o/oauth2/token", "https://www.googleapis.com/oauth2/v4/token"] {
        assert_eq!(
            read_service_account(&with("token_uri", json!(uri)), &endpoint()).unwrap(),
            read_one,
            "{uri}"
        );
    }
    let own = Url::parse("http://127.0.0.1:8080/token").unwrap();
    assert_eq!(
        read_service_account(&with("token_uri", json!("http://127.0.0.1:8080/token")), &own).unwrap(),
        read_one
    );
}

#[test]
fn what_is_wrong_is_named() {
    let client = json!({"client_id": "1-a.apps.googleusercontent.com", "client_secret": "GOCSPX-x"});
    let other_uri = |uri: &str| {
        let expected = KeyFileError::OtherEndpoint(uri.into(), endpoint().to_string());
        (with("token_uri", json!(uri)), expected)
    };
    let elliptic = rcgen::KeyPair::generate().unwrap().serialize_pem();
    for (given, expected) in [
        (Value::Null, KeyFileError::NoJson),
        (json!("key.json"), KeyFileError::NoJson),
        (json!("[]"), KeyFileError::NoJson),
        (json!(made().key_pem()), KeyFileError::KeyAlone),
        (json!({"web": client}), KeyFileError::OauthClient),
        (json!({"installed": client}), KeyFileError::OauthClient),
        (with("type", json!("authorized_user")), KeyFileError::AuthorizedUser),
        (with("type", json!("external_account")), KeyFileError::OtherType("external_account".into())),
        (json!({}), KeyFileError::Lacks("type")),
        (without("client_email"), KeyFileError::Lacks("client_email")),
        (without("client_id"), KeyFileError::Lacks("client_id")),
        (with("private_key_id", json!(" ")), KeyFileError::Lacks("private_key_id")),
        (without("private_key"), KeyFileError::Lacks("private_key")),
        (with("client_email", json!("stafette")), KeyFileError::NoAddress("stafette".into())),
        (with("private_key", json!("-----BEGIN PRIVATE KEY-----\nAAAA")), KeyFileError::UnusableKey),
        (with("private_key", json!(made().key_pem().replace('\n', ""))), KeyFileError::UnusableKey),
        (with("private_key", json!(elliptic)), KeyFileError::UnusableKey),
        other_uri("https://tokens.example/token"),
        other_uri("http://oauth2.googleapis.com/token"),
        other_uri("https://notgoogleapis.com/token"),
    ] {
        assert_eq!(read_service_account(&given, &endpoint()).unwrap_err(), expected, "{given}");
    }
}

#[test]
fn an_assertion_says_who_acts_for_whom_and_is_signed_by_the_named_key() {
    let account = read_service_account(&file(), &endpoint()).unwrap();
    let wish = Wish {
        audience: "https://oauth2.googleapis.com/token",
        scope: "https://mail.google.com/",
        user: Some("anna@makler.example"),
    };
    let signed = sign(&account, &wish, NOW).unwrap();
    let part = |signed: &str, at: usize| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split('.').nth(at).unwrap()).unwrap()).unwrap()
    };
    assert_eq!(part(&signed, 0), json!({"typ": "JWT", "alg": "RS256", "kid": account.private_key_id}));
    let now = 1_795_460_342;
    let claims = json!({"iss": account.client_email, "sub": "anna@makler.example",
        "scope": "https://mail.google.com/", "aud": "https://oauth2.googleapis.com/token",
        "iat": now, "exp": now + 600});
    assert_eq!(part(&signed, 1), claims);
    let key = jsonwebtoken::DecodingKey::from_rsa_pem(made().public_pem().as_bytes()).unwrap();
    let (message, signature) = signed.rsplit_once('.').unwrap();
    let is_good = |message: &str| {
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::RS256).unwrap()
    };
    assert!(is_good(message) && !is_good(&message.replacen('e', "f", 1)));
    let own = sign(&account, &Wish { user: None, ..wish }, NOW).unwrap();
    assert!(part(&own, 1).get("sub").is_none(), "nobody is acted for");
}
