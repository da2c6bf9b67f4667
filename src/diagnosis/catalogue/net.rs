//! Causes on the way to a server: names, addresses, TLS, our own limits.

super::entries! {
    /// As many files and sockets are open as the process may have.
    DESCRIPTORS = "descriptors", Operator, Auto, "Too many open files" => "Zu viele offene Dateien",
        "This process may have {detail|only so many} files and connections open, and has: there is no room for another mailbox."
        => "Dieser Prozess darf {detail|nur eine begrenzte Zahl} Dateien und Verbindungen offen haben und hat sie: Für ein weiteres Postfach ist kein Platz.",
        "Raise the limit of open files and start the daemon again: LimitNOFILE= in its systemd unit, else the hard \
         limit of ulimit. It takes one for each mailbox and a few hundred beside."
        => "Die Grenze für offene Dateien erhöhen und den Dienst neu starten: LimitNOFILE= in seiner systemd-Unit, sonst \
         die harte Grenze von ulimit. Er braucht eine je Postfach und einige hundert daneben.",
        commands [
            "systemctl edit stafette",
            "prlimit --nofile --pid $(pidof stafette)",
        ];
    /// The address is one that is not to be connected to.
    ADDRESS_DENIED = "address_denied", Operator, AfterFix, "Address not allowed" => "Adresse nicht erlaubt",
        "{host} leads to {detail|an address}, which this installation may not connect to."
        => "{host} führt zu {detail|einer Adresse}; dorthin darf diese Installation keine Verbindung aufnehmen.",
        "If the host is a typing error, mend it. If a mail server of your own is meant, name its network in net.allow; \
         addresses of cloud metadata services are denied for a reason."
        => "Ist der Name ein Tippfehler, ihn berichtigen. Ist ein eigener Mailserver gemeint, dessen Netz in net.allow \
         nennen; Adressen von Metadaten-Diensten der Cloud sind aus gutem Grund gesperrt.";
    /// The outbound proxy refuses.
    PROXY_REFUSED = "proxy_refused", Operator, Auto, "Proxy does not connect" => "Proxy verbindet nicht",
        "The proxy[ {detail}] does not connect to {host}."
        => "Der Proxy[ {detail}] stellt keine Verbindung zu {host} her.",
        "Check user and password in net.proxy, and that the proxy lets the mail ports through (993, 587, 465, 443); \
         or name the host in net.no_proxy."
        => "Benutzer und Passwort in net.proxy prüfen, und ob der Proxy die Mail-Ports durchlässt (993, 587, 465, 443); \
         oder den Rechner in net.no_proxy nennen.";
    /// The name does not resolve.
    HOST_UNKNOWN = "host_unknown", Operator, Auto, "Host unknown" => "Rechnername unbekannt",
        "The name[ {host}] cannot be resolved."
        => "Der Name[ {host}] kann nicht aufgelöst werden.",
        "Check the host name for a typing error, then this machine's DNS."
        => "Den Namen auf Tippfehler prüfen, dann das DNS dieses Rechners.",
        commands [
            "getent ahosts {host}",
        ];
    /// Nobody listens there.
    CONNECTION_REFUSED = "connection_refused", Operator, Auto, "Connection refused" => "Verbindung abgewiesen",
        "{host} refuses connections on the configured port."
        => "{host} weist Verbindungen auf dem eingestellten Port ab.",
        "Check host and port, and that the service runs; a firewall may refuse on its behalf."
        => "Name und Port prüfen, und ob der Dienst läuft; auch eine Firewall kann an seiner Stelle abweisen.";
    /// No route, or no answer.
    HOST_UNREACHABLE = "host_unreachable", Operator, Auto, "Host unreachable" => "Rechner nicht erreichbar",
        "{host} cannot be reached from this machine."
        => "{host} ist von diesem Rechner aus nicht erreichbar.",
        "Check the network and outgoing firewall rules for the configured port."
        => "Das Netz und die Firewall-Regeln nach außen für den eingestellten Port prüfen.";
    /// Nobody who is trusted here issued the server's certificate.
    CERTIFICATE = "tls_certificate", Operator, AfterFix, "Certificate's issuer unknown" => "Aussteller des Zertifikats unbekannt",
        "The certificate of {host} is not accepted[: {detail}]."
        => "Das Zertifikat von {host} wird nicht anerkannt[: {detail}].",
        "If the server is your own, name its certificate authority in tls.extra_ca. If not, somebody may be in \
         between: do not go around it."
        => "Ist es ein eigener Server, seine Zertifizierungsstelle in tls.extra_ca nennen. Wenn nicht, steht \
         vielleicht jemand dazwischen: nicht umgehen.",
        commands [
            "openssl s_client -connect {host}:{port} -servername {host} -showcerts",
        ];
    /// The server's certificate is for another name.
    CERTIFICATE_NAME = "tls_certificate_name", Operator, AfterFix, "Certificate for another name" => "Zertifikat für einen anderen Namen",
        "The certificate that {host} shows is not for this name[: {detail}]."
        => "Das Zertifikat, das {host} zeigt, gilt nicht für diesen Namen[: {detail}].",
        "Put a name that the certificate is for into host, if it is the same server; or have the server show a \
         certificate for {host|the name in use}. A further authority does not help."
        => "Als host einen Namen eintragen, für den das Zertifikat gilt, wenn es derselbe Server ist; oder den \
         Server ein Zertifikat für {host|den benutzten Namen} zeigen lassen. Eine weitere Zertifizierungsstelle hilft nicht.",
        commands [
            "openssl s_client -connect {host}:{port} -servername {host} </dev/null | openssl x509 -noout -subject -ext subjectAltName",
        ];
    /// The server's certificate is not valid today.
    CERTIFICATE_TIME = "tls_certificate_expired", Operator, AfterFix, "Certificate not valid today" => "Zertifikat heute nicht gültig",
        "The certificate of {host} is not valid today[: {detail}]."
        => "Das Zertifikat von {host} ist heute nicht gültig[: {detail}].",
        "It has to be renewed on the server (and the server to be told to load it). If other programs accept it, \
         this machine's clock is wrong."
        => "Es muss auf dem Server erneuert werden (und der Server es neu laden). Nehmen andere Programme es an, geht \
         die Uhr dieses Rechners falsch.",
        commands [
            "openssl s_client -connect {host}:{port} -servername {host} </dev/null | openssl x509 -noout -dates",
            "timedatectl status",
        ];
    /// The server's certificate cannot be used by anybody.
    CERTIFICATE_UNUSABLE = "tls_certificate_unusable", Operator, AfterFix, "Certificate unusable" => "Zertifikat unbrauchbar",
        "The certificate of {host} cannot be used[: {detail}]."
        => "Das Zertifikat von {host} ist unbrauchbar[: {detail}].",
        "The server has to show another certificate."
        => "Der Server muss ein anderes Zertifikat zeigen.",
        commands [
            "openssl s_client -connect {host}:{port} -servername {host} </dev/null | openssl x509 -noout -text",
        ];
    /// TLS fails otherwise.
    TLS_FAILED = "tls_failed", Operator, Auto, "TLS failed" => "TLS fehlgeschlagen",
        "No TLS connection with {host} can be made."
        => "Mit {host} kommt keine TLS-Verbindung zustande.",
        "Check that port and security fit: 993 and 465 speak TLS at once, 143 and 587 need starttls. TLS 1.2 is \
         the least that is spoken."
        => "Prüfen, ob Port und Verschlüsselung zusammenpassen: 993 und 465 sprechen sofort TLS, 143 und 587 \
         brauchen starttls. Mindestens TLS 1.2 wird gesprochen.";
    /// Unprotected connections leave this machine only when allowed.
    PLAIN_REFUSED = "plain_refused", Operator, AfterFix, "Unprotected connection refused" => "Ungeschützte Verbindung verweigert",
        "security none is configured for {host}, which is not this machine: nothing was sent."
        => "Für {host} ist security none eingestellt, und das ist nicht dieser Rechner: es wurde nichts gesendet.",
        "Set security to tls or starttls, or allow unprotected connections in the configuration."
        => "security auf tls oder starttls setzen, oder ungeschützte Verbindungen in der Konfiguration erlauben.";
    /// The connection broke.
    CONNECTION_LOST = "connection_lost", Nobody, Auto, "Connection lost" => "Verbindung abgebrochen",
        "The connection with {host} broke."
        => "Die Verbindung mit {host} ist abgebrochen.",
        "Nothing needs to be done; it is tried again."
        => "Es ist nichts zu tun; es wird wieder versucht.";
    /// The server sent what no server should.
    LIMIT_EXCEEDED = "server_limit_exceeded", Provider, Auto, "Server sent too much" => "Server schickte zu viel",
        "{host} sent more than a mail server may[: {detail}]."
        => "{host} hat mehr geschickt, als ein Mailserver darf[: {detail}].",
        "The connection was ended to protect the other mailboxes. If this repeats, the server is broken or not \
         the one it claims to be."
        => "Die Verbindung wurde beendet, um die anderen Postfächer zu schützen. Wiederholt es sich, ist der \
         Server defekt oder nicht der, für den er sich ausgibt.";
    /// The server does not answer.
    SERVER_SILENT = "server_silent", Provider, Auto, "Server silent" => "Server antwortet nicht",
        "{host} accepts the connection and then does not answer in time."
        => "{host} nimmt die Verbindung an und antwortet dann nicht rechtzeitig.",
        "It is tried again by itself. If it stays, check that host, port and security fit each other, then the \
         server's own log."
        => "Es wird von selbst wieder versucht. Bleibt es dabei, prüfen, ob Name, Port und Verschlüsselung \
         zusammenpassen, dann das Protokoll des Servers.";
    /// The server has not greeted yet.
    WAITING_FOR_GREETING = "waiting_for_greeting", Operator, Auto, "Waiting for the greeting" => "Wartet auf die Begrüßung",
        "{host} took the connection and has not said a word yet: its greeting is waited for."
        => "{host} hat die Verbindung angenommen und noch kein Wort gesagt: auf die Begrüßung wird gewartet.",
        "Usually the port speaks TLS at once and security says starttls: set it to tls (465), or take the port for \
         starttls (587). Else nothing that speaks SMTP listens there, or the server lets strangers wait on purpose."
        => "Meist spricht der Port sofort TLS, und security steht auf starttls: auf tls stellen (465), oder den \
         Port für starttls nehmen (587). Sonst lauscht dort nichts, das SMTP spricht, oder der Server lässt Fremde \
         absichtlich warten.";
    /// The server has not answered AUTH yet.
    WAITING_FOR_SIGN_IN = "waiting_for_sign_in", Provider, Auto, "Waiting for the sign-in's answer" => "Wartet auf die Antwort der Anmeldung",
        "{host} has not answered {detail|a command} yet."
        => "{host} hat auf {detail|einen Befehl} noch nicht geantwortet.",
        "Usually what the server checks sign-ins with is down or slow. Nothing is known against user name and \
         password. It is tried again by itself; if it stays, look into the server's own log."
        => "Meist ist ausgefallen oder langsam, womit der Server Anmeldungen prüft. Gegen Benutzernamen und \
         Kennwort liegt nichts vor. Es wird von selbst wieder versucht; bleibt es dabei, im Protokoll des Servers \
         nachsehen.";
    /// The server has not answered a command yet.
    WAITING_FOR_ANSWER = "waiting_for_answer", Provider, Auto, "Waiting for an answer" => "Wartet auf eine Antwort",
        "{host} has not answered {detail|a command} yet."
        => "{host} hat auf {detail|einen Befehl} noch nicht geantwortet.",
        "The server is overloaded, or something on the way (a firewall that looks into mail) swallows the answer. It \
         is tried again by itself; if it stays, look into the server's own log."
        => "Der Server ist überlastet, oder etwas unterwegs (eine Firewall, die in Mail hineinsieht) verschluckt die \
         Antwort. Es wird von selbst wieder versucht; bleibt es dabei, im Protokoll des Servers nachsehen.";
    /// The server does not speak its protocol.
    SERVER_UNREADABLE = "server_unreadable", Provider, Auto, "Server not understood" => "Server nicht verständlich",
        "{host} answers something that cannot be understood."
        => "{host} antwortet etwas, das nicht zu verstehen ist.",
        "It is tried again by itself. If it stays, check that host and port are those of the mail server, and \
         report it with the evidence."
        => "Es wird von selbst wieder versucht. Bleibt es dabei, prüfen, ob Name und Port die des Mailservers \
         sind, und es mit dem Wortlaut melden.";
    /// A command was refused for a reason nobody has met yet.
    SERVER_REFUSED = "server_refused", Provider, Auto, "Server refuses" => "Server lehnt ab",
        "{host} refuses what it is asked for {address}."
        => "{host} lehnt ab, worum es für {address} gebeten wird.",
        "It is tried again by itself. If it stays, its own words in the evidence say what it wants."
        => "Es wird von selbst wieder versucht. Bleibt es dabei, sagt der Wortlaut, was der Server will.";
    /// The server lacks something.
    SERVER_UNSUPPORTED = "server_unsupported", Operator, AfterFix, "Server cannot be used so" => "Server so nicht verwendbar",
        "{host} cannot be used as it is configured[: {detail}]."
        => "{host} kann so, wie es eingestellt ist, nicht benutzt werden[: {detail}].",
        "Change host, port, security or the way of signing in to what the server offers."
        => "Name, Port, Verschlüsselung oder Art der Anmeldung auf das ändern, was der Server bietet.";
    /// No space left.
    STORAGE_FULL = "storage_full", Operator, Auto, "No space left" => "Kein Platz mehr",
        "There is no space left[ for {detail}], so no mail is fetched."
        => "Für {detail|neue Mail} ist kein Platz mehr, deshalb wird keine Mail geholt.",
        "Free space on the disk of the data directory; it goes on by itself."
        => "Auf der Platte des Datenverzeichnisses Platz schaffen; es geht von selbst weiter.",
        commands [
            "df -h",
        ];
    /// STARTTLS is configured and not offered, or tampered with.
    STARTTLS_MISSING = "starttls_missing", Operator, AfterFix, "STARTTLS not offered" => "STARTTLS nicht angeboten",
        "{host} does not offer STARTTLS, which is configured: nothing was sent."
        => "{host} bietet das eingestellte STARTTLS nicht an: es wurde nichts gesendet.",
        "Use the port and security the server offers (tls on 465 or 993). If it used to work, somebody may be \
         stripping encryption on the way."
        => "Port und Verschlüsselung benutzen, die der Server bietet (tls auf 465 oder 993). Ging es früher, \
         entfernt vielleicht jemand unterwegs die Verschlüsselung.";
    /// STARTTLS is offered and refused (RFC 3207 §4: 454).
    STARTTLS_REFUSED = "starttls_refused", Provider, Auto, "STARTTLS refused" => "STARTTLS abgelehnt",
        "{host} offers STARTTLS and refuses it: nothing was sent."
        => "{host} bietet STARTTLS an und lehnt es ab: es wurde nichts gesendet.",
        "Usually the server cannot read its own certificate or key. It is tried again by itself; if it stays, look \
         into the server's own log."
        => "Meist kann der Server sein eigenes Zertifikat oder seinen Schlüssel nicht lesen. Es wird von selbst \
         wieder versucht; bleibt es dabei, im Protokoll des Servers nachsehen.";
    /// Plaintext after the STARTTLS answer.
    STARTTLS_INJECTION = "starttls_injection", Operator, Auto, "Tampering at STARTTLS" => "Manipulation bei STARTTLS",
        "Text followed the STARTTLS answer of {host} before encryption began: somebody may be tampering with \
         the connection."
        => "Auf die STARTTLS-Antwort von {host} folgte Text, bevor die Verschlüsselung begann: jemand manipuliert \
         vielleicht die Verbindung.",
        "Nothing of it was believed and nothing was sent. Find out who stands between this machine and the \
         server."
        => "Nichts davon wurde geglaubt und nichts gesendet. Herausfinden, wer zwischen diesem Rechner und dem \
         Server steht.";
    /// This machine's clock.
    CLOCK_WRONG = "clock_wrong", Operator, AfterFix, "Clock wrong" => "Uhr falsch",
        "This machine's clock is {detail|wrong}."
        => "Die Uhr dieses Rechners geht falsch[ ({detail})].",
        "Set the clock and let it be kept by NTP: with a wrong one, certificates and sign-ins are refused."
        => "Die Uhr stellen und von NTP führen lassen: mit einer falschen werden Zertifikate und Anmeldungen \
         abgelehnt.",
        commands [
            "timedatectl status",
            "timedatectl set-ntp true",
        ];
    /// The examination took too long.
    DOCTOR_TIMEOUT = "doctor_timeout", Operator, Auto, "Examination out of time" => "Untersuchung dauerte zu lang",
        "This step was not done when the time for the examination had run out."
        => "Dieser Schritt war nicht fertig, als die Zeit für die Untersuchung um war.",
        "The other side is very slow, or an earlier step took most of the time. Try again, or allow more time \
         in timing.doctor."
        => "Die Gegenseite ist sehr langsam, oder ein früherer Schritt hat die meiste Zeit gebraucht. Noch einmal \
         versuchen, oder in timing.doctor mehr Zeit erlauben.";
}
