//! Causes an identity provider states, and our own findings about grants.

super::entries! {
    /// The user has to sign in again.
    SIGN_IN_AGAIN = "sign_in_again", User, AfterFix,
        "The sign-in of {address} has ended.",
        "Sign in again with the personal link.";
    /// A refresh answer never reached us and the server revoked the grant.
    ROTATION_ANSWER_LOST = "rotation_answer_lost", User, AfterFix,
        "An answer with a new refresh token of {address} was lost on the way, and the provider has revoked the old one.",
        "Sign in again with the personal link. No setting is wrong.";
    /// Nobody signed in yet.
    NOT_SIGNED_IN = "not_signed_in", User, AfterFix,
        "Nobody has signed in for {address} yet.",
        "Sign in with the personal link.";
    /// The account does not belong to the tenant.
    USER_NOT_IN_TENANT = "user_not_in_tenant", User, AfterFix,
        "The account that signed in for {address} does not belong to the tenant {tenant}.",
        "Sign in with the account of this mailbox. If it is that one, an administrator checks the tenant id or \
         invites the account as a guest.";
    /// Smart lockout.
    LOCKED_OUT = "account_locked", TenantAdmin, Auto,
        "Entra ID has locked {address} for a while, after wrong passwords or for an address it distrusts.",
        "It is tried again after a pause. The sign-in logs name the reason.",
        clicks ["Entra admin center > Sign-in logs", "the failed sign-in of {address}", "Basic info: Failure reason"];
    /// Password ended.
    PASSWORD_EXPIRED = "password_expired", User, AfterFix,
        "The password of {address} has expired.",
        "Set a new password, then sign in again.";
    /// Account disabled.
    ACCOUNT_DISABLED = "account_disabled", TenantAdmin, AfterFix,
        "The account of {address} is disabled.",
        "Enable it, or remove this mailbox here.",
        clicks ["Entra admin center > Users > {address}", "Account status > Edit", "Account enabled"];
    /// Multi-factor.
    MFA_REQUIRED = "mfa_required", User, AfterFix,
        "{address} has to sign in again with a second factor.",
        "Sign in again with the personal link and confirm with the second factor.";
    /// Device policy.
    DEVICE_POLICY = "device_policy", TenantAdmin, AfterFix,
        "A policy of the tenant lets {address} sign in only from a known device; a server is none.",
        "Exclude this app (client id {client_id}) from the device policy.",
        clicks ["Entra admin center > Protection > Conditional Access > Policies", "the policy that asks for a device",
            "Target resources > Exclude: this app"];
    /// Not assigned to the enterprise app.
    USER_NOT_ASSIGNED = "user_not_assigned", TenantAdmin, AfterFix,
        "{address} is not assigned to the app in the tenant.",
        "Assign the user, or switch off that assignment is required.",
        clicks ["Entra admin center > Enterprise applications > (client id {client_id})", "Users and groups > Add user"];
    /// Conditional Access.
    CONDITIONAL_ACCESS = "conditional_access", TenantAdmin, AfterFix,
        "Conditional Access or a risk policy of the tenant blocks {address}.",
        "The sign-in logs name the policy: exclude this app (client id {client_id}) or this server's address from it.",
        clicks ["Entra admin center > Sign-in logs", "the failed sign-in of {address}", "tab Conditional Access"];
    /// Security defaults.
    SECURITY_DEFAULTS = "security_defaults", TenantAdmin, AfterFix,
        "The security defaults of the tenant block this way of signing in.",
        "Use the sign-in link (authorization code) instead of a password.";
    /// Tenant restrictions.
    CROSS_TENANT_POLICY = "cross_tenant_policy", TenantAdmin, AfterFix,
        "Tenant restrictions or a cross-tenant policy block {address}.",
        "Allow this app (client id {client_id}) in the policy of the tenant that is named in the evidence.";
    /// Consent is missing.
    CONSENT_MISSING = "consent_missing", User, AfterFix,
        "The app is not yet allowed to use the mailbox {address}.",
        "Sign in again and accept what is asked. If that is not offered, an administrator gives consent for all.";
    /// The user declined.
    CONSENT_DECLINED = "consent_declined", User, AfterFix,
        "The sign-in for {address} was declined.",
        "Ask the user, then send the link again.";
    /// Admin consent.
    ADMIN_CONSENT = "admin_consent_required", TenantAdmin, AfterFix,
        "An administrator has to allow the app for the tenant {tenant}.",
        "Open the admin-consent link as an administrator and accept.",
        commands ["https://login.microsoftonline.com/{tenant}/adminconsent?client_id={client_id}"];
    /// The tenant has no Exchange, or the permission is not in the app.
    RESOURCE_MISSING = "resource_not_in_tenant", TenantAdmin, AfterFix,
        "Exchange Online is not available to the app in the tenant {tenant}.",
        "Check that the tenant has Exchange Online, and that the app lists its permissions under Office 365 Exchange \
         Online.",
        clicks ["Entra admin center > App registrations > (client id {client_id})", "API permissions > Add a permission",
            "APIs my organization uses > Office 365 Exchange Online"];
    /// Federation or on-prem agent.
    FEDERATION_FAULT = "federation_fault", TenantAdmin, Auto,
        "The tenant's own identity provider (federation or agent) fails for {address}.",
        "It is tried again. If it stays, its administrator looks at it.";
    /// Redirect URI.
    REDIRECT_MISMATCH = "redirect_uri_mismatch", AppOwner, AfterFix,
        "The redirect URI of this installation is not registered with the app.",
        "Add the exact URI that `app guide` shows, as type Web.",
        clicks ["Entra admin center > App registrations > (client id {client_id})", "Authentication",
            "Web > Add URI: {detail}"];
    /// Permissions missing in the registration.
    APP_PERMISSIONS = "app_permissions_missing", AppOwner, AfterFix,
        "The app registration lacks a permission that was asked for.",
        "Add the permissions that `app guide` shows, then consent again.",
        clicks ["Entra admin center > App registrations > (client id {client_id})", "API permissions"];
    /// The app is disabled.
    APP_DISABLED = "app_disabled", TenantAdmin, AfterFix,
        "The app (client id {client_id}) is disabled in the tenant.",
        "Enable it again.",
        clicks ["Entra admin center > Enterprise applications > (client id {client_id})",
            "Properties > Enabled for users to sign-in: Yes"];
    /// Wrong secret.
    SECRET_WRONG = "client_secret_wrong", AppOwner, AfterFix,
        "The client secret of the app (client id {client_id}) is wrong.",
        "Paste the secret's Value; the Secret ID beside it looks like a GUID and is not it. A lost value cannot be \
         shown again: make a new secret.",
        clicks ["Entra admin center > App registrations > (client id {client_id})", "Certificates & secrets",
            "New client secret, copy Value at once"];
    /// Expired secret.
    SECRET_EXPIRED = "client_secret_expired", AppOwner, AfterFix,
        "The client secret of the app (client id {client_id}) has expired.",
        "Make a new secret and enter its Value here.",
        clicks ["Entra admin center > App registrations > (client id {client_id})", "Certificates & secrets",
            "New client secret, copy Value at once"];
    /// The way of proving the app does not fit its registration.
    CLIENT_TYPE = "client_type_mismatch", AppOwner, AfterFix,
        "The app proves itself in another way than it is registered for: secret, certificate or none.",
        "Register the redirect URI as type Web and enter the secret, or as a public client and enter none.";
    /// The app is not known.
    APP_NOT_FOUND = "app_not_found", AppOwner, AfterFix,
        "The app (client id {client_id}) is not known in the tenant {tenant}.",
        "Check client id and tenant id (they are often swapped); for another tenant, its administrator opens the \
         admin-consent link.",
        commands ["https://login.microsoftonline.com/{tenant}/adminconsent?client_id={client_id}"];
    /// The app is refused for a reason the tables do not know.
    APP_REFUSED = "app_refused", AppOwner, AfterFix,
        "The identity provider refuses the app (client id {client_id}).",
        "The evidence says why.";
    /// Tenant does not exist.
    TENANT_NOT_FOUND = "tenant_not_found", Operator, AfterFix,
        "The tenant {tenant} does not exist, or it lives in another national cloud.",
        "Check the tenant id, and `authority` for US Government or China.";
    /// Wrong authority alias.
    WRONG_AUTHORITY = "wrong_authority", Operator, AfterFix,
        "This app or grant cannot be used at the configured authority.",
        "Enter the tenant's own id as tenant, not common or consumers.";
    /// Our request is malformed.
    REQUEST_REFUSED = "request_refused", Operator, AfterFix,
        "The identity provider refuses the request as malformed.",
        "Check the app's scopes and authority; if they are right, please report it with the evidence.";
    /// Provider trouble.
    IDP_UNAVAILABLE = "identity_provider_unavailable", Provider, Auto,
        "The identity provider is temporarily unavailable.",
        "Nothing needs to be done; it is tried again.";
    /// Provider throttles.
    IDP_THROTTLED = "identity_provider_throttled", Nobody, Auto,
        "The identity provider asks for patience.",
        "Nothing needs to be done; it is tried again after the pause it asked for.";
    /// Another account signed in, of the same tenant.
    WRONG_ACCOUNT = "wrong_account", User, AfterFix,
        "{detail} signed in, but the mailbox is {address}.",
        "Sign in again and choose {address}; a private browser window forgets the other account. An administrator \
         may accept the other account if it has full access to the mailbox.";
    /// No app is named for a mailbox that signs in by OAuth.
    APP_MISSING = "app_missing", Operator, AfterFix,
        "No app is named for {address}, so nobody can sign in.",
        "Name an app in auth.app, or the mailbox's domain in the domains of an app.";
    /// The grant lacks what is needed.
    SCOPES_MISSING = "scopes_missing", TenantAdmin, AfterFix,
        "The sign-in of {address} lacks a permission: {detail}.",
        "Add the permission to the app registration (client id {client_id}) and give consent, then sign in again with \
         the personal link.",
        clicks ["Entra admin center > App registrations > (client id {client_id})", "API permissions"];
    /// The token cannot be had here and now.
    TOKEN_UNAVAILABLE = "token_unavailable", Operator, Auto,
        "There is no access token for {address} at the moment.",
        "It is tried again by itself. If it stays, the evidence and the log say what this machine lacks.";
}
