//! AADSTS codes: their OAuth `error`, HTTP status and text, and the JSON they travel in.

use serde_json::{Value, json};

use super::super::http::Response;
use super::state::random_uuid;

/// One refusal, by its code; further detail goes into the description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: u32,
    pub detail: String,
}

pub fn refuse<T>(code: u32, detail: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { code, detail: detail.into() })
}

/// `error` and HTTP status for a code; an unknown code is an `invalid_grant`.
pub fn class_of(code: u32) -> (&'static str, u16) {
    match code {
        700_021 | 700_023 | 700_024 | 50_027 | 5_002_738 | 7_000_215 | 7_000_222 | 7_000_218 | 700_025
        | 700_027 | 700_030 | 70_002 | 50_012 | 7_000_229 => ("invalid_client", 401),
        700_016 | 70_001 | 50_194 | 700_011 | 7_000_112 | 1_000_031 | 90_094 | 90_099 => {
            ("unauthorized_client", 400)
        }
        900_144 | 50_011 | 9_002_313 | 90_014 | 90_013 | 28_000 | 28_003 | 9_001_023 | 900_971 | 90_002
        | 50_059 | 70_007 | 90_023 | 9_002_326 | 9_002_327 | 500_117 => ("invalid_request", 400),
        70_011 | 1_002_012 | 28_002 => ("invalid_scope", 400),
        70_003 => ("unsupported_grant_type", 400),
        70_005 => ("unsupported_response_type", 400),
        500_011 | 50_001 | 650_052 => ("invalid_resource", 400),
        70_016 => ("authorization_pending", 400),
        70_017 => ("authorization_declined", 400),
        70_018 => ("bad_verification_code", 400),
        70_019 | 70_020 => ("expired_token", 400),
        65_004 => ("access_denied", 400),
        50_076 | 50_079 | 50_072 | 50_074 | 53_003 | 53_000 | 50_158 => ("interaction_required", 400),
        90_033 | 90_006 | 90_012 | 90_024 | 50_033 | 70_012 | 90_090 => ("temporarily_unavailable", 503),
        90_055 => ("temporarily_unavailable", 429),
        _ => ("invalid_grant", 400),
    }
}

/// Shortened from what the real one says; clients must not act on the text.
const TEXTS: &[(u32, &str)] = &[
    (
        50_011,
        "The redirect URI specified in the request does not match the redirect URIs configured for the application.",
    ),
    (
        50_020,
        "User account from identity provider does not exist in tenant and cannot access the application.",
    ),
    (
        50_034,
        "The user account does not exist in the directory. To sign into this application, the account must be added to the directory.",
    ),
    (
        50_053,
        "The account is locked, you've tried to sign in too many times with an incorrect user ID or password.",
    ),
    (50_057, "The user account is disabled."),
    (
        50_076,
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access the resource.",
    ),
    (
        50_105,
        "Your administrator has configured the application to block users unless they are specifically granted access to the application.",
    ),
    (
        50_173,
        "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password.",
    ),
    (
        50_194,
        "Application is not configured as a multi-tenant application. Usage of the /common endpoint is not supported for such apps.",
    ),
    (50_196, "The server terminated an operation because it encountered a client request loop."),
    (
        53_003,
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
    ),
    (
        54_005,
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.",
    ),
    (
        65_001,
        "The user or administrator has not consented to use the application. Send an interactive authorization request for this user and resource.",
    ),
    (65_004, "User declined to consent to access the app."),
    (70_000, "Provided grant is invalid or malformed."),
    (70_002, "Error validating credentials."),
    (70_003, "The app requested an unsupported grant type."),
    (70_005, "The app returned an unsupported response type."),
    (
        70_008,
        "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource.",
    ),
    (
        70_011,
        "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid.",
    ),
    (70_016, "OAuth 2.0 device flow error. Authorization is pending. Continue polling."),
    (70_017, "The end user denied the authorization request."),
    (70_018, "Invalid verification code due to User typing in wrong user code for device code flow."),
    (70_019, "Verification code expired."),
    (
        28_000,
        "Provided value for the input parameter scope is not valid because it contains more than one resource.",
    ),
    (
        90_002,
        "Tenant not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.",
    ),
    (90_033, "A transient error has occurred. Please try again."),
    (90_094, "Admin consent is required for the permissions requested by this application."),
    (
        500_011,
        "The resource principal was not found in the tenant. This can happen if the application has not been installed by the administrator of the tenant.",
    ),
    (501_481, "The Code_Verifier does not match the code_challenge supplied in the authorization request."),
    (50_012, "Authentication failed: the client assertion is not valid."),
    (50_027, "The client assertion is malformed."),
    (700_021, "Client assertion application identifier doesn't match 'client_id' parameter."),
    (700_023, "Client assertion audience claim does not match Realm issuer."),
    (700_024, "Client assertion is not within its valid time range."),
    (
        700_027,
        "The certificate with identifier used to sign the client assertion is not registered on application.",
    ),
    (700_005, "Provided Authorization Code is intended to use against other tenant, thus rejected."),
    (
        700_016,
        "Application was not found in the directory. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant.",
    ),
    (700_025, "Client is public so neither 'client_assertion' nor 'client_secret' should be presented."),
    (700_082, "The refresh token has expired due to inactivity."),
    (900_144, "The request body must contain the following parameter:"),
    (
        7_000_215,
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.",
    ),
    (
        7_000_218,
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    ),
    (
        7_000_222,
        "The provided client secret keys are expired. Visit the portal to create new keys for your app.",
    ),
    (7_000_229, "The client application"),
    (500_117, "The reply uri specified in the request isn't using a secure scheme."),
    (
        9_002_326,
        "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type.",
    ),
    (
        9_002_327,
        "Tokens issued for the 'Single-Page Application' client-type may only be redeemed via cross-origin requests.",
    ),
    (
        9_001_023,
        "The grant type isn't supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint.",
    ),
];

fn text_of(code: u32) -> &'static str {
    TEXTS.iter().find(|(known, _)| *known == code).map_or("The request was refused.", |(_, text)| text)
}

/// Why interaction is needed, as Microsoft's libraries know it
/// (<https://learn.microsoft.com/entra/msal/dotnet/advanced/exceptions/msal-error-handling>).
fn suberror_of(code: u32) -> Option<&'static str> {
    match code {
        65_001 => Some("consent_required"),
        50_173 => Some("bad_token"),
        50_076 | 50_079 | 50_072 | 50_074 => Some("basic_action"),
        53_003 | 53_000 => Some("message_only"),
        _ => None,
    }
}

impl Refusal {
    pub fn description(&self) -> String {
        let gap = if self.detail.is_empty() { "" } else { " " };
        format!("AADSTS{}: {}{gap}{}", self.code, text_of(self.code), self.detail)
    }

    /// The JSON of an error answer with fresh trace and correlation ids.
    pub fn json(&self) -> Value {
        let (error, _) = class_of(self.code);
        let (trace, correlation) = (random_uuid(), random_uuid());
        let stamp = chrono::Utc::now().format("%Y-%m-%d %H:%M:%SZ").to_string();
        let description = format!(
            "{}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {stamp}",
            self.description()
        );
        let mut value = json!({
            "error": error,
            "error_description": description,
            "error_codes": [self.code],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={}", self.code),
        });
        if let Some(suberror) = suberror_of(self.code) {
            value["suberror"] = json!(suberror);
        }
        // what the next sign-in must prove (https://learn.microsoft.com/entra/identity-platform/claims-challenge)
        if matches!(self.code, 50_076 | 53_000 | 53_003) {
            let claims = json!({"access_token": {"capolids": {"essential": true, "values": [trace]}}});
            value["claims"] = json!(claims.to_string());
        }
        value
    }

    pub fn response(&self) -> Response {
        Response::json(class_of(self.code).1, &self.json())
    }
}
