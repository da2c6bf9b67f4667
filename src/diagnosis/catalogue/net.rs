//! Causes on the way to a server: names, addresses, TLS, our own limits.

super::entries! {
    /// The name does not resolve.
    HOST_UNKNOWN = "host_unknown", Operator, Auto,
        "The name {host} cannot be resolved.",
        "Check the host name for a typing error, then this machine's DNS.",
        commands ["getent ahosts {host}"];
    /// Nobody listens there.
    CONNECTION_REFUSED = "connection_refused", Operator, Auto,
        "{host} refuses connections on the configured port.",
        "Check host and port, and that the service runs; a firewall may refuse on its behalf.";
    /// No route, or no answer.
    HOST_UNREACHABLE = "host_unreachable", Operator, Auto,
        "{host} cannot be reached from this machine.",
        "Check the network and outgoing firewall rules for the configured port.";
    /// The server's certificate is not accepted.
    CERTIFICATE = "tls_certificate", Operator, AfterFix,
        "The certificate of {host} is not accepted: {detail}.",
        "If the server is your own, name its certificate authority in tls.extra_ca. If not, somebody may be in \
         between: do not go around it.",
        commands ["openssl s_client -connect {host}:<port> -servername {host} -showcerts"];
    /// TLS fails otherwise.
    TLS_FAILED = "tls_failed", Operator, Auto,
        "No TLS connection with {host} can be made.",
        "Check that port and security fit: 993 and 465 speak TLS at once, 143 and 587 need starttls. TLS 1.2 is \
         the least that is spoken.";
    /// Unprotected connections leave this machine only when allowed.
    PLAIN_REFUSED = "plain_refused", Operator, AfterFix,
        "security none is configured for {host}, which is not this machine: nothing was sent.",
        "Set security to tls or starttls, or allow unprotected connections in the configuration.";
    /// The connection broke.
    CONNECTION_LOST = "connection_lost", Nobody, Auto,
        "The connection with {host} broke.",
        "Nothing needs to be done; it is tried again.";
    /// The server sent what no server should.
    LIMIT_EXCEEDED = "server_limit_exceeded", Provider, Auto,
        "{host} sent more than a mail server may: {detail}.",
        "The connection was ended to protect the other mailboxes. If this repeats, the server is broken or not the \
         one it claims to be.";
    /// The server does not answer.
    SERVER_SILENT = "server_silent", Provider, Auto,
        "{host} accepts the connection and then does not answer in time.",
        "It is tried again by itself. If it stays, check that host, port and security fit each other, then the \
         server's own log.";
    /// The server does not speak its protocol.
    SERVER_UNREADABLE = "server_unreadable", Provider, Auto,
        "{host} answers something that cannot be understood.",
        "It is tried again by itself. If it stays, check that host and port are those of the mail server, and \
         report it with the evidence.";
    /// A command was refused for a reason nobody has met yet.
    SERVER_REFUSED = "server_refused", Provider, Auto,
        "{host} refuses what it is asked for {address}.",
        "It is tried again by itself. If it stays, its own words in the evidence say what it wants.";
    /// The server lacks something.
    SERVER_UNSUPPORTED = "server_unsupported", Operator, AfterFix,
        "{host} cannot be used as it is configured: {detail}.",
        "Change host, port, security or the way of signing in to what the server offers.";
    /// No space left.
    STORAGE_FULL = "storage_full", Operator, Auto,
        "There is no space left for {detail}, so no mail is fetched.",
        "Free space on the disk of the data directory; it goes on by itself.",
        commands ["df -h"];
    /// STARTTLS is configured and not offered, or tampered with.
    STARTTLS_MISSING = "starttls_missing", Operator, AfterFix,
        "{host} does not offer STARTTLS, which is configured: nothing was sent.",
        "Use the port and security the server offers (tls on 465 or 993). If it used to work, somebody may be \
         stripping encryption on the way.";
    /// Plaintext after the STARTTLS answer.
    STARTTLS_INJECTION = "starttls_injection", Operator, Auto,
        "Text followed the STARTTLS answer of {host} before encryption began: somebody may be tampering with the \
         connection.",
        "Nothing of it was believed and nothing was sent. Find out who stands between this machine and the server.";
    /// This machine's clock.
    CLOCK_WRONG = "clock_wrong", Operator, AfterFix,
        "This machine's clock is {detail}.",
        "Set the clock and let it be kept by NTP: with a wrong one, certificates and sign-ins are refused.",
        commands ["timedatectl status", "timedatectl set-ntp true"];
    /// The examination took too long.
    DOCTOR_TIMEOUT = "doctor_timeout", Operator, Auto,
        "This step was not done when the time for the examination had run out.",
        "The other side is very slow, or an earlier step took most of the time. Try again, or allow more time in \
         timing.doctor.";
}
