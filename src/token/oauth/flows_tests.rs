//! Token endpoints as transcripts: what is asked, and what each answer becomes.

use crate::domain::{App, ProviderKind};
use crate::net::{Dialer, NetConfig};
use crate::token::oauth::flows::*;
use crate::token::oauth::transport::LONGEST_ANSWER;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Answers one request with `answer` as it is; gives back the request.
async fn endpoint(answer: &str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let answer = String::from(answer);
    let task = tokio::spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        let (mut request, mut piece) = (Vec::new(), [0; 4096]);
        while !is_whole(&request) {
            let read = stream.read(&mut piece).await.unwrap();
            request.extend_from_slice(&piece[..read]);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    (base, task)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn http(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn credentials(provider: ProviderKind, authority: &str) -> AppCredentials {
    let app = App {
        provider,
        tenant: Some("tenant".into()),
        client_id: "client".into(),
        authority: Some(authority.into()),
        ..App::plain("o365")
    };
    app.with_secret(Some("s&cret"))
}

async fn client(base: &str) -> OauthClient {
    let credentials = credentials(ProviderKind::Office365, base);
    let http = Dialer::new(NetConfig::default()).unwrap().http_client(Duration::from_secs(30)).unwrap();
    let endpoints = Endpoints::of(&credentials.app, &http).await.unwrap();
    OauthClient::new(http, endpoints, credentials)
}

/// The form a request carried.
fn form(request: &str) -> std::collections::BTreeMap<String, String> {
    let body = request.split_once("\r\n\r\n").unwrap().1;
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

const TOKENS: &str = r#"{"token_type":"Bearer","access_token":"a","refresh_token":"r2","expires_in":3599,"scope":"x y","id_token":"i.d.t"}"#;

#[tokio::test]
async fn a_refresh_sends_the_old_token_and_the_secret_in_the_body() {
    let (base, served) = endpoint(&http("200 OK", TOKENS)).await;
    let answer = client(&base).await.refresh(&Secret::new("r1"), &["scope".into()], true).await.unwrap();
    assert_eq!(answer.refresh_token, Some(Secret::new("r2")));
    assert_eq!(
        (answer.expires_in.as_secs(), answer.scopes.len(), answer.id_token.as_deref()),
        (3599, 2, Some("i.d.t"))
    );
    let request = served.await.unwrap();
    assert!(request.starts_with("POST /tenant/oauth2/v2.0/token HTTP/1.1\r\n"), "{request}");
    let sent = form(&request);
    for (name, value) in [
        ("grant_type", "refresh_token"),
        ("refresh_token", "r1"),
        ("client_secret", "s&cret"),
        ("scope", "scope"),
        ("client_id", "client"),
    ] {
        assert_eq!(sent.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_grant_without_the_secret_never_sends_it() {
    let (base, served) = endpoint(&http("200 OK", TOKENS)).await;
    client(&base).await.refresh(&Secret::new("r1"), &[], false).await.unwrap();
    assert!(!served.await.unwrap().contains("client_secret"));
}

#[tokio::test]
async fn a_code_goes_with_its_verifier_and_its_redirect() {
    let (base, served) = endpoint(&http("200 OK", TOKENS)).await;
    let client = client(&base).await;
    let verifier = Secret::new("v".repeat(43));
    client.exchange_code(&Secret::new("c"), &verifier, "https://here.example/cb", true).await.unwrap();
    let sent = form(&served.await.unwrap());
    assert_eq!(sent["code"], "c");
    assert_eq!(sent["code_verifier"], "v".repeat(43));
    assert_eq!(sent["redirect_uri"], "https://here.example/cb");
}

#[tokio::test]
async fn a_public_client_with_a_secret_is_told_to_try_the_other_way() {
    let body = r#"{"error":"invalid_client","error_description":"AADSTS700025: Client is public","error_codes":[700025]}"#;
    let (base, _served) = endpoint(&http("401 Unauthorized", body)).await;
    let client = client(&base).await;
    let error = client
        .exchange_code(&Secret::new("c"), &Secret::new("v".repeat(43)), "https://x.example/", true)
        .await
        .unwrap_err();
    assert!(error.wants_secret_the_other_way(), "{error}");
}

#[tokio::test]
async fn client_credentials_carry_the_scope() {
    let (base, served) = endpoint(&http("200 OK", r#"{"access_token":"a","expires_in":"3599"}"#)).await;
    let answer =
        client(&base).await.client_credentials("https://outlook.office365.com/.default").await.unwrap();
    assert_eq!(answer.refresh_token, None);
    let sent = form(&served.await.unwrap());
    assert_eq!(
        (sent["grant_type"].as_str(), sent["client_secret"].as_str()),
        ("client_credentials", "s&cret")
    );
}

#[tokio::test]
async fn odd_content_type_and_status_do_not_lose_a_refresh_token() {
    let odd = http("201 Created", TOKENS).replace("application/json", "text/html");
    let (base, _served) = endpoint(&odd).await;
    let answer = client(&base).await.refresh(&Secret::new("r1"), &[], true).await.unwrap();
    assert_eq!(answer.refresh_token, Some(Secret::new("r2")));
}

#[tokio::test]
async fn throttling_in_plain_text_keeps_its_retry_after() {
    let answer =
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\nContent-Length: 17\r\n\r\nToo Many Requests";
    let (base, _served) = endpoint(answer).await;
    let error = client(&base).await.refresh(&Secret::new("r1"), &[], true).await.unwrap_err();
    assert_eq!(error.disposition(), crate::domain::Disposition::RetryAfter(Duration::from_secs(60)));
    assert!(!error.may_have_consumed());
}

#[tokio::test]
async fn a_refused_connection_surely_consumed_nothing() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let client = client(&format!("http://127.0.0.1:{port}")).await;
    let error = client.refresh(&Secret::new("r1"), &[], true).await.unwrap_err();
    assert!(matches!(error, FlowError::Transport { maybe_consumed: false, .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_cut_short_may_have_consumed_the_token() {
    for cut in ["", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"refresh"] {
        let (base, _served) = endpoint(cut).await;
        let error = client(&base).await.refresh(&Secret::new("r1"), &[], true).await.unwrap_err();
        assert!(error.may_have_consumed(), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("r1"), "no secret in it");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let long = http("200 OK", &"x".repeat(LONGEST_ANSWER + 1));
    let (base, _served) = endpoint(&long).await;
    let error = client(&base).await.refresh(&Secret::new("r1"), &[], true).await.unwrap_err();
    assert!(matches!(error, FlowError::Transport { maybe_consumed: true, .. }), "{error:?}");
}

#[tokio::test]
async fn device_polls_end_as_each_provider_names_it() {
    for (error, expected) in [
        ("authorization_pending", DevicePoll::Pending),
        ("slow_down", DevicePoll::SlowDown),
        ("authorization_declined", DevicePoll::Declined),
        ("access_denied", DevicePoll::Declined),
        ("expired_token", DevicePoll::Expired),
        ("bad_verification_code", DevicePoll::Expired),
    ] {
        let (base, _served) = endpoint(&http("400 Bad Request", &format!("{{\"error\":\"{error}\"}}"))).await;
        assert_eq!(
            client(&base).await.poll_device(&Secret::new("d"), false).await.unwrap(),
            expected,
            "{error}"
        );
    }
    let (base, _served) = endpoint(&http("200 OK", TOKENS)).await;
    assert!(matches!(
        client(&base).await.poll_device(&Secret::new("d"), false).await.unwrap(),
        DevicePoll::Done(_)
    ));
}

#[tokio::test]
async fn a_device_code_is_read_with_its_defaults() {
    let body =
        r#"{"device_code":"d","user_code":"U","verification_uri":"https://microsoft.com/devicelogin"}"#;
    let (base, served) = endpoint(&http("200 OK", body)).await;
    let grant = client(&base).await.request_device_code(false).await.unwrap();
    assert_eq!((grant.expires_in.as_secs(), grant.interval.as_secs()), (900, 5));
    assert!(form(&served.await.unwrap())["scope"].contains("offline_access"));
}

#[tokio::test]
async fn the_sign_in_address_carries_everything_the_pin_needs() {
    let client = client("http://127.0.0.1:9").await;
    let verifier = Secret::new("v".repeat(43));
    let url = client
        .authorize_url(&AuthorizeRequest {
            redirect_uri: "https://here.example/sign-in/callback",
            state: "st",
            verifier: &verifier,
            nonce: "no",
            login_hint: Some("anna@makler.example"),
            claims: None,
        })
        .unwrap();
    let query: std::collections::BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    for (name, value) in [
        ("client_id", "client"),
        ("response_type", "code"),
        ("state", "st"),
        ("nonce", "no"),
        ("prompt", "select_account"),
        ("login_hint", "anna@makler.example"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", "https://here.example/sign-in/callback"),
    ] {
        assert_eq!(query[name], value, "{name}");
    }
    assert!(
        query["scope"].contains("https://outlook.office.com/IMAP.AccessAsUser.All offline")
            || query["scope"].contains("SMTP.Send offline_access")
    );
    assert!(!url.as_str().contains(&"v".repeat(43)), "the verifier stays here");
}

#[tokio::test]
async fn discovery_must_speak_for_the_configured_issuer() {
    let document = |issuer: &str| {
        http(
            "200 OK",
            &format!(
                r#"{{"issuer":"{issuer}","authorization_endpoint":"https://i.example/a","token_endpoint":"https://i.example/t"}}"#
            ),
        )
    };
    let http_client =
        Dialer::new(NetConfig::default()).unwrap().http_client(Duration::from_secs(30)).unwrap();
    let (base, _served) = endpoint(&document("https://evil.example")).await;
    let app = credentials(ProviderKind::Oidc, &base).app;
    assert!(matches!(Endpoints::of(&app, &http_client).await, Err(FlowError::Endpoint(_))));
}

#[tokio::test]
async fn plain_http_authorities_are_for_this_machine_only() {
    let http = Dialer::new(NetConfig::default()).unwrap().http_client(Duration::from_secs(30)).unwrap();
    let app = credentials(ProviderKind::Office365, "http://login.example").app;
    assert!(matches!(Endpoints::of(&app, &http).await, Err(FlowError::Endpoint(_))));
}

#[tokio::test]
async fn every_provider_s_requests_go_where_its_data_says() {
    let http = Dialer::new(NetConfig::default()).unwrap().http_client(Duration::from_secs(5)).unwrap();
    for (kind, tenant, token, scope) in [
        (
            ProviderKind::Office365,
            Some("t"),
            "https://login.microsoftonline.com/t/oauth2/v2.0/token",
            "https://outlook.office.com/SMTP.Send",
        ),
        (
            ProviderKind::Office365Us,
            Some("t"),
            "https://login.microsoftonline.us/t/oauth2/v2.0/token",
            "https://outlook.office365.us/SMTP.Send",
        ),
        (
            ProviderKind::Office365Cn,
            Some("t"),
            "https://login.partner.microsoftonline.cn/t/oauth2/v2.0/token",
            "https://partner.outlook.cn/SMTP.Send",
        ),
        (
            ProviderKind::Outlook,
            None,
            "https://login.microsoftonline.com/consumers/oauth2/v2.0/token",
            "offline_access",
        ),
        (ProviderKind::Google, None, "https://oauth2.googleapis.com/token", "https://mail.google.com/"),
        (ProviderKind::Yahoo, None, "https://api.login.yahoo.com/oauth2/get_token", "mail-w"),
        (ProviderKind::Fastmail, None, "https://api.fastmail.com/oauth/refresh", "offline_access"),
    ] {
        let mut app = credentials(kind, "").app;
        (app.authority, app.tenant) = (None, tenant.map(String::from));
        let found = Endpoints::of(&app, &http).await.unwrap();
        assert_eq!(found.token.as_str(), token);
        assert!(found.scopes.iter().any(|known| known == scope), "{kind:?}: {:?}", found.scopes);
        assert!(
            found
                .authorize_extra
                .iter()
                .any(|(name, value)| name == "prompt" && value.starts_with("select_account"))
        );
        assert!(!found.issuer.is_empty());
    }
    let mut google = credentials(ProviderKind::Google, "").app;
    google.authority = Some(String::from("http://127.0.0.1:9/"));
    let found = Endpoints::of(&google, &http).await.unwrap();
    assert_eq!(found.token.as_str(), "http://127.0.0.1:9/token");
    assert_eq!(found.authorize.path(), "/o/oauth2/v2/auth");
    assert!(found.authorize_extra.contains(&(String::from("access_type"), String::from("offline"))));
}
