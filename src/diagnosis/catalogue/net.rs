//! Causes on the way to a server: names, addresses, TLS, our own limits.

super::entries! {
    /// The name does not resolve.
    HOST_UNKNOWN = "host_unknown", Operator, Auto, "Host unknown" => "Rechnername unbekannt",
        "The name {host} cannot be resolved."
        => "Der Name {host} kann nicht aufgelöst werden.",
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
    /// The server's certificate is not accepted.
    CERTIFICATE = "tls_certificate", Operator, AfterFix, "Certificate not accepted" => "Zertifikat nicht anerkannt",
        "The certificate of {host} is not accepted: {detail}."
        => "Das Zertifikat von {host} wird nicht anerkannt: {detail}.",
        "If the server is your own, name its certificate authority in tls.extra_ca. If not, somebody may be in \
         between: do not go around it."
        => "Ist es ein eigener Server, seine Zertifizierungsstelle in tls.extra_ca nennen. Wenn nicht, steht \
         vielleicht jemand dazwischen: nicht umgehen.",
        commands [
            "openssl s_client -connect {host}:<port> -servername {host} -showcerts",
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
        "{host} sent more than a mail server may: {detail}."
        => "{host} hat mehr geschickt, als ein Mailserver darf: {detail}.",
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
        "{host} cannot be used as it is configured: {detail}."
        => "{host} kann so, wie es eingestellt ist, nicht benutzt werden: {detail}.",
        "Change host, port, security or the way of signing in to what the server offers."
        => "Name, Port, Verschlüsselung oder Art der Anmeldung auf das ändern, was der Server bietet.";
    /// No space left.
    STORAGE_FULL = "storage_full", Operator, Auto, "No space left" => "Kein Platz mehr",
        "There is no space left for {detail}, so no mail is fetched."
        => "Für {detail} ist kein Platz mehr, deshalb wird keine Mail geholt.",
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
        "This machine's clock is {detail}."
        => "Die Uhr dieses Rechners geht falsch ({detail}).",
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
