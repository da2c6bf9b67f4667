//! Causes a mail server states: IMAP log-in and selection, SMTP submission.

super::entries! {
    /// XOAUTH2 refused over IMAP with a fresh token.
    IMAP_LOGIN_REFUSED = "imap_login_refused", TenantAdmin, AfterFix, "IMAP log-in refused" => "IMAP-Anmeldung abgelehnt",
        "{host} refuses a fresh access token for {address}."
        => "{host} weist ein frisches Zugriffstoken für {address} zurück.",
        "Usually IMAP is switched off for the mailbox, the app lacks its IMAP permission, or (app-only) the \
         service principal has no right on the mailbox."
        => "Meist ist IMAP für das Postfach abgeschaltet, der App fehlt die IMAP-Berechtigung, oder (ohne \
         Benutzer) der Dienstprinzipal hat kein Recht am Postfach.",
        clicks [
            "Exchange admin center"
            => "Exchange Admin Center",
            "Recipients > Mailboxes > {address}"
            => "Empfänger > Postfächer > {address}",
            "Email apps: switch IMAP on"
            => "E-Mail-Apps: IMAP einschalten",
        ],
        commands [
            "Get-CASMailbox -Identity {address} | fl ImapEnabled",
            "Set-CASMailbox -Identity {address} -ImapEnabled $true",
            "Get-MailboxPermission -Identity {address}",
        ];
    /// Wrong user name or password.
    PASSWORD_REFUSED = "password_refused", User, AfterFix, "Password refused" => "Kennwort abgelehnt",
        "{host} refuses the user name or password of {address}."
        => "{host} weist Benutzernamen oder Kennwort von {address} zurück.",
        "Enter them again; with two-step verification an app password may be needed.[ {note}]"
        => "Beides neu eingeben; bei Anmeldung in zwei Schritten kann ein App-Kennwort nötig sein.[ {note}]";
    /// Log-in succeeded, the mailbox does not open.
    NOT_CONNECTED = "authenticated_not_connected", TenantAdmin, Auto, "Mailbox does not open" => "Postfach öffnet sich nicht",
        "{host} accepted the sign-in but does not open the mailbox[ {address}]."
        => "{host} hat die Anmeldung angenommen, öffnet aber das Postfach[ {address}] nicht.",
        "The signed-in user may have no right on this mailbox, or it has no licence, or IMAP is off. It is \
         tried again for a while, because Exchange says the same during a move."
        => "Vielleicht hat der angemeldete Benutzer kein Recht an diesem Postfach, oder es hat keine Lizenz, oder \
         IMAP ist aus. Es wird eine Weile weiter versucht, denn Exchange sagt dasselbe während eines Umzugs.",
        commands [
            "Get-MailboxPermission -Identity {address}",
            "Get-CASMailbox -Identity {address} | fl ImapEnabled",
        ];
    /// More folders than are taken.
    TOO_MANY_FOLDERS = "too_many_folders", User, AfterFix, "Too many folders" => "Zu viele Ordner",
        "{address} has more than {detail|a few thousand} folders: new ones are left out, everything else is kept in step."
        => "{address} hat mehr als {detail|einige tausend} Ordner: Neue bleiben außen vor, alles andere wird abgeglichen.",
        "Delete or merge folders in a mail program until fewer are left. Nothing that is stored is deleted because of this \
         limit. If nobody made so many, a program or the server makes them: look there."
        => "Ordner in einem Mailprogramm löschen oder zusammenlegen, bis es weniger sind. Wegen dieser Grenze wird nichts \
         Gespeichertes gelöscht. Hat niemand so viele angelegt, tut es ein Programm oder der Server: dort nachsehen.";
    /// The server asked for patience.
    THROTTLED = "throttled", Nobody, Auto, "Throttled" => "Gedrosselt",
        "{host} asks for patience with {address}."
        => "{host} bittet um Geduld mit {address}.",
        "Nothing needs to be done; it goes on by itself."
        => "Es ist nichts zu tun; es geht von selbst weiter.";
    /// Too many connections.
    TOO_MANY_CONNECTIONS = "too_many_connections", Nobody, Auto, "Too many connections" => "Zu viele Verbindungen",
        "{host} allows no further connection for {address}."
        => "{host} erlaubt keine weitere Verbindung für {address}.",
        "Fewer are used; if it stays, close other mail programs of this mailbox."
        => "Es werden weniger benutzt; bleibt es dabei, andere Mailprogramme dieses Postfachs schließen.";
    /// The provider's daily transfer limit.
    OVER_QUOTA_TRANSFER = "transfer_limit", Nobody, Auto, "Transfer limit reached" => "Übertragungsgrenze erreicht",
        "{address} has used up the provider's daily transfer or command limit."
        => "{address} hat die tägliche Grenze des Anbieters für Übertragung oder Befehle erreicht.",
        "It goes on by itself within 24 hours."
        => "Es geht innerhalb von 24 Stunden von selbst weiter.";
    /// Temporary trouble of the server.
    SERVER_BUSY = "server_unavailable", Provider, Auto, "Server unavailable" => "Server nicht verfügbar",
        "{host} is temporarily unavailable."
        => "{host} ist vorübergehend nicht verfügbar.",
        "Nothing needs to be done; it is tried again."
        => "Es ist nichts zu tun; es wird wieder versucht.";
    /// The access token ended during the session.
    TOKEN_EXPIRED = "access_token_expired", Nobody, Auto, "Access token ended" => "Zugriffstoken abgelaufen",
        "The access token ended during the session."
        => "Das Zugriffstoken ist während der Sitzung abgelaufen.",
        "Nothing needs to be done; a fresh one is fetched at once."
        => "Es ist nichts zu tun; ein frisches wird sofort geholt.";
    /// The provider wants the user in a browser.
    WEB_LOGIN = "web_login_required", User, AfterFix, "Browser sign-in required" => "Anmeldung im Browser nötig",
        "{host} wants {address} to sign in with a web browser first."
        => "{host} verlangt, dass sich {address} zuerst mit einem Browser anmeldet.",
        "Sign in to the mailbox in a browser, answer what is asked, then sign in here again."
        => "Im Browser am Postfach anmelden, die Fragen dort beantworten, dann hier neu anmelden.",
        user "The provider has a question for you first. Sign in to {address} in your browser, answer what is \
         asked, then come back here."
        => "Der Anbieter hat erst eine Frage an Sie. Melden Sie sich im Browser bei {address} an, beantworten \
         Sie sie, und kommen Sie dann hierher zurück.";
    /// An app password is wanted.
    APP_PASSWORD = "app_password_required", User, AfterFix, "App password required" => "App-Kennwort nötig",
        "{host} wants an app password for {address}."
        => "{host} verlangt ein App-Kennwort für {address}.",
        "Create an app password in the account's security settings, or sign in with OAuth.[ {note}]"
        => "In den Sicherheitseinstellungen des Kontos ein App-Kennwort anlegen, oder mit OAuth anmelden.[ {note}]";
    /// A command was refused as malformed.
    COMMAND_REFUSED = "command_refused", Operator, Never, "Command refused" => "Befehl abgelehnt",
        "{host} refuses a command as malformed."
        => "{host} weist einen Befehl als fehlerhaft zurück.",
        "The message concerned is isolated and the others go on. Please report it with the evidence."
        => "Die betroffene Nachricht wird abgesondert, die anderen gehen weiter. Bitte mit dem Wortlaut melden.";
    /// SMTP AUTH is off in the tenant.
    SMTP_AUTH_DISABLED_TENANT = "smtp_auth_disabled_tenant", TenantAdmin, AfterFix, "SMTP AUTH off for the tenant" => "SMTP AUTH für den Mandanten aus",
        "SMTP AUTH is switched off in the tenant, so {address} cannot send."
        => "SMTP AUTH ist im Mandanten abgeschaltet, deshalb kann {address} nicht senden.",
        "Switch it on for this mailbox alone (which is enough), else for the tenant; if it stays, check \
         authentication policy and security defaults, in this order. It is needed even with OAuth."
        => "Für dieses Postfach allein einschalten (das genügt), sonst für den Mandanten; bleibt es dabei, \
         Authentifizierungsrichtlinie und Sicherheitsstandards prüfen, in dieser Reihenfolge. Auch mit OAuth \
         ist es nötig.",
        clicks [
            "Mailbox: Microsoft 365 admin center > Users > Active users > {address} > Mail > Manage email apps \
             > Authenticated SMTP: on"
            => "Postfach: Microsoft 365 Admin Center > Benutzer > Aktive Benutzer > {address} > E-Mail > \
             E-Mail-Apps verwalten > Authentifiziertes SMTP: ein",
            "Tenant: Exchange admin center > Settings > Mail flow > Turn off SMTP AUTH protocol for your \
             organization: off"
            => "Mandant: Exchange Admin Center > Einstellungen > Nachrichtenfluss > SMTP-AUTH-Protokoll für Ihre \
             Organisation deaktivieren: aus",
            "Authentication policy: Microsoft 365 admin center > Settings > Org settings > Modern \
             authentication > Authenticated SMTP: on"
            => "Authentifizierungsrichtlinie: Microsoft 365 Admin Center > Einstellungen > Einstellungen der \
             Organisation > Moderne Authentifizierung > Authentifiziertes SMTP: ein",
            "Security defaults: Entra admin center > Overview > Properties > Manage security defaults"
            => "Sicherheitsstandards: Microsoft Entra Admin Center > Übersicht > Eigenschaften > \
             Sicherheitsstandards verwalten",
        ],
        commands [
            "Get-CASMailbox -Identity {address} | fl SmtpClientAuthenticationDisabled",
            "Set-CASMailbox -Identity {address} -SmtpClientAuthenticationDisabled $false",
            "Get-TransportConfig | fl SmtpClientAuthenticationDisabled",
            "Set-TransportConfig -SmtpClientAuthenticationDisabled $false",
            "Get-User -Identity {address} | fl AuthenticationPolicy",
            "Get-AuthenticationPolicy | fl Name,AllowBasicAuthSmtp",
            "Set-AuthenticationPolicy -Identity POLICY -AllowBasicAuthSmtp:$true",
            "Get-MgPolicyIdentitySecurityDefaultEnforcementPolicy | fl IsEnabled",
            "Update-MgPolicyIdentitySecurityDefaultEnforcementPolicy -IsEnabled:$false",
        ];
    /// SMTP AUTH is off for the mailbox.
    SMTP_AUTH_DISABLED_MAILBOX = "smtp_auth_disabled_mailbox", TenantAdmin, AfterFix, "SMTP AUTH off for the mailbox" => "SMTP AUTH für das Postfach aus",
        "SMTP AUTH is switched off for the mailbox[ {address}]."
        => "SMTP AUTH ist für das Postfach[ {address}] abgeschaltet.",
        "Switch it on for this mailbox; if it stays, check tenant, authentication policy and security defaults, \
         in this order. It is needed even with OAuth."
        => "Für dieses Postfach einschalten; bleibt es dabei, Mandant, Authentifizierungsrichtlinie und \
         Sicherheitsstandards prüfen, in dieser Reihenfolge. Auch mit OAuth ist es nötig.",
        clicks [
            "Mailbox: Microsoft 365 admin center > Users > Active users > {address} > Mail > Manage email apps \
             > Authenticated SMTP: on"
            => "Postfach: Microsoft 365 Admin Center > Benutzer > Aktive Benutzer > {address} > E-Mail > \
             E-Mail-Apps verwalten > Authentifiziertes SMTP: ein",
            "Tenant: Exchange admin center > Settings > Mail flow > Turn off SMTP AUTH protocol for your \
             organization: off"
            => "Mandant: Exchange Admin Center > Einstellungen > Nachrichtenfluss > SMTP-AUTH-Protokoll für Ihre \
             Organisation deaktivieren: aus",
            "Authentication policy: Microsoft 365 admin center > Settings > Org settings > Modern \
             authentication > Authenticated SMTP: on"
            => "Authentifizierungsrichtlinie: Microsoft 365 Admin Center > Einstellungen > Einstellungen der \
             Organisation > Moderne Authentifizierung > Authentifiziertes SMTP: ein",
            "Security defaults: Entra admin center > Overview > Properties > Manage security defaults"
            => "Sicherheitsstandards: Microsoft Entra Admin Center > Übersicht > Eigenschaften > \
             Sicherheitsstandards verwalten",
        ],
        commands [
            "Get-CASMailbox -Identity {address} | fl SmtpClientAuthenticationDisabled",
            "Set-CASMailbox -Identity {address} -SmtpClientAuthenticationDisabled $false",
            "Get-TransportConfig | fl SmtpClientAuthenticationDisabled",
            "Set-TransportConfig -SmtpClientAuthenticationDisabled $false",
            "Get-User -Identity {address} | fl AuthenticationPolicy",
            "Get-AuthenticationPolicy | fl Name,AllowBasicAuthSmtp",
            "Set-AuthenticationPolicy -Identity POLICY -AllowBasicAuthSmtp:$true",
            "Get-MgPolicyIdentitySecurityDefaultEnforcementPolicy | fl IsEnabled",
            "Update-MgPolicyIdentitySecurityDefaultEnforcementPolicy -IsEnabled:$false",
        ];
    /// A policy blocks the sign-in for sending.
    SMTP_POLICY_BLOCKED = "smtp_policy_blocked", TenantAdmin, AfterFix, "Sending blocked by a policy" => "Senden durch Richtlinie gesperrt",
        "A policy of the tenant (Conditional Access, security defaults or an authentication policy) keeps \
         {address} from sending."
        => "Eine Richtlinie des Mandanten (bedingter Zugriff, Sicherheitsstandards oder eine \
         Authentifizierungsrichtlinie) hindert {address} am Senden.",
        "Look up the sign-in in the Entra sign-in logs: its tab Conditional Access names the policy. Exclude \
         this app from it."
        => "Die Anmeldung in den Anmeldeprotokollen von Entra nachsehen: dort nennt der Reiter Bedingter Zugriff \
         die Richtlinie. Diese App davon ausnehmen.",
        clicks [
            "Entra admin center > Sign-in logs"
            => "Microsoft Entra Admin Center > Anmeldeprotokolle",
            "the failed sign-in of {address}"
            => "die fehlgeschlagene Anmeldung von {address}",
            "tab Conditional Access"
            => "Reiter Bedingter Zugriff",
        ],
        commands [
            "Get-AuthenticationPolicy | fl Name,AllowBasicAuthSmtp",
            "Get-User -Identity {address} | fl AuthenticationPolicy",
        ];
    /// A password was used where only OAuth is left.
    BASIC_AUTH_DISABLED = "basic_auth_disabled", Operator, AfterFix, "Passwords no longer accepted" => "Kennwörter werden nicht mehr angenommen",
        "{host} no longer accepts passwords for sending."
        => "{host} nimmt zum Senden keine Kennwörter mehr an.",
        "Let the mailbox sign in with OAuth instead of a password."
        => "Das Postfach mit OAuth statt mit Kennwort anmelden lassen.";
    /// A fresh token is refused for sending.
    SMTP_LOGIN_REFUSED = "smtp_login_refused", TenantAdmin, AfterFix, "SMTP log-in refused" => "SMTP-Anmeldung abgelehnt",
        "{host} refuses a fresh access token of {address} for sending."
        => "{host} weist ein frisches Zugriffstoken von {address} beim Senden zurück.",
        "Usually the app lacks SMTP.Send (or, app-only, SMTP.SendAsApp), or SMTP AUTH is off for the mailbox."
        => "Meist fehlt der App SMTP.Send (ohne Benutzer: SMTP.SendAsApp), oder SMTP AUTH ist für das Postfach aus.",
        commands [
            "Get-CASMailbox -Identity {address} | fl SmtpClientAuthenticationDisabled",
            "Set-CASMailbox -Identity {address} -SmtpClientAuthenticationDisabled $false",
        ];
    /// The app has no right on the mailbox.
    MAILBOX_LOGON_FAILED = "mailbox_logon_failed", TenantAdmin, Auto, "Mailbox log-on failed" => "Postfachanmeldung fehlgeschlagen",
        "Exchange cannot open the mailbox[ {address}] for sending."
        => "Exchange kann das Postfach[ {address}] zum Senden nicht öffnen.",
        "App-only: give the app's service principal full access. Otherwise check that the mailbox has a licence."
        => "Ohne Benutzer: dem Dienstprinzipal der App Vollzugriff geben. Sonst prüfen, ob das Postfach eine \
         Lizenz hat.",
        commands [
            "Get-ServicePrincipal | fl DisplayName,AppId,Identity",
            "Add-MailboxPermission -Identity {address} -User SERVICE_PRINCIPAL_ID -AccessRights FullAccess",
        ];
    /// AUTH is missing before MAIL, or an AUTH we speak is not offered.
    SMTP_AUTH_NOT_OFFERED = "smtp_auth_not_offered", Operator, AfterFix, "Sign-in not offered for sending" => "Anmeldung zum Senden nicht angeboten",
        "{host} does not offer the way of signing in that is configured for {address}."
        => "{host} bietet die Anmeldung nicht an, die für {address} eingestellt ist.",
        "Check port and security (starttls on 587), and the kind of sign-in. Some servers offer AUTH only after \
         TLS."
        => "Port und Verschlüsselung prüfen (starttls auf 587), und die Art der Anmeldung. Manche Server bieten \
         AUTH erst nach TLS an.";
    /// Sending as somebody else.
    SEND_AS_DENIED = "send_as_denied", TenantAdmin, Never, "Sending as another denied" => "Senden als anderer verweigert",
        "{address} may not send in the name of the address in From."
        => "{address} darf nicht im Namen der Adresse in From senden.",
        "Send as the mailbox itself, or grant it the right to send as the other address, then submit it again."
        => "Als das Postfach selbst senden, oder ihm das Recht geben, als die andere Adresse zu senden; dann neu \
         abschicken.",
        commands [
            "Add-RecipientPermission FROM_ADDRESS -Trustee {address} -AccessRights SendAs",
        ];
    /// The daily number of recipients is used up.
    SENDING_QUOTA = "sending_quota", Nobody, Auto, "Sending limit reached" => "Sendegrenze erreicht",
        "{address} has used up the provider's sending limit."
        => "{address} hat die Sendegrenze des Anbieters erreicht.",
        "The outbox waits and goes on by itself when the limit's window ends."
        => "Der Postausgang wartet und geht von selbst weiter, wenn der Zeitraum der Grenze endet.";
    /// The sender's mailbox is full.
    MAILBOX_FULL = "mailbox_full", User, AfterFix, "Mailbox full" => "Postfach voll",
        "The mailbox[ {address}] is full and cannot send."
        => "Das Postfach[ {address}] ist voll und kann nicht senden.",
        "Delete or archive mail (Sent Items and Deleted Items count), or have the quota raised."
        => "Mail löschen oder archivieren (Gesendete und Gelöschte Elemente zählen mit), oder die Größe anheben \
         lassen.";
    /// Blocked for spam.
    SENDER_BLOCKED = "sender_blocked", TenantAdmin, AfterFix, "Sender blocked" => "Absender gesperrt",
        "The provider has blocked {address} or its tenant from sending."
        => "Der Anbieter hat {address} oder den Mandanten für das Senden gesperrt.",
        "Find out why (a stolen account is the usual reason), then have it unblocked."
        => "Herausfinden, warum (meist ein gestohlenes Konto), dann entsperren lassen.",
        clicks [
            "Microsoft Defender portal"
            => "Microsoft Defender-Portal",
            "Email & collaboration > Review > Restricted entities"
            => "E-Mail & Zusammenarbeit > Überprüfung > Eingeschränkte Entitäten",
            "Unblock"
            => "Sperre aufheben",
        ];
    /// More than the server takes.
    MESSAGE_TOO_LARGE = "message_too_large", User, Never, "Message too large" => "Nachricht zu groß",
        "The message is larger than {host} accepts."
        => "Die Nachricht ist größer, als {host} annimmt.",
        "Send it with smaller attachments."
        => "Mit kleineren Anhängen senden.";
    /// No such recipient.
    RECIPIENT_REFUSED = "recipient_refused", User, Never, "Recipient refused" => "Empfänger abgelehnt",
        "{host} refuses a recipient for good."
        => "{host} weist einen Empfänger endgültig zurück.",
        "Check the address."
        => "Die Adresse prüfen.";
    /// The recipient's mailbox is full or busy.
    RECIPIENT_DEFERRED = "recipient_deferred", Nobody, Auto, "Recipient not now" => "Empfänger jetzt nicht",
        "{host} does not take the recipient now."
        => "{host} nimmt den Empfänger im Augenblick nicht an.",
        "Nothing needs to be done; it is tried again."
        => "Es ist nichts zu tun; es wird wieder versucht.";
    /// Refused as a message.
    MESSAGE_REFUSED = "message_refused", User, Never, "Message refused" => "Nachricht abgelehnt",
        "{host} refuses the message."
        => "{host} weist die Nachricht zurück.",
        "The evidence says why; change the message and submit it again."
        => "Der Wortlaut sagt, warum; die Nachricht ändern und neu abschicken.";
    /// Our own MIME is refused.
    MESSAGE_MALFORMED = "message_malformed", Operator, Never, "Message malformed" => "Nachricht fehlerhaft",
        "{host} refuses the message as malformed."
        => "{host} weist die Nachricht als fehlerhaft zurück.",
        "Please report it with the evidence."
        => "Bitte mit dem Wortlaut melden.";
    /// An admin's mail rule.
    MESSAGE_POLICY = "message_policy", TenantAdmin, Never, "Refused by a mail rule" => "Durch eine Mailregel abgelehnt",
        "A mail rule refuses the message."
        => "Eine Mailregel weist die Nachricht zurück.",
        "Ask the administrator which rule it meets."
        => "Den Administrator fragen, welche Regel greift.";
    /// Addresses beyond ASCII without SMTPUTF8.
    SMTPUTF8_MISSING = "smtputf8_missing", User, Never, "Address beyond ASCII" => "Adresse mit Sonderzeichen",
        "{host} cannot send to or from an address with letters beyond ASCII."
        => "{host} kann nicht an oder von einer Adresse mit Buchstaben jenseits von ASCII senden.",
        "Use an ASCII address."
        => "Eine Adresse aus ASCII-Zeichen benutzen.";
    /// Nothing better is known about a temporary refusal.
    SMTP_DEFERRED = "smtp_deferred", Nobody, Auto, "Deferred" => "Aufgeschoben",
        "{host} refuses for now."
        => "{host} lehnt für den Augenblick ab.",
        "Nothing needs to be done; it is tried again."
        => "Es ist nichts zu tun; es wird wieder versucht.";
    /// Nothing better is known about a permanent refusal before MAIL.
    SMTP_REFUSED = "smtp_session_refused", Operator, AfterFix, "Session refused" => "Sitzung abgelehnt",
        "{host} refuses this client before any message was offered."
        => "{host} weist diesen Rechner ab, bevor eine Nachricht angeboten wurde.",
        "The evidence says why. The outbox waits, and goes out by itself when the cause is gone."
        => "Der Wortlaut sagt, warum. Der Postausgang wartet und geht von selbst hinaus, wenn die Ursache behoben \
         ist.";
    /// Messages that are gone meanwhile.
    MESSAGES_GONE = "messages_gone", Nobody, Auto, "Messages gone meanwhile" => "Nachrichten inzwischen weg",
        "Some messages that {host} was asked for are gone meanwhile."
        => "Einige Nachrichten, nach denen {host} gefragt wurde, sind inzwischen weg.",
        "Nothing needs to be done; the folder is looked at again."
        => "Es ist nichts zu tun; der Ordner wird wieder angesehen.";
    /// A folder that is gone meanwhile.
    FOLDER_MISSING = "folder_missing", Nobody, Auto, "Folder not there" => "Ordner nicht da",
        "A folder of {address} that was asked for is not there."
        => "Ein Ordner von {address}, nach dem gefragt wurde, ist nicht da.",
        "Nothing needs to be done; the folders are listed again."
        => "Es ist nichts zu tun; die Ordner werden neu aufgelistet.";
    /// The user may not read a folder that the server lists.
    FOLDER_DENIED = "folder_denied", TenantAdmin, AfterFix, "No right to a folder" => "Kein Recht an einem Ordner",
        "{host} lists the folder[ {detail}] to {address} and does not let it be read."
        => "{host} listet {address|diesem Postfach} den Ordner[ {detail}] auf und lässt ihn nicht lesen.",
        "Give the user the right to read the folder, or exclude the folder here. All other folders are kept in step \
         meanwhile."
        => "Dem Benutzer das Recht geben, den Ordner zu lesen, oder den Ordner hier ausschließen. Alle anderen Ordner \
         werden unterdessen weiter abgeglichen.";
    /// A folder that stays closed.
    FOLDER_REFUSED = "folder_refused", Provider, Auto, "Folder does not open" => "Ordner öffnet sich nicht",
        "{host} lists the folder[ {detail}] of {address} and does not open it."
        => "{host} listet den Ordner[ {detail}] von {address} auf und öffnet ihn nicht.",
        "It is tried again from time to time; if it stays, ask the server's operator, with the evidence, to repair the \
         folder, or exclude it here. All other folders are kept in step meanwhile."
        => "Es wird von Zeit zu Zeit wieder versucht; bleibt es dabei, den Betreiber des Servers mit dem Beleg bitten, den \
         Ordner zu reparieren, oder ihn hier ausschließen. Alle anderen Ordner werden unterdessen weiter abgeglichen.";
    /// A folder name the server does not take.
    FOLDER_NAME_REFUSED = "folder_name_refused", User, Never, "Folder name refused" => "Ordnername abgelehnt",
        "{host} does not take this folder name: it is reserved, taken in other letter case, or holds what it \
         may not."
        => "{host} nimmt diesen Ordnernamen nicht: er ist reserviert, in anderer Schreibung vergeben, oder enthält \
         Unerlaubtes.",
        "Choose another name."
        => "Einen anderen Namen wählen.";
}
