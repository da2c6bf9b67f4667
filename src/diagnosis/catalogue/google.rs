//! Causes that Google states about a service account and those it acts for.

super::entries! {
    /// Google: the service account may not act for the user.
    DELEGATION_MISSING = "google_delegation_missing", TenantAdmin, AfterFix, "Domain-wide delegation missing" => "Domainweite Delegierung fehlt",
        "The service account may not act for {address}: its scope is not delegated."
        => "Das Dienstkonto darf nicht für {address} handeln: sein Scope ist nicht delegiert.",
        "Enter the client id[ {client_id}] (the number, not the e-mail address) and the scope[ {detail}] under domain-wide \
         delegation, as super administrator. It takes effect within minutes, at the latest after 24 hours; nothing needs \
         to be done here then."
        => "Die Client-ID[ {client_id}] (die Zahl, nicht die E-Mail-Adresse) und den Scope[ {detail}] als Super Admin unter der \
         domainweiten Delegierung eintragen. Das wirkt nach Minuten, spätestens nach 24 Stunden; hier ist dann nichts zu \
         tun.",
        clicks [
            "Google Admin console > Security > Access and data control > API controls"
            => "Google Admin-Konsole > Sicherheit > Zugriffs- und Datenkontrolle > API-Steuerung",
            "Domain-wide delegation > Manage domain-wide delegation > Add new"
            => "Domainweite Delegierung > Domainweite Delegierung verwalten > Neu hinzufügen",
            "Client id[ {client_id}], OAuth scope[ {detail}]"
            => "Client-ID[ {client_id}], OAuth-Bereich[ {detail}]",
        ];
    /// The user of the assertion does not exist.
    GOOGLE_USER_UNKNOWN = "google_user_unknown", TenantAdmin, AfterFix, "No such Google user" => "Google-Benutzer unbekannt",
        "Google does not know the user[ {address}]."
        => "Google kennt den Benutzer[ {address}] nicht.",
        "Check the address. If it is an alias or a group, set auth.login to the primary address of the user whose mailbox \
         it is."
        => "Die Adresse prüfen. Ist sie ein Alias oder eine Gruppe, auth.login auf die primäre Adresse des Benutzers \
         setzen, dessen Postfach es ist.",
        clicks [
            "Google Admin console > Directory > Users > {address}"
            => "Google Admin-Konsole > Verzeichnis > Nutzer > {address}",
        ];
    /// The user is refused for a reason the tables do not know.
    GOOGLE_USER_REFUSED = "google_user_refused", TenantAdmin, AfterFix, "Google user refused" => "Google-Benutzer abgelehnt",
        "Google gives the service account no token for {address}."
        => "Google gibt dem Dienstkonto kein Token für {address}.",
        "Check that the user is active and has Gmail switched on; the evidence says why."
        => "Prüfen, ob der Benutzer aktiv und Gmail für ihn eingeschaltet ist; der Wortlaut sagt, warum.",
        clicks [
            "Google Admin console > Directory > Users > {address}"
            => "Google Admin-Konsole > Verzeichnis > Nutzer > {address}",
            "Google Admin console > Apps > Google Workspace > Gmail > Service status"
            => "Google Admin-Konsole > Apps > Google Workspace > Gmail > Dienststatus",
        ];
    /// The signature: the key was deleted, or is another account's.
    GOOGLE_KEY_REFUSED = "service_account_key_refused", AppOwner, AfterFix, "Service account key refused" => "Schlüssel des Dienstkontos abgelehnt",
        "Google refuses the key of the service account[ (client id {client_id})]: it was deleted, disabled, or is another \
         account's."
        => "Google lehnt den Schlüssel des Dienstkontos[ (Client-ID {client_id})] ab: er wurde gelöscht, deaktiviert, oder \
         gehört einem anderen Konto.",
        "Make a new key (JSON) and enter its file here as service_account."
        => "Einen neuen Schlüssel (JSON) anlegen und seine Datei hier als service_account eingeben.",
        clicks [
            "Google Cloud console > IAM & Admin > Service Accounts > the app[ (client id {client_id})]"
            => "Google-Cloud-Konsole > IAM und Verwaltung > Dienstkonten > die App[ (Client-ID {client_id})]",
            "Keys > Add key > Create new key > JSON"
            => "Schlüssel > Schlüssel hinzufügen > Neuen Schlüssel erstellen > JSON",
        ];
    /// The account itself is no more.
    GOOGLE_ACCOUNT_GONE = "google_client_gone", AppOwner, AfterFix, "Client unknown to Google" => "Client bei Google unbekannt",
        "The service account or client[ (client id {client_id})] was deleted or disabled at Google."
        => "Das Dienstkonto oder der Client[ (Client-ID {client_id})] wurde bei Google gelöscht oder deaktiviert.",
        "Enable it again, or undelete it within 30 days; else make a new one, delegate to it, and enter its key here."
        => "Ihn wieder aktivieren, oder binnen 30 Tagen wiederherstellen; sonst ein neues anlegen, ihm delegieren und \
         seinen Schlüssel hier eingeben.",
        clicks [
            "Google Cloud console > IAM & Admin > Service Accounts"
            => "Google-Cloud-Konsole > IAM und Verwaltung > Dienstkonten",
        ];
    /// The app of a mailbox has no key any more.
    SERVICE_ACCOUNT_MISSING = "service_account_missing", Operator, AfterFix, "No service account in the app" => "Kein Dienstkonto in der App",
        "The app of {address} holds no service account's key."
        => "Die App von {address} hat keinen Schlüssel eines Dienstkontos.",
        "Enter the key file in the app as service_account, or name another app in auth.app."
        => "Die Schlüsseldatei in der App als service_account eingeben, oder in auth.app eine andere App nennen.";
    /// The times in an assertion.
    CLOCK_REFUSED = "clock_refused", Operator, AfterFix, "Clock refused" => "Uhr abgelehnt",
        "The identity provider does not believe the time that this machine's requests are made at: its clock is wrong."
        => "Der Identitätsanbieter glaubt die Zeit nicht, zu der Anfragen dieses Rechners gestellt sind: seine Uhr geht \
         falsch.",
        "Set the clock and let it be kept by NTP. The doctor's step clock says how far it is off."
        => "Die Uhr stellen und von NTP führen lassen. Der Schritt clock des Doktors sagt, wie weit sie abweicht.",
        commands [
            "timedatectl status",
            "timedatectl set-ntp true",
        ];
    /// Which apps may be used at all.
    GOOGLE_POLICY = "google_admin_policy", TenantAdmin, AfterFix, "Blocked by Workspace policy" => "Durch Workspace-Richtlinie gesperrt",
        "A policy of Google Workspace does not let the app[ (client id {client_id})] have the mail of {address}, or ends its \
         sign-in after a set time."
        => "Eine Richtlinie von Google Workspace gibt der App[ (Client-ID {client_id})] die Mail von {address} nicht frei, oder \
         beendet die Anmeldung nach einer festgelegten Zeit.",
        "Trust the app by its client id: trusted apps are exempt from the session length, too. If the app is internal to \
         another organisation, its owner makes it external."
        => "Der App anhand ihrer Client-ID vertrauen: vertrauenswürdige Apps sind auch von der Sitzungsdauer ausgenommen. Ist \
         die App nur für eine andere Organisation intern, macht ihr Inhaber sie extern.",
        clicks [
            "Google Admin console > Security > Access and data control > API controls > Manage app access"
            => "Google Admin-Konsole > Sicherheit > Zugriffs- und Datenkontrolle > API-Steuerung > App-Zugriff verwalten",
            "Configure new app > Client id[ {client_id}] > Trusted"
            => "Neue App konfigurieren > Client-ID[ {client_id}] > Vertrauenswürdig",
            "session length: Security > Access and data control > Google Cloud session control > Exempt trusted apps"
            => "Sitzungsdauer: Sicherheit > Zugriffs- und Datenkontrolle > Google Cloud-Sitzungssteuerung > Vertrauenswürdige Apps ausnehmen",
            "app of another organisation: Google Cloud console > Google Auth Platform > Audience > Make external"
            => "App einer anderen Organisation: Google-Cloud-Konsole > Google Auth Platform > Zielgruppe > Extern machen",
        ];
}
