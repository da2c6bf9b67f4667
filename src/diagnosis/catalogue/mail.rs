//! Causes a mail server states: IMAP log-in and selection, SMTP submission.

super::entries! {
    /// XOAUTH2 refused over IMAP with a fresh token.
    IMAP_LOGIN_REFUSED = "imap_login_refused", TenantAdmin, AfterFix,
        "{host} refuses a fresh access token for {address}.",
        "Usually IMAP is switched off for the mailbox, the app lacks its IMAP permission, or (app-only) the service \
         principal has no right on the mailbox.",
        clicks ["Exchange admin center", "Recipients > Mailboxes > {address}", "Email apps: switch IMAP on"],
        commands ["Get-CASMailbox -Identity {address} | fl ImapEnabled",
            "Set-CASMailbox -Identity {address} -ImapEnabled $true",
            "Get-MailboxPermission -Identity {address}"];
    /// Wrong user name or password.
    PASSWORD_REFUSED = "password_refused", User, AfterFix,
        "{host} refuses the user name or password of {address}.",
        "Enter them again; with two-step verification an app password may be needed.";
    /// Log-in succeeded, the mailbox does not open.
    NOT_CONNECTED = "authenticated_not_connected", TenantAdmin, Auto,
        "{host} accepted the sign-in but does not open the mailbox {address}.",
        "The signed-in user may have no right on this mailbox, or it has no licence, or IMAP is off. It is tried \
         again for a while, because Exchange says the same during a move.",
        commands ["Get-MailboxPermission -Identity {address}", "Get-CASMailbox -Identity {address} | fl ImapEnabled"];
    /// The server asked for patience.
    THROTTLED = "throttled", Nobody, Auto,
        "{host} asks for patience with {address}.",
        "Nothing needs to be done; it goes on by itself.";
    /// Too many connections.
    TOO_MANY_CONNECTIONS = "too_many_connections", Nobody, Auto,
        "{host} allows no further connection for {address}.",
        "Fewer are used; if it stays, close other mail programs of this mailbox.";
    /// The provider's daily transfer limit.
    OVER_QUOTA_TRANSFER = "transfer_limit", Nobody, Auto,
        "{address} has used up the provider's daily transfer or command limit.",
        "It goes on by itself within 24 hours.";
    /// Temporary trouble of the server.
    SERVER_BUSY = "server_unavailable", Provider, Auto,
        "{host} is temporarily unavailable.",
        "Nothing needs to be done; it is tried again.";
    /// The access token ended during the session.
    TOKEN_EXPIRED = "access_token_expired", Nobody, Auto,
        "The access token ended during the session.",
        "Nothing needs to be done; a fresh one is fetched at once.";
    /// The provider wants the user in a browser.
    WEB_LOGIN = "web_login_required", User, AfterFix,
        "{host} wants {address} to sign in with a web browser first.",
        "Sign in to the mailbox in a browser, answer what is asked, then sign in here again.";
    /// An app password is wanted.
    APP_PASSWORD = "app_password_required", User, AfterFix,
        "{host} wants an app password for {address}.",
        "Create an app password in the account's security settings, or sign in with OAuth.";
    /// A command was refused as malformed.
    COMMAND_REFUSED = "command_refused", Operator, Never,
        "{host} refuses a command as malformed.",
        "The message concerned is isolated and the others go on. Please report it with the evidence.";
    /// SMTP AUTH is off in the tenant.
    SMTP_AUTH_DISABLED_TENANT = "smtp_auth_disabled_tenant", TenantAdmin, AfterFix,
        "SMTP AUTH is switched off in the tenant, so {address} cannot send.",
        "Switch it on for this mailbox alone (which is enough), or for the tenant. It is needed even with OAuth.",
        clicks ["Microsoft 365 admin center > Users > Active users > {address}",
            "Mail > Manage email apps", "Authenticated SMTP: on, Save changes"],
        commands ["Get-TransportConfig | fl SmtpClientAuthenticationDisabled",
            "Set-CASMailbox -Identity {address} -SmtpClientAuthenticationDisabled $false",
            "Set-TransportConfig -SmtpClientAuthenticationDisabled $false"];
    /// SMTP AUTH is off for the mailbox.
    SMTP_AUTH_DISABLED_MAILBOX = "smtp_auth_disabled_mailbox", TenantAdmin, AfterFix,
        "SMTP AUTH is switched off for the mailbox {address}.",
        "Switch it on for this mailbox. It is needed even with OAuth.",
        clicks ["Microsoft 365 admin center > Users > Active users > {address}",
            "Mail > Manage email apps", "Authenticated SMTP: on, Save changes"],
        commands ["Get-CASMailbox -Identity {address} | fl SmtpClientAuthenticationDisabled",
            "Set-CASMailbox -Identity {address} -SmtpClientAuthenticationDisabled $false"];
    /// A policy blocks the sign-in for sending.
    SMTP_POLICY_BLOCKED = "smtp_policy_blocked", TenantAdmin, AfterFix,
        "A policy of the tenant (Conditional Access, security defaults or an authentication policy) keeps {address} \
         from sending.",
        "Look up the sign-in in the Entra sign-in logs: its tab Conditional Access names the policy. Exclude this \
         app from it.",
        clicks ["Entra admin center > Sign-in logs", "the failed sign-in of {address}", "tab Conditional Access"],
        commands ["Get-AuthenticationPolicy | fl Name,AllowBasicAuthSmtp",
            "Get-User -Identity {address} | fl AuthenticationPolicy"];
    /// A password was used where only OAuth is left.
    BASIC_AUTH_DISABLED = "basic_auth_disabled", Operator, AfterFix,
        "{host} no longer accepts passwords for sending.",
        "Let the mailbox sign in with OAuth instead of a password.";
    /// A fresh token is refused for sending.
    SMTP_LOGIN_REFUSED = "smtp_login_refused", TenantAdmin, AfterFix,
        "{host} refuses a fresh access token of {address} for sending.",
        "Usually the app lacks SMTP.Send (or, app-only, SMTP.SendAsApp), or SMTP AUTH is off for the mailbox.",
        commands ["Get-CASMailbox -Identity {address} | fl SmtpClientAuthenticationDisabled",
            "Set-CASMailbox -Identity {address} -SmtpClientAuthenticationDisabled $false"];
    /// The app has no right on the mailbox.
    MAILBOX_LOGON_FAILED = "mailbox_logon_failed", TenantAdmin, Auto,
        "Exchange cannot open the mailbox {address} for sending.",
        "App-only: give the app's service principal full access. Otherwise check that the mailbox has a licence.",
        commands ["Get-ServicePrincipal | fl DisplayName,AppId,Identity",
            "Add-MailboxPermission -Identity {address} -User <service principal> -AccessRights FullAccess"];
    /// AUTH is missing before MAIL, or an AUTH we speak is not offered.
    SMTP_AUTH_NOT_OFFERED = "smtp_auth_not_offered", Operator, AfterFix,
        "{host} does not offer the way of signing in that is configured for {address}.",
        "Check port and security (starttls on 587), and the kind of sign-in. Some servers offer AUTH only after TLS.";
    /// Sending as somebody else.
    SEND_AS_DENIED = "send_as_denied", TenantAdmin, Never,
        "{address} may not send in the name of the address in From.",
        "Send as the mailbox itself, or grant it the right to send as the other address, then submit it again.",
        commands ["Add-RecipientPermission <from address> -Trustee {address} -AccessRights SendAs"];
    /// The daily number of recipients is used up.
    SENDING_QUOTA = "sending_quota", Nobody, Auto,
        "{address} has used up the provider's sending limit.",
        "The outbox waits and goes on by itself when the limit's window ends.";
    /// The sender's mailbox is full.
    MAILBOX_FULL = "mailbox_full", User, AfterFix,
        "The mailbox {address} is full and cannot send.",
        "Delete or archive mail (Sent Items and Deleted Items count), or have the quota raised.";
    /// Blocked for spam.
    SENDER_BLOCKED = "sender_blocked", TenantAdmin, AfterFix,
        "The provider has blocked {address} or its tenant from sending.",
        "Find out why (a stolen account is the usual reason), then have it unblocked.",
        clicks ["Microsoft Defender portal", "Email & collaboration > Review > Restricted entities", "Unblock"];
    /// More than the server takes.
    MESSAGE_TOO_LARGE = "message_too_large", User, Never,
        "The message is larger than {host} accepts.",
        "Send it with smaller attachments.";
    /// No such recipient.
    RECIPIENT_REFUSED = "recipient_refused", User, Never,
        "{host} refuses a recipient for good.",
        "Check the address.";
    /// The recipient's mailbox is full or busy.
    RECIPIENT_DEFERRED = "recipient_deferred", Nobody, Auto,
        "{host} does not take the recipient now.",
        "Nothing needs to be done; it is tried again.";
    /// Refused as a message.
    MESSAGE_REFUSED = "message_refused", User, Never,
        "{host} refuses the message.",
        "The evidence says why; change the message and submit it again.";
    /// Our own MIME is refused.
    MESSAGE_MALFORMED = "message_malformed", Operator, Never,
        "{host} refuses the message as malformed.",
        "Please report it with the evidence.";
    /// An admin's mail rule.
    MESSAGE_POLICY = "message_policy", TenantAdmin, Never,
        "A mail rule refuses the message.",
        "Ask the administrator which rule it meets.";
    /// Addresses beyond ASCII without SMTPUTF8.
    SMTPUTF8_MISSING = "smtputf8_missing", User, Never,
        "{host} cannot send to or from an address with letters beyond ASCII.",
        "Use an ASCII address.";
    /// Nothing better is known about a temporary refusal.
    SMTP_DEFERRED = "smtp_deferred", Nobody, Auto,
        "{host} refuses for now.",
        "Nothing needs to be done; it is tried again.";
    /// Nothing better is known about a permanent refusal before MAIL.
    SMTP_REFUSED = "smtp_session_refused", Operator, AfterFix,
        "{host} refuses this client before any message was offered.",
        "The evidence says why. The outbox waits, and goes out by itself when the cause is gone.";
}
