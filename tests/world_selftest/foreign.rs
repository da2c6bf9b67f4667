//! Microsoft's and Google's own libraries against the stand-in for identity providers: what satisfies them is the shape of
//! the real thing. `tests/run.sh` installs them under `target/foreign`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::world::World;
use crate::world::entra::assertion::KeyPair;
use crate::world::entra::google::{KeyFile, ServiceAccount};
use crate::world::{Rotation, entra};

const ANNA: &str = "anna@makler.test";
const STRANGER: &str = "clara@kunde.test";

fn installed() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/foreign");
    use sha2::Digest;
    let mut hash = sha2::Sha256::new();
    for name in ["requirements.txt", "package-lock.json"] {
        hash.update(std::fs::read(script(name)).unwrap());
    }
    let wanted = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let found = std::fs::read_to_string(folder.join("installed")).unwrap_or_default();
    assert_eq!(
        found.split_whitespace().next(),
        Some(wanted.as_str()),
        "{} lacks what tests/foreign names: tests/run.sh installs it, run it once",
        folder.display()
    );
    folder
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign").join(name)
}

/// What a script says, given this.
fn said(command: &mut Command, given: &Value) -> Value {
    // an environment's own authorities and proxies would win over what the scripts say
    let authority = given["ca"].as_str().unwrap();
    for name in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"] {
        command.env(name, authority);
    }
    command.env("NO_PROXY", "localhost").env("no_proxy", "localhost");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

fn python(name: &str, given: &Value) -> Value {
    said(Command::new(installed().join("venv/bin/python")).arg(script(name)), given)
}

fn node(name: &str, given: &Value) -> Value {
    let folder = installed();
    let mut command = Command::new("node");
    command.arg(script(name)).env("STAFETTE_FOREIGN", folder);
    said(&mut command, given)
}

static PAIR: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::make("foreign", 2040));

/// A stand-in that speaks TLS, where the app has secret and certificate, and what a client of it has to know.
fn stage() -> (World, Value) {
    let world = World::builder().mailbox(ANNA).mailbox(STRANGER).without_postfix().start();
    let entra = world.entra();
    entra.set_rotation(Rotation::Strict);
    let mut app = entra.web_app();
    app.certificates = vec![PAIR.uploaded.clone()];
    app.redirects.push(entra::Redirect {
        uri: "http://localhost:1/sign-in/callback".into(),
        platform: entra::Platform::Web,
    });
    entra.put_app(app.clone());
    let base = entra.serve_tls(std::sync::Arc::clone(&world.certs.server));
    let (certificate, key) = PAIR.pem.split_at(PAIR.pem.find("-----BEGIN PRIVATE KEY").unwrap());
    let der = STANDARD
        .decode(certificate.lines().filter(|line| !line.starts_with('-')).collect::<String>())
        .unwrap();
    let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    use sha2::Digest;
    let (sha1, sha256) = (hex(&sha1::Sha1::digest(&der)), hex(&sha2::Sha256::digest(&der)));
    let given = json!({
        "base": base, "tenant": entra.tenant_id(), "ca": world.dir().join("ca.pem"), "user": ANNA, "stranger": STRANGER,
        "web": {"client_id": app.client_id, "secret": app.secret()},
        "native": {"client_id": entra.native_app().client_id},
        "certificate": {"key": key, "certificate": certificate, "sha1": sha1, "sha256": sha256},
    });
    (world, given)
}

fn assert_signed_in(found: &Value, way: &str) {
    let way_found = &found[way];
    assert_eq!(
        (&way_found["has_access_token"], &way_found["has_refresh_token"], &way_found["who"]),
        (&json!(true), &json!(true), &json!(ANNA)),
        "{way}: {way_found}"
    );
}

#[test]
fn msal_for_python_signs_in_by_code_device_secret_and_certificate_and_refreshes_with_rotation() {
    let (world, given) = stage();
    let found = python("microsoft.py", &given);
    for way in ["code", "refreshed", "refreshed_again", "device", "certificate_code"] {
        assert_signed_in(&found, way);
    }
    assert_eq!(found["rotated"], 3, "each refresh gave another token");
    assert_eq!(found["used_token"]["error"], "invalid_grant", "and the one before is good no more");
    for way in ["secret", "certificate_sha1", "certificate_sha256"] {
        assert_eq!(found[way]["has_access_token"], true, "{way}: {}", found[way]);
    }
    // https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#error-response
    let wrong = &found["wrong_secret"];
    assert_eq!((&wrong["error"], &wrong["error_codes"]), (&json!("invalid_client"), &json!([7_000_215])));
    for member in ["timestamp", "trace_id", "correlation_id", "error_uri"] {
        assert!(wrong[member].is_string(), "{member}: {wrong}");
    }
    let description = wrong["description"].as_str().unwrap();
    assert!(
        ["AADSTS7000215: ", "Trace ID: ", "Correlation ID: ", "Timestamp: "]
            .iter()
            .all(|part| description.contains(part)),
        "{description}"
    );
    assert!(world.entra().log().iter().any(|entry| entry.sent_assertion && entry.result == "ok"));
}

#[test]
fn msal_for_node_signs_in_by_code_device_secret_and_certificate_and_refreshes_with_rotation() {
    let (_world, given) = stage();
    let found = node("microsoft.mjs", &given);
    for way in ["code", "refreshed", "refreshedAgain", "device", "certificateCode"] {
        assert_eq!(found[way], json!({"hasAccessToken": true, "who": ANNA}), "{way}");
    }
    assert_eq!(found["rotated"], 3, "each refresh gave another token: {found}");
    assert_eq!(found["used"]["error"], "invalid_grant");
    for way in ["secret", "certificate"] {
        assert_eq!(found[way]["hasAccessToken"], true, "{way}: {}", found[way]);
    }
    assert_eq!(found["wrongSecret"]["error"], "invalid_client", "{found}");
    assert!(found["wrongSecret"]["text"].as_str().unwrap().contains("AADSTS7000215"), "{found}");
}

#[test]
fn google_auth_acts_for_users_by_delegation_and_refreshes_users_sign_ins() {
    let (world, mut given) = stage();
    let key = KeyFile::make();
    let account = ServiceAccount {
        client_email: "sync@makler-mail.iam.gserviceaccount.com".into(),
        client_id: "112233445566778899001".into(),
        keys: [(key.id.clone(), key.public_key.clone())].into(),
        delegated: ["makler.test".to_owned()].into(),
    };
    // declared as another process would
    let control = format!("{}/control/service-account", world.entra().authority_url());
    let declared = crate::world::http::post_json(&control, &serde_json::to_value(&account).unwrap()).unwrap();
    assert_eq!(declared.status, 200, "{}", declared.text());
    given["service_account"] = key.of(&account);
    let found = python("google_tokens.py", &given);
    assert_eq!(found["service_account"], json!({"has_token": true}));
    assert_eq!(found["undelegated"]["error"], "unauthorized_client", "{found}");
    assert_eq!(found["unknown"]["error"], "invalid_grant", "{found}");
    let gives = |refresh: bool| {
        let all = ["access_token", "expires_in", "id_token", "refresh_token", "scope", "token_type"];
        json!(all.iter().filter(|name| refresh || **name != "refresh_token").collect::<Vec<_>>())
    };
    assert_eq!((&found["offline_gives"], &found["online_gives"]), (&gives(true), &gives(false)));
    assert_eq!(found["refreshed"]["has_token"], true);
    assert_eq!(
        found["revoked"],
        json!({"error": "invalid_grant", "description": "Token has been expired or revoked."})
    );
}
