//! Causes an identity provider states about an app, its tenant, or itself.

super::entries! {
    /// Admin consent.
    ADMIN_CONSENT = "admin_consent_required", TenantAdmin, AfterFix, "Admin consent required" => "Einwilligung des Administrators nötig",
        "An administrator has to allow the app for the tenant[ {tenant}]."
        => "Ein Administrator muss die App für den Mandanten[ {tenant}] erlauben.",
        "Open the admin-consent link as an administrator and accept."
        => "Den Link zur Administratoreinwilligung als Administrator öffnen und annehmen.",
        commands [
            "{login|https://login.microsoftonline.com}/{tenant|organizations}/adminconsent?client_id={client_id}",
        ];
    /// The tenant has no Exchange, or the permission is not in the app.
    RESOURCE_MISSING = "resource_not_in_tenant", TenantAdmin, AfterFix, "Exchange not available to the app" => "Exchange für die App nicht vorhanden",
        "Exchange Online is not available to the app in the tenant[ {tenant}]."
        => "Exchange Online steht der App im Mandanten[ {tenant}] nicht zur Verfügung.",
        "Check that the tenant has Exchange Online, and that the app lists its permissions under Office 365 \
         Exchange Online."
        => "Prüfen, ob der Mandant Exchange Online hat, und ob die App ihre Berechtigungen unter Office 365 \
         Exchange Online führt.",
        clicks [
            "Entra admin center > App registrations > the app[ (client id {client_id})]"
            => "Microsoft Entra Admin Center > App-Registrierungen > die App[ (Client-ID {client_id})]",
            "API permissions > Add a permission"
            => "API-Berechtigungen > Berechtigung hinzufügen",
            "APIs my organization uses > Office 365 Exchange Online"
            => "Von meiner Organisation verwendete APIs > Office 365 Exchange Online",
        ];
    /// Redirect URI.
    REDIRECT_MISMATCH = "redirect_uri_mismatch", AppOwner, AfterFix, "Redirect URI not registered" => "Umleitungs-URI nicht eingetragen",
        "The redirect URI of this installation is not registered with the app, or as another type than Web."
        => "Die Umleitungs-URI dieser Installation ist bei der App nicht eingetragen, oder mit einem anderen Typ als Web.",
        "Add the exact URI that `app guide` shows, with https and as type Web. If it stands under Single-page application, \
         move it from there to Web."
        => "Genau die URI eintragen, die `app guide` zeigt, mit https und dem Typ Web. Steht sie unter Single-Page-Webanwendung, \
         sie von dort zu Web verschieben.",
        clicks [
            "Entra admin center > App registrations > the app[ (client id {client_id})]"
            => "Microsoft Entra Admin Center > App-Registrierungen > die App[ (Client-ID {client_id})]",
            "Authentication"
            => "Authentifizierung",
            "Web > Add URI[: {detail}]"
            => "Web > URI hinzufügen[: {detail}]",
            "of Google: Google Cloud console > Google Auth Platform > Clients > Authorized redirect URIs"
            => "bei Google: Google-Cloud-Konsole > Google Auth Platform > Clients > Autorisierte Weiterleitungs-URIs",
        ];
    /// Permissions missing in the registration.
    APP_PERMISSIONS = "app_permissions_missing", AppOwner, AfterFix, "App permissions missing" => "Berechtigungen der App fehlen",
        "The app registration lacks a permission that was asked for."
        => "Der App-Registrierung fehlt eine Berechtigung, um die gebeten wurde.",
        "Add the permissions that `app guide` shows, then consent again."
        => "Die Berechtigungen hinzufügen, die `app guide` zeigt, dann neu einwilligen.",
        clicks [
            "Entra admin center > App registrations > the app[ (client id {client_id})]"
            => "Microsoft Entra Admin Center > App-Registrierungen > die App[ (Client-ID {client_id})]",
            "API permissions"
            => "API-Berechtigungen",
        ];
    /// The app is disabled.
    APP_DISABLED = "app_disabled", TenantAdmin, AfterFix, "App disabled" => "App deaktiviert",
        "The app[ (client id {client_id})] is disabled in the tenant."
        => "Die App[ (Client-ID {client_id})] ist im Mandanten deaktiviert.",
        "Enable it again."
        => "Sie wieder aktivieren.",
        clicks [
            "Entra admin center > Enterprise applications > the app[ (client id {client_id})]"
            => "Microsoft Entra Admin Center > Unternehmensanwendungen > die App[ (Client-ID {client_id})]",
            "Properties > Enabled for users to sign-in: Yes"
            => "Eigenschaften > Aktiviert für die Benutzeranmeldung: Ja",
        ];
    /// Wrong secret.
    SECRET_WRONG = "client_secret_wrong", AppOwner, AfterFix, "Client secret wrong" => "Geheimer Clientschlüssel falsch",
        "The client secret of the app[ (client id {client_id})] is wrong."
        => "Der geheime Clientschlüssel der App[ (Client-ID {client_id})] ist falsch.",
        "Paste the secret's Value; the Secret ID beside it looks like a GUID and is not it. A lost value cannot \
         be shown again: make a new secret."
        => "Den Wert (Value) des Geheimnisses einfügen; die Geheimnis-ID daneben sieht aus wie eine GUID und ist \
         es nicht. Ein verlorener Wert wird nicht noch einmal gezeigt: ein neues Geheimnis anlegen.",
        clicks [
            "Entra admin center > App registrations > the app[ (client id {client_id})]"
            => "Microsoft Entra Admin Center > App-Registrierungen > die App[ (Client-ID {client_id})]",
            "Certificates & secrets"
            => "Zertifikate & Geheimnisse",
            "New client secret, copy Value at once"
            => "Neuer geheimer Clientschlüssel, Wert sofort kopieren",
        ];
    /// Expired secret.
    SECRET_EXPIRED = "client_secret_expired", AppOwner, AfterFix, "Client secret expired" => "Geheimer Clientschlüssel abgelaufen",
        "The client secret of the app[ (client id {client_id})] has expired."
        => "Der geheime Clientschlüssel der App[ (Client-ID {client_id})] ist abgelaufen.",
        "Make a new secret and enter its Value here."
        => "Ein neues Geheimnis anlegen und seinen Wert hier eintragen.",
        clicks [
            "Entra admin center > App registrations > the app[ (client id {client_id})]"
            => "Microsoft Entra Admin Center > App-Registrierungen > die App[ (Client-ID {client_id})]",
            "Certificates & secrets"
            => "Zertifikate & Geheimnisse",
            "New client secret, copy Value at once"
            => "Neuer geheimer Clientschlüssel, Wert sofort kopieren",
        ];
    /// The way of proving the app does not fit its registration.
    CLIENT_TYPE = "client_type_mismatch", AppOwner, AfterFix, "Client type does not fit" => "Clienttyp passt nicht",
        "The app proves itself in another way than it is registered for: secret, certificate or none."
        => "Die App weist sich anders aus, als sie eingetragen ist: mit Geheimnis, Zertifikat oder nichts.",
        "Register the redirect URI as type Web and enter the secret, or as a public client and enter none."
        => "Die Umleitungs-URI als Typ Web eintragen und das Geheimnis eingeben, oder als öffentlicher Client und \
         keines eingeben.";
    /// The app is not known.
    APP_NOT_FOUND = "app_not_found", AppOwner, AfterFix, "App not found" => "App nicht gefunden",
        "The app[ (client id {client_id})] is not known in the tenant[ {tenant}]."
        => "Die App[ (Client-ID {client_id})] ist im Mandanten[ {tenant}] nicht bekannt.",
        "Check client id and tenant id (they are often swapped); for another tenant, its administrator opens \
         the admin-consent link."
        => "Client-ID und Mandanten-ID prüfen (oft sind sie vertauscht); für einen anderen Mandanten öffnet dessen \
         Administrator den Link zur Einwilligung.",
        commands [
            "{login|https://login.microsoftonline.com}/{tenant|organizations}/adminconsent?client_id={client_id}",
        ];
    /// The app is refused for a reason the tables do not know.
    APP_REFUSED = "app_refused", AppOwner, AfterFix, "App refused" => "App abgelehnt",
        "The identity provider refuses the app[ (client id {client_id})]."
        => "Der Identitätsanbieter weist die App[ (Client-ID {client_id})] zurück.",
        "The evidence says why."
        => "Der Wortlaut sagt, warum.";
    /// Tenant does not exist.
    TENANT_NOT_FOUND = "tenant_not_found", Operator, AfterFix, "Tenant not found" => "Mandant nicht gefunden",
        "The tenant[ {tenant}] does not exist, or it lives in another national cloud."
        => "Den Mandanten[ {tenant}] gibt es nicht, oder er lebt in einer anderen nationalen Cloud.",
        "Check the tenant id, and `authority` for US Government or China."
        => "Die Mandanten-ID prüfen, und `authority` für US Government oder China.";
    /// Wrong authority alias.
    WRONG_AUTHORITY = "wrong_authority", Operator, AfterFix, "Wrong authority" => "Falsche Autorität",
        "This app or grant cannot be used at the configured authority."
        => "Diese App oder Anmeldung kann bei der eingestellten Autorität nicht benutzt werden.",
        "Enter the tenant's own id as tenant, not common or organizations. An app for personal accounts only takes \
         consumers as tenant."
        => "Als Mandant dessen eigene ID eintragen, nicht common oder organizations. Eine App nur für persönliche Konten \
         bekommt consumers als Mandant.";
    /// Nobody here knows the reason.
    IDP_REFUSED = "identity_provider_refused", TenantAdmin, AfterFix, "Refused, reason not known here" => "Abgelehnt, Grund hier nicht bekannt",
        "The identity provider refuses {address} for a reason that is not known here. It is no outage, and nothing says \
         that the password, the secret or the permission is at fault."
        => "Der Identitätsanbieter weist {address} aus einem Grund zurück, der hier nicht bekannt ist. Es ist kein Ausfall, \
         und nichts sagt, dass Kennwort, Geheimnis oder Berechtigung schuld sind.",
        "Read the provider's own words below: an administrator of the tenant finds the same number and time in the sign-in \
         logs, and the provider's support by its trace id. The sign-in is kept and tried now and then; whether signing in \
         again helps is not known. Please report the number."
        => "Den Wortlaut des Anbieters unten lesen: ein Administrator des Mandanten findet Nummer und Zeit in den \
         Anmeldeprotokollen, der Support des Anbieters anhand der Trace-ID. Die Anmeldung wird behalten und ab und zu \
         versucht; ob neu anmelden hilft, ist nicht bekannt. Bitte die Nummer melden.";
    /// What came back from a sign-in lacks something, or is not for us.
    ANSWER_UNUSABLE = "sign_in_answer_unusable", User, AfterFix, "Answer cannot be used" => "Antwort nicht brauchbar",
        "The provider's answer to the sign-in of {address} cannot be used: what was asked for is missing in it."
        => "Die Antwort des Anbieters auf die Anmeldung von {address} ist nicht brauchbar: Es fehlt, worum gebeten wurde.",
        "Sign in again. If it stays, the evidence says what is missing: check the app's scopes and authority."
        => "Noch einmal anmelden. Bleibt es dabei, sagt der Wortlaut, was fehlt: Scopes und Autorität der App prüfen.",
        user "The provider's answer cannot be used: what was asked for is missing in it. Try again; if it stays, tell \
         whoever sent you the link."
        => "Die Antwort des Anbieters ist nicht brauchbar: Es fehlt, worum gebeten wurde. Versuchen Sie es noch einmal; \
         bleibt es dabei, sagen Sie es dem, der Ihnen den Link geschickt hat.";
    /// Our request is malformed.
    REQUEST_REFUSED = "request_refused", Operator, AfterFix, "Request refused" => "Anfrage abgelehnt",
        "The identity provider refuses the request as malformed."
        => "Der Identitätsanbieter weist die Anfrage als fehlerhaft zurück.",
        "Check the app's scopes and authority; if they are right, please report it with the evidence."
        => "Scopes und Autorität der App prüfen; stimmen sie, bitte mit dem Wortlaut melden.";
    /// Provider trouble.
    IDP_UNAVAILABLE = "identity_provider_unavailable", Provider, Auto, "Identity provider unavailable" => "Identitätsanbieter nicht verfügbar",
        "The identity provider is temporarily unavailable."
        => "Der Identitätsanbieter ist vorübergehend nicht verfügbar.",
        "Nothing needs to be done; it is tried again."
        => "Es ist nichts zu tun; es wird wieder versucht.";
    /// Provider throttles.
    IDP_THROTTLED = "identity_provider_throttled", Nobody, Auto, "Identity provider throttles" => "Identitätsanbieter drosselt",
        "The identity provider asks for patience."
        => "Der Identitätsanbieter bittet um Geduld.",
        "Nothing needs to be done; it is tried again after the pause it asked for."
        => "Es ist nichts zu tun; es wird nach der erbetenen Pause wieder versucht.";
    /// No app is named for a mailbox that signs in by OAuth.
    APP_MISSING = "app_missing", Operator, AfterFix, "No app named" => "Keine App genannt",
        "No app is named for {address}, so nobody can sign in."
        => "Für {address} ist keine App genannt, deshalb kann sich niemand anmelden.",
        "Name an app in auth.app, or the mailbox's domain in the domains of an app."
        => "Eine App in auth.app nennen, oder die Domäne des Postfachs in den Domänen einer App.";
    /// Entra met the same request too often.
    IDP_LOOP = "identity_provider_loop", Operator, Auto, "Too many requests alike" => "Zu viele gleiche Anfragen",
        "Entra ID has met too many requests alike for {address} and refuses for a while."
        => "Entra ID hat zu viele gleiche Anfragen für {address} gesehen und lehnt für eine Weile ab.",
        "It is tried again after a pause. If it stays, another program uses the same sign-in, or please report \
         it."
        => "Es wird nach einer Pause wieder versucht. Bleibt es dabei, benutzt ein anderes Programm dieselbe \
         Anmeldung, oder bitte melden.";
    /// The app's certificate.
    APP_CERTIFICATE = "app_certificate_wrong", AppOwner, AfterFix, "App certificate refused" => "Zertifikat der App abgelehnt",
        "The certificate of the app[ (client id {client_id})] or a signature made with it is refused."
        => "Das Zertifikat der App[ (Client-ID {client_id})] oder eine Signatur damit wird abgelehnt.",
        "Upload the certificate that is used here, and check that it has not expired."
        => "Das hier benutzte Zertifikat hochladen, und prüfen, ob es abgelaufen ist.",
        clicks [
            "Entra admin center > App registrations > the app[ (client id {client_id})]"
            => "Microsoft Entra Admin Center > App-Registrierungen > die App[ (Client-ID {client_id})]",
            "Certificates & secrets > Certificates > Upload certificate"
            => "Zertifikate & Geheimnisse > Zertifikate > Zertifikat hochladen",
        ];
    /// A new credential that was refused on trial.
    SECRET_ROLLED_BACK = "client_secret_rolled_back", AppOwner, AfterFix, "New secret refused" => "Neues Geheimnis abgelehnt",
        "The new secret, certificate or key of the app[ {client_id}] was refused; the one before is in use again."
        => "Das neue Geheimnis, Zertifikat oder der neue Schlüssel der App[ {client_id}] wurde abgelehnt; es gilt wieder \
         das vorherige.",
        "Enter another one before the one in use ends.[ Why it was refused: {detail}]"
        => "Ein anderes eingeben, bevor das gültige endet.[ Warum es abgelehnt wurde: {detail}]";
    /// A client secret that ends soon.
    SECRET_EXPIRING = "client_secret_expiring", AppOwner, AfterFix,
        "Client secret expires soon" => "Geheimer Clientschlüssel läuft bald ab",
        "The client secret or certificate of the app[ {client_id}] ends in {detail|a few} days or less."
        => "Der geheime Clientschlüssel oder das Zertifikat der App[ {client_id}] endet in {detail|wenigen} Tagen oder weniger.",
        "Make a new one and enter it here before the old one ends: it is tried first, and taken back if it is refused."
        => "Ein neues anlegen und hier eintragen, bevor das alte endet: Es wird erst erprobt und zurückgenommen, wenn \
         es abgelehnt wird.",
        clicks [
            "Entra admin center > App registrations > the app[ (client id {client_id})]"
            => "Microsoft Entra Admin Center > App-Registrierungen > die App[ (Client-ID {client_id})]",
            "Certificates & secrets"
            => "Zertifikate & Geheimnisse",
            "New client secret, copy Value at once; or Upload certificate"
            => "Neuer geheimer Clientschlüssel, Wert sofort kopieren; oder Zertifikat hochladen",
        ];
}
