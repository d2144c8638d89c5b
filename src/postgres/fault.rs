//! Words for what goes wrong with a connection.

use std::io::{Error as IoError, ErrorKind};

use sqlx::Error;

/// What is wrong, and what to do. Without what a URL may have brought into it: Postgres quotes that.
pub fn describe(error: &Error) -> String {
    match error {
        Error::Io(error) => of_network(error),
        Error::Tls(error) => of_tls(&error.to_string()),
        Error::Database(error) => of_server(error.code().as_deref().unwrap_or_default(), error.message()),
        Error::PoolTimedOut => {
            "it does not answer in time. Check the host, the port, and firewalls in between".into()
        }
        Error::InvalidArgument(reason) => reason.clone(),
        other => without_quotes(&other.to_string()),
    }
}

fn of_network(error: &IoError) -> String {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::ConnectionRefused => "nothing listens there (connection refused). Check the host and the port, and whether \
             Postgres runs"
            .into(),
        ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => {
            "it closed the connection without a word. Is it Postgres, and not out of connections or behind a firewall?".into()
        }
        ErrorKind::NotFound => {
            "there is no such file: its socket, or a certificate or key that the URL names".into()
        }
        ErrorKind::PermissionDenied => {
            "herald may not open its socket, or a certificate or key that the URL names".into()
        }
        ErrorKind::TimedOut => {
            "it does not answer in time. Check the host, the port, and firewalls in between".into()
        }
        // What rustls says of a handshake comes as this.
        ErrorKind::InvalidData => of_tls(&text),
        _ if text.contains("lookup address") => {
            "its host has no address (the name is not known). Check the host's name".into()
        }
        _ => without_quotes(&text),
    }
}

fn of_tls(reason: &str) -> String {
    let advice = if reason.contains("UnknownIssuer") {
        "Name the certificate authority by sslrootcert=FILE, or have it among the system's (or in SSL_CERT_FILE)"
    } else if reason.contains("not valid for name") {
        "The URL has to name the host as the certificate does, or say sslmode=verify-ca"
    } else if reason.contains("does not support TLS") {
        "Turn on `ssl` in Postgres, or change sslmode"
    } else {
        "Check sslmode, sslrootcert, sslcert and sslkey in the URL"
    };
    format!("TLS failed: {}. {advice}", without_quotes(reason))
}

/// By the codes of <https://www.postgresql.org/docs/current/errcodes-appendix.html>. PgBouncer has 08P01 for everything.
fn of_server(code: &str, message: &str) -> String {
    match code {
        "28P01" => "the password is wrong, or there is no such user".into(),
        "28000" => "it does not let this user in from here: see its log, and pg_hba.conf".into(),
        "3D000" => "there is no such database: create it, with the encoding UTF8".into(),
        "08P01" if message.starts_with("no such database") => {
            "the pooler knows no such database: see [databases] in pgbouncer.ini".into()
        }
        "08P01" if message.starts_with("no such user") => {
            "the pooler knows no such user: see auth_file in pgbouncer.ini".into()
        }
        "08P01" if message.starts_with("unsupported startup parameter") => {
            "the pooler lets no start-up parameters through. Leave `options` out of the URL and PGOPTIONS unset; what they \
             say can be set by ALTER ROLE … SET"
                .into()
        }
        "53300" => {
            "all its connections are taken: raise max_connections, or have fewer --database-readers".into()
        }
        "57P03" => "it is starting or stopping. Try again".into(),
        _ => without_quotes(message),
    }
}

/// Without what stands in double quotes.
fn without_quotes(text: &str) -> String {
    let parts = text.split('"').enumerate().map(|(index, part)| if index % 2 == 0 { part } else { "\"…\"" });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::without_quotes;

    #[test]
    fn what_is_quoted_is_left_out() {
        assert_eq!(without_quotes(r#"role "hunter2" may not "x"#), r#"role "…" may not "…""#);
        assert_eq!(without_quotes("nothing"), "nothing");
    }
}
