//! Causes an identity provider states about a user, and our own findings about grants.

super::entries! {
    /// The user has to sign in again.
    SIGN_IN_AGAIN = "sign_in_again", User, AfterFix, "Sign-in ended" => "Anmeldung beendet",
        "The sign-in of {address} has ended."
        => "Die Anmeldung von {address} ist beendet.",
        "Sign in again with the personal link."
        => "Mit dem persönlichen Link neu anmelden.",
        user "The connection to {address} has ended. Sign in once more to renew it."
        => "Die Verbindung zu {address} ist beendet. Melden Sie sich noch einmal an, um sie zu erneuern.";
    /// A refresh answer never reached us and the server revoked the grant.
    ROTATION_ANSWER_LOST = "rotation_answer_lost", User, AfterFix, "Refresh answer lost" => "Antwort verloren",
        "An answer with a new refresh token of {address} was lost on the way, and the provider has revoked the \
         old one."
        => "Eine Antwort mit einem neuen Refresh-Token von {address} ging unterwegs verloren, und der Anbieter hat \
         das alte widerrufen.",
        "Sign in again with the personal link. No setting is wrong."
        => "Mit dem persönlichen Link neu anmelden. Keine Einstellung ist falsch.",
        user "The connection to {address} was interrupted while it was being renewed. That is not your fault: sign \
         in once more."
        => "Die Verbindung zu {address} brach ab, während sie erneuert wurde. Das liegt nicht an Ihnen: Melden \
         Sie sich noch einmal an.";
    /// Nobody signed in yet.
    NOT_SIGNED_IN = "not_signed_in", User, AfterFix, "Not signed in" => "Nicht angemeldet",
        "Nobody has signed in for {address} yet."
        => "Für {address} hat sich noch niemand angemeldet.",
        "Sign in with the personal link."
        => "Mit dem persönlichen Link anmelden.",
        user "Nobody has signed in for {address} yet."
        => "Für {address} hat sich noch niemand angemeldet.";
    /// The account does not belong to the tenant.
    USER_NOT_IN_TENANT = "user_not_in_tenant", User, AfterFix, "Account not in the tenant" => "Konto nicht im Mandanten",
        "The account that signed in for {address} does not belong to the tenant[ {tenant}]."
        => "Das Konto, das sich für {address} angemeldet hat, gehört nicht zum Mandanten[ {tenant}].",
        "Sign in with the account of this mailbox. If it is that one, an administrator checks the tenant id or \
         invites the account as a guest."
        => "Mit dem Konto dieses Postfachs anmelden. Ist es das, prüft ein Administrator die Mandanten-ID oder \
         lädt das Konto als Gast ein.",
        user "This account does not belong to your organisation. Sign in with the account of {address}; if it was \
         that one, your administrator has to look at it."
        => "Dieses Konto gehört nicht zu Ihrer Organisation. Melden Sie sich mit dem Konto von {address} an; war \
         es das, muss Ihre Administration nachsehen.";
    /// Smart lockout.
    LOCKED_OUT = "account_locked", TenantAdmin, Auto, "Account locked" => "Konto gesperrt",
        "Entra ID has locked {address} for a while, after wrong passwords or for an address it distrusts."
        => "Entra ID hat {address} für eine Weile gesperrt, nach falschen Kennwörtern oder wegen einer Adresse, \
         der es misstraut.",
        "It is tried again after a pause. The sign-in logs name the reason."
        => "Es wird nach einer Pause wieder versucht. Die Anmeldeprotokolle nennen den Grund.",
        clicks [
            "Entra admin center > Sign-in logs"
            => "Microsoft Entra Admin Center > Anmeldeprotokolle",
            "the failed sign-in of {address}"
            => "die fehlgeschlagene Anmeldung von {address}",
            "Basic info: Failure reason"
            => "Grundlegende Infos: Fehlerursache",
        ];
    /// Password ended.
    PASSWORD_EXPIRED = "password_expired", User, AfterFix, "Password expired" => "Kennwort abgelaufen",
        "The password of {address} has expired."
        => "Das Kennwort von {address} ist abgelaufen.",
        "Set a new password, then sign in again."
        => "Ein neues Kennwort setzen, dann neu anmelden.",
        user "Your password has expired. Set a new one at the provider, then sign in again."
        => "Ihr Kennwort ist abgelaufen. Setzen Sie beim Anbieter ein neues, und melden Sie sich dann noch \
         einmal an.";
    /// Account disabled.
    ACCOUNT_DISABLED = "account_disabled", TenantAdmin, AfterFix, "Account disabled" => "Konto deaktiviert",
        "The account of {address} is disabled."
        => "Das Konto von {address} ist deaktiviert.",
        "Enable it, or remove this mailbox here."
        => "Es aktivieren, oder dieses Postfach hier entfernen.",
        clicks [
            "Entra admin center > Users > {address}"
            => "Microsoft Entra Admin Center > Benutzer > {address}",
            "Account status > Edit"
            => "Kontostatus > Bearbeiten",
            "Account enabled"
            => "Konto aktiviert",
        ];
    /// Multi-factor.
    MFA_REQUIRED = "mfa_required", User, AfterFix, "Second factor required" => "Zweiter Faktor nötig",
        "{address} has to sign in again with a second factor."
        => "{address} muss sich mit einem zweiten Faktor neu anmelden.",
        "Sign in again with the personal link and confirm with the second factor."
        => "Mit dem persönlichen Link neu anmelden und mit dem zweiten Faktor bestätigen.",
        user "Sign in again and confirm it with your second factor, for example a code on your phone."
        => "Melden Sie sich noch einmal an und bestätigen Sie es mit Ihrem zweiten Faktor, zum Beispiel einem \
         Code auf dem Telefon.";
    /// Device policy.
    DEVICE_POLICY = "device_policy", TenantAdmin, AfterFix, "Device policy" => "Geräterichtlinie",
        "A policy of the tenant lets {address} sign in only from a known device; a server is none."
        => "Eine Richtlinie des Mandanten lässt {address} nur von einem bekannten Gerät aus anmelden; ein Server \
         ist keines.",
        "Exclude this app[ (client id {client_id})] from the device policy."
        => "Diese App[ (Client-ID {client_id})] von der Geräterichtlinie ausnehmen.",
        clicks [
            "Entra admin center > Protection > Conditional Access > Policies"
            => "Microsoft Entra Admin Center > Schutz > Bedingter Zugriff > Richtlinien",
            "the policy that asks for a device"
            => "die Richtlinie, die ein Gerät verlangt",
            "Target resources > Exclude: this app"
            => "Zielressourcen > Ausschließen: diese App",
        ];
    /// Not assigned to the enterprise app.
    USER_NOT_ASSIGNED = "user_not_assigned", TenantAdmin, AfterFix, "User not assigned" => "Benutzer nicht zugewiesen",
        "{address} is not assigned to the app in the tenant."
        => "{address} ist der App im Mandanten nicht zugewiesen.",
        "Assign the user, or switch off that assignment is required."
        => "Den Benutzer zuweisen, oder abschalten, dass eine Zuweisung nötig ist.",
        clicks [
            "Entra admin center > Enterprise applications > the app[ (client id {client_id})]"
            => "Microsoft Entra Admin Center > Unternehmensanwendungen > die App[ (Client-ID {client_id})]",
            "Users and groups > Add user"
            => "Benutzer und Gruppen > Benutzer hinzufügen",
        ];
    /// Conditional Access.
    CONDITIONAL_ACCESS = "conditional_access", TenantAdmin, AfterFix, "Blocked by Conditional Access" => "Durch bedingten Zugriff gesperrt",
        "Conditional Access or a risk policy of the tenant blocks {address}."
        => "Der bedingte Zugriff oder eine Risikorichtlinie des Mandanten sperrt {address}.",
        "The sign-in logs name the policy: exclude this app[ (client id {client_id})] or this server's address \
         from it."
        => "Die Anmeldeprotokolle nennen die Richtlinie: diese App[ (Client-ID {client_id})] oder die Adresse dieses \
         Servers davon ausnehmen.",
        clicks [
            "Entra admin center > Sign-in logs"
            => "Microsoft Entra Admin Center > Anmeldeprotokolle",
            "the failed sign-in of {address}"
            => "die fehlgeschlagene Anmeldung von {address}",
            "tab Conditional Access"
            => "Reiter Bedingter Zugriff",
        ];
    /// Security defaults.
    SECURITY_DEFAULTS = "security_defaults", TenantAdmin, AfterFix, "Blocked by security defaults" => "Durch Sicherheitsstandards gesperrt",
        "The security defaults of the tenant block this way of signing in."
        => "Die Sicherheitsstandards des Mandanten sperren diese Art der Anmeldung.",
        "Use the sign-in link (authorization code) instead of a password."
        => "Den Anmeldelink (Autorisierungscode) statt eines Kennworts benutzen.";
    /// Tenant restrictions.
    CROSS_TENANT_POLICY = "cross_tenant_policy", TenantAdmin, AfterFix, "Tenant restrictions" => "Mandanteneinschränkungen",
        "Tenant restrictions or a cross-tenant policy block {address}."
        => "Mandanteneinschränkungen oder eine mandantenübergreifende Richtlinie sperren {address}.",
        "Allow this app[ (client id {client_id})] in the policy of the tenant that is named in the evidence."
        => "Diese App[ (Client-ID {client_id})] in der Richtlinie des Mandanten erlauben, den der Wortlaut nennt.";
    /// Consent is missing.
    CONSENT_MISSING = "consent_missing", User, AfterFix, "Consent missing" => "Einwilligung fehlt",
        "The app is not yet allowed to use the mailbox[ {address}]."
        => "Die App darf das Postfach[ {address}] noch nicht benutzen.",
        "Sign in again and accept what is asked. If that is not offered, an administrator gives consent for all."
        => "Neu anmelden und annehmen, was gefragt wird. Wird das nicht angeboten, willigt ein Administrator für \
         alle ein.",
        user "The access has not been allowed yet. Sign in again and accept what is asked. If nothing is asked, \
         your administrator has to allow it first."
        => "Der Zugriff ist noch nicht erlaubt. Melden Sie sich noch einmal an und nehmen Sie an, was gefragt \
         wird. Kommt keine Frage, muss Ihre Administration ihn erst erlauben.";
    /// The user broke off, or met Entra's page "Need admin approval": Entra says the same of both.
    CONSENT_DECLINED = "consent_declined", User, AfterFix, "Sign-in not completed" => "Anmeldung nicht abgeschlossen",
        "The sign-in for {address} was broken off, or it needs an administrator's approval first: Entra ID says the same \
         of both."
        => "Die Anmeldung für {address} wurde abgebrochen, oder sie braucht erst die Genehmigung eines Administrators: Entra \
         ID meldet beides gleich.",
        "If the page said that an administrator has to approve, an administrator of the tenant opens the link below and \
         accepts, once for all users; then the sign-in works. Otherwise sign in again with the personal link and accept."
        => "Stand auf der Seite, dass ein Administrator genehmigen muss, öffnet ein Administrator des Mandanten den Link \
         unten und nimmt an, einmal für alle Benutzer; danach gelingt die Anmeldung. Sonst mit dem persönlichen Link neu \
         anmelden und annehmen.",
        user "The sign-in was not completed. If the page said that an administrator has to approve, that is not \
         your fault: yours has to allow the access once, and then it works. Otherwise sign in again and \
         accept what is asked."
        => "Die Anmeldung wurde nicht abgeschlossen. Stand auf der Seite, dass ein Administrator genehmigen \
         muss, liegt das nicht an Ihnen: Ihre Administration muss den Zugriff einmal erlauben, danach geht \
         es. Sonst melden Sie sich noch einmal an und nehmen an, was gefragt wird.",
        commands [
            "{login|https://login.microsoftonline.com}/{tenant|organizations}/adminconsent?client_id={client_id}",
        ];
    /// The user declined, at a provider where that has one reason only.
    SIGN_IN_DECLINED = "sign_in_declined", User, AfterFix, "Sign-in declined" => "Anmeldung abgelehnt",
        "The sign-in for {address} was declined."
        => "Die Anmeldung für {address} wurde abgelehnt.",
        "Sign in again with the personal link and accept what is asked."
        => "Mit dem persönlichen Link neu anmelden und annehmen, was gefragt wird.",
        user "The access was declined. If that was not on purpose, sign in again and accept what is asked."
        => "Der Zugriff wurde abgelehnt. War das keine Absicht, melden Sie sich noch einmal an und nehmen an, \
         was gefragt wird.";
    /// A permission was left out at the sign-in.
    CONSENT_INCOMPLETE = "consent_incomplete", User, AfterFix, "Not everything was allowed" => "Nicht alles erlaubt",
        "At the sign-in for {address} a permission was not given[: {detail}]."
        => "Bei der Anmeldung für {address} wurde eine Berechtigung nicht erteilt[: {detail}].",
        "Sign in again with the personal link and leave every box ticked. If there is no such box, the app registration \
         lacks the permission."
        => "Mit dem persönlichen Link neu anmelden und jedes Kästchen angehakt lassen. Gibt es keines, fehlt die \
         Berechtigung in der App-Registrierung.",
        user "Not everything was allowed that the mailbox needs. Sign in again and leave every box ticked."
        => "Es wurde nicht alles erlaubt, was das Postfach braucht. Melden Sie sich noch einmal an und lassen \
         Sie jedes Kästchen angehakt.";
    /// The user's account is no more.
    ACCOUNT_DELETED = "account_deleted", TenantAdmin, AfterFix, "Account deleted" => "Konto gelöscht",
        "The account of {address} was deleted at the provider."
        => "Das Konto von {address} wurde beim Anbieter gelöscht.",
        "If its user has left, retire this mailbox here: its mail stays readable while it is paused and goes when it is \
         removed. If the deletion was a mistake, restore the account within 30 days."
        => "Ist der Benutzer ausgeschieden, dieses Postfach hier stilllegen: pausiert bleibt die Mail lesbar, mit dem \
         Entfernen geht sie. War es ein Versehen, das Konto binnen 30 Tagen wiederherstellen.";
    /// A policy against device codes.
    DEVICE_FLOW_BLOCKED = "device_code_blocked", User, AfterFix, "Device codes blocked" => "Gerätecodes gesperrt",
        "A policy of the tenant does not allow sign-ins by device code, and ends those that were made so: {address} is one."
        => "Eine Richtlinie des Mandanten erlaubt keine Anmeldung mit Gerätecode und beendet solche, die so entstanden: \
         {address} ist eine davon.",
        "Sign in with the personal link in the browser, not by code. Or an administrator exempts this \
         app[ (client id {client_id})] from the policy about authentication flows."
        => "Mit dem persönlichen Link im Browser anmelden, nicht mit einem Code. Oder ein Administrator nimmt diese \
        App[ (Client-ID {client_id})] von der Richtlinie über Authentifizierungsflüsse aus.",
        user "Your organisation does not allow to sign in with a code. Sign in another way; that is not your \
         fault."
        => "Ihre Organisation erlaubt keine Anmeldung mit einem Code. Melden Sie sich auf anderem Weg an; es \
         liegt nicht an Ihnen.",
        clicks [
            "Entra admin center > Protection > Conditional Access > Policies"
            => "Microsoft Entra Admin Center > Schutz > Bedingter Zugriff > Richtlinien",
            "the policy with the condition Authentication flows: Device code flow"
            => "die Richtlinie mit der Bedingung Authentifizierungsflüsse: Gerätecodefluss",
            "Target resources > Exclude: this app"
            => "Zielressourcen > Ausschließen: diese App",
        ];
    /// The provider refused once without a reason.
    REFUSED_ONCE = "refresh_refused_once", Nobody, Auto, "Refused once" => "Einmal abgelehnt",
        "The provider refused to renew the sign-in of {address} and gave no reason; that can be a passing fault."
        => "Der Anbieter hat die Anmeldung von {address} nicht erneuert und keinen Grund genannt; das kann eine \
         vorübergehende Störung sein.",
        "Nothing has to be done: it is tried once more in a minute."
        => "Es ist nichts zu tun: es wird in einer Minute noch einmal versucht.";
    /// Federation or on-prem agent.
    FEDERATION_FAULT = "federation_fault", TenantAdmin, Auto, "Federation fault" => "Fehler der Verbundanmeldung",
        "The tenant's own identity provider (federation or agent) fails for {address}."
        => "Der eigene Identitätsanbieter des Mandanten (Verbund oder Agent) versagt für {address}.",
        "It is tried again. If it stays, its administrator looks at it."
        => "Es wird wieder versucht. Bleibt es dabei, sieht sein Administrator nach.";
    /// Another account signed in, of the same tenant.
    WRONG_ACCOUNT = "wrong_account", User, AfterFix, "Wrong account" => "Falsches Konto",
        "{detail|another account} signed in, but the mailbox is {address|another}."
        => "{detail|ein anderes Konto} hat sich angemeldet, das Postfach ist aber {address|ein anderes}.",
        "Sign in again and choose {address|the account of the mailbox}; a private browser window forgets the other account. An \
         administrator may accept the other account if it has full access to the mailbox."
        => "Neu anmelden und {address|das Konto des Postfachs} wählen; ein privates Browserfenster vergisst das andere Konto. Ein \
         Administrator darf das andere Konto annehmen, wenn es Vollzugriff auf das Postfach hat.",
        user "That was another account than the one of {address}. Sign in again and choose the right one; a \
         private browser window forgets the other account."
        => "Das war ein anderes Konto als das von {address}. Melden Sie sich noch einmal an und wählen Sie das \
         richtige; ein privates Browserfenster vergisst das andere Konto.";
    /// A refresh that does not say whose it is.
    ACCOUNT_UNKNOWN = "account_unknown", Nobody, Auto, "Account not named" => "Konto nicht genannt",
        "The provider does not say whose sign-in was taken over for {address}; it opens the mailbox."
        => "Der Anbieter sagt nicht, wessen Anmeldung für {address} übernommen wurde; sie öffnet das Postfach.",
        "Nothing has to be done. After a sign-in with the personal link the account is known."
        => "Es ist nichts zu tun. Nach einer Anmeldung mit dem persönlichen Link ist das Konto bekannt.";
    /// The grant lacks what is needed.
    SCOPES_MISSING = "scopes_missing", TenantAdmin, AfterFix, "Permission missing in the sign-in" => "Berechtigung fehlt in der Anmeldung",
        "The sign-in of {address} lacks a permission[: {detail}]."
        => "Der Anmeldung von {address} fehlt eine Berechtigung[: {detail}].",
        "Sign in again with the personal link: it asks for what the mailbox does by now. If that is refused, add the \
         permission to the app registration[ (client id {client_id})], give consent, and sign in again."
        => "Mit dem persönlichen Link neu anmelden: er fragt nach dem, was das Postfach inzwischen tut. Wird das \
         abgelehnt, die Berechtigung in der App-Registrierung[ (Client-ID {client_id})] hinzufügen, einwilligen und neu \
         anmelden.",
        clicks [
            "Entra admin center > App registrations > the app[ (client id {client_id})]"
            => "Microsoft Entra Admin Center > App-Registrierungen > die App[ (Client-ID {client_id})]",
            "API permissions"
            => "API-Berechtigungen",
        ];
    /// The token cannot be had here and now.
    TOKEN_UNAVAILABLE = "token_unavailable", Operator, Auto, "No access token" => "Kein Zugriffstoken",
        "There is no access token for {address} at the moment."
        => "Für {address} gibt es im Augenblick kein Zugriffstoken.",
        "It is tried again by itself. If it stays, the evidence and the log say what this machine lacks."
        => "Es wird von selbst wieder versucht. Bleibt es dabei, sagen Wortlaut und Protokoll, was diesem Rechner \
         fehlt.";
    /// A wrong password at the provider.
    IDP_PASSWORD = "sign_in_password_wrong", User, AfterFix, "Password wrong at sign-in" => "Kennwort bei der Anmeldung falsch",
        "Entra ID refuses the password that was entered for {address}."
        => "Entra ID weist das Kennwort zurück, das für {address} eingegeben wurde.",
        "Sign in again with the personal link and the right password. It is not tried again by itself, because \
         accounts are locked for that."
        => "Mit dem persönlichen Link und dem richtigen Kennwort neu anmelden. Von selbst wird es nicht wieder \
         versucht, weil Konten dafür gesperrt werden.",
        user "The password was not right. Sign in again; after several wrong ones the provider locks the account \
         for a while."
        => "Das Kennwort war nicht richtig. Melden Sie sich noch einmal an; nach mehreren falschen sperrt der \
         Anbieter das Konto für eine Weile.";
    /// Security information must be registered first.
    MFA_REGISTRATION = "mfa_registration_required", User, AfterFix, "Second factor not registered" => "Zweiter Faktor nicht eingerichtet",
        "{address} has to register a second factor before it can sign in."
        => "{address} muss einen zweiten Faktor einrichten, bevor die Anmeldung möglich ist.",
        "Open the address below in a browser, register a second factor, then sign in again with the personal \
         link."
        => "Die Adresse unten im Browser öffnen, einen zweiten Faktor einrichten, dann mit dem persönlichen Link \
         neu anmelden.",
        user "Before you can sign in here, set up a second factor: open aka.ms/mfasetup in your browser. Then come \
         back and sign in again."
        => "Bevor Sie sich hier anmelden können, richten Sie einen zweiten Faktor ein: Öffnen Sie \
         aka.ms/mfasetup im Browser. Danach kommen Sie zurück und melden sich noch einmal an.",
        commands [
            "https://aka.ms/mfasetup",
        ];
    /// The provider has a question first.
    SIGN_IN_INTERRUPTED = "sign_in_interrupted", User, AfterFix, "Question in the browser" => "Rückfrage im Browser",
        "Entra ID wants an answer from {address} in the browser before the sign-in goes on."
        => "Entra ID verlangt von {address} eine Antwort im Browser, bevor die Anmeldung weitergeht.",
        "Sign in again with the personal link and answer what is asked."
        => "Mit dem persönlichen Link neu anmelden und beantworten, was gefragt wird.",
        user "The provider has a question for you first. Sign in again and answer what is asked."
        => "Der Anbieter hat erst eine Frage an Sie. Melden Sie sich noch einmal an und beantworten Sie sie.";
    /// The sign-in's code cannot be used.
    SIGN_IN_RESTART = "sign_in_restart", User, AfterFix, "Sign-in to be started again" => "Anmeldung neu beginnen",
        "The sign-in of {address} was begun in another window, or came back twice: its code cannot be used."
        => "Die Anmeldung von {address} wurde in einem anderen Fenster begonnen oder kam zweimal zurück: ihr Code \
         ist nicht brauchbar.",
        "Close the other windows and start again with the personal link."
        => "Die anderen Fenster schließen und mit dem persönlichen Link neu beginnen.",
        user "The sign-in was begun in another window, or came back twice. Close the other windows and start \
         again."
        => "Die Anmeldung wurde in einem anderen Fenster begonnen oder kam zweimal zurück. Schließen Sie die \
         anderen Fenster und beginnen Sie noch einmal.";
    /// Sign-in frequency.
    SIGN_IN_FREQUENCY = "sign_in_frequency", User, AfterFix, "Sign-in frequency" => "Anmeldehäufigkeit",
        "A policy of the tenant ends the sign-in of {address} after a set time."
        => "Eine Richtlinie des Mandanten beendet die Anmeldung von {address} nach einer festgelegten Zeit.",
        "Sign in again with the personal link. So that it lasts, an administrator excludes this \
         app[ (client id {client_id})] from the sign-in frequency, or lets it work app-only."
        => "Mit dem persönlichen Link neu anmelden. Damit es hält, nimmt ein Administrator diese \
         App[ (Client-ID {client_id})] von der Anmeldehäufigkeit aus, oder lässt sie ohne Benutzer arbeiten.",
        user "Your organisation asks for a new sign-in from time to time. Sign in again."
        => "Ihre Organisation verlangt von Zeit zu Zeit eine neue Anmeldung. Melden Sie sich noch einmal an.",
        clicks [
            "Entra admin center > Protection > Conditional Access > Policies"
            => "Microsoft Entra Admin Center > Schutz > Bedingter Zugriff > Richtlinien",
            "the policy with a sign-in frequency"
            => "die Richtlinie mit einer Anmeldehäufigkeit",
            "Target resources > Exclude: this app"
            => "Zielressourcen > Ausschließen: diese App",
        ];
    /// A device code that waits for its user.
    DEVICE_PENDING = "device_code_pending", User, Auto, "Code not entered yet" => "Code noch nicht eingegeben",
        "The code for {address} has not been entered yet."
        => "Der Code für {address} ist noch nicht eingegeben.",
        "Open the address that was shown, enter the code and sign in."
        => "Die gezeigte Adresse öffnen, den Code eingeben und anmelden.",
        user "The code has not been entered yet."
        => "Der Code ist noch nicht eingegeben.";
    /// A device code that has ended.
    DEVICE_CODE_ENDED = "device_code_ended", User, AfterFix, "Code ended" => "Code abgelaufen",
        "The code for {address} has ended or was not entered correctly."
        => "Der Code für {address} ist abgelaufen oder wurde falsch eingegeben.",
        "Start the sign-in again: it shows a new code."
        => "Die Anmeldung neu beginnen: sie zeigt einen neuen Code.",
        user "The code has expired or was not entered correctly. Start again: you get a new one."
        => "Der Code ist abgelaufen oder wurde falsch eingegeben. Beginnen Sie noch einmal: Sie bekommen einen \
         neuen.";
    /// Google's refresh token is gone.
    GOOGLE_SIGN_IN_ENDED = "google_sign_in_ended", User, AfterFix, "Sign-in ended by the provider" => "Anmeldung vom Anbieter beendet",
        "The provider has ended the sign-in of {address}."
        => "Der Anbieter hat die Anmeldung von {address} beendet.",
        "Sign in again with the personal link. Usual reasons: a changed password, a withdrawn permission, six \
         months without use, or a consent screen that is still in Testing, which ends every sign-in after 7 \
         days."
        => "Mit dem persönlichen Link neu anmelden. Übliche Gründe: ein geändertes Kennwort, ein entzogenes Recht, \
         sechs Monate ohne Benutzung, oder ein Zustimmungsbildschirm, der noch auf Testing steht und jede \
         Anmeldung nach 7 Tagen beendet.",
        user "The provider has ended the connection to {address}, for example because the password was changed. \
         Sign in once more."
        => "Der Anbieter hat die Verbindung zu {address} beendet, zum Beispiel weil das Kennwort geändert wurde. \
         Melden Sie sich noch einmal an.";
    /// Seven days after the sign-in, to the hour.
    GOOGLE_TESTING = "google_consent_screen_testing", AppOwner, AfterFix, "Consent screen in Testing" => "Zustimmungsbildschirm auf Testing",
        "Google ended the sign-in of {address} seven days after it was given: it does so for apps in Testing."
        => "Google hat die Anmeldung von {address} nach genau sieben Tagen beendet: so geschieht es bei Apps auf Testing.",
        "Publish the app (or make it internal) in the Google Cloud console, then let the users sign in again."
        => "Die App in der Google-Cloud-Konsole veröffentlichen (oder auf intern stellen), danach die Benutzer neu \
         anmelden lassen.",
        clicks [
            "Google Cloud console > Google Auth Platform > Audience > Publish app"
            => "Google-Cloud-Konsole > Google Auth Platform > Zielgruppe > App veröffentlichen",
        ];
    /// Reminded as often as one may.
    SIGN_IN_OVERDUE = "sign_in_overdue", User, AfterFix, "Sign-in overdue" => "Anmeldung überfällig",
        "{address} was reminded four times and has not signed in."
        => "{address} wurde viermal erinnert und hat sich nicht angemeldet.",
        "Ask the user in another way, then invite again."
        => "Den Benutzer auf anderem Weg ansprechen, dann neu einladen.",
        user "Nobody has signed in for {address} yet."
        => "Für {address} hat sich noch niemand angemeldet.";
}
