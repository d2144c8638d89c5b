//! Describes the failure of a connection in words for the operator.

use std::io::{Error as IoError, ErrorKind};

use sqlx::Error;

/// How many connections herald needs, and what to do where it does not get them.
pub(super) const ENOUGH: &str = "Each node of herald needs --database-readers + 4 connections at a time: raise \
    default_pool_size of PgBouncer, or max_connections of Postgres, or connect directly";

/// What is wrong, and what to do. The text leaves out what Postgres quotes, because that may be a part of the URL.
pub fn describe(error: &Error) -> String {
    match error {
        Error::Io(error) => describe_network(error),
        Error::Tls(error) => describe_tls(&error.to_string()),
        Error::Database(error) => {
            describe_server(error.code().as_deref().unwrap_or_default(), error.message())
        }
        Error::PoolTimedOut => {
            "it does not answer in time. Check the host, the port, and the firewalls in between".into()
        }
        Error::InvalidArgument(reason) => reason.clone(),
        other => without_quotes(&other.to_string()),
    }
}

/// The same for another connection to a Postgres that has just let herald in.
pub fn describe_another(error: &Error) -> String {
    match error {
        Error::PoolTimedOut => format!("it gives herald no further connection. {ENOUGH}"),
        other => describe(other),
    }
}

fn describe_network(error: &IoError) -> String {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::ConnectionRefused => "nothing listens there (connection refused). Check the host and the port, and \
             that Postgres runs"
            .into(),
        ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => {
            "it closed the connection and gave no reason. Check that it is Postgres, that it has connections left, and \
                 the firewalls in between".into()
        }
        ErrorKind::NotFound => {
            "there is no such file: the socket of Postgres, or a certificate or key that the URL names".into()
        }
        ErrorKind::PermissionDenied => {
            "herald may not open a file: the socket of Postgres, or a certificate or key that the URL names".into()
        }
        ErrorKind::TimedOut => {
            "it does not answer in time. Check the host, the port, and the firewalls in between".into()
        }
        // This is how an error of rustls in a handshake arrives.
        ErrorKind::InvalidData => describe_tls(&text),
        _ if text.contains("lookup address") => {
            "its host has no address, because nobody knows the name. Check the name of the host".into()
        }
        _ => without_quotes(&text),
    }
}

fn describe_tls(reason: &str) -> String {
    let advice = if reason.contains("UnknownIssuer") {
        "Name the certificate authority by sslrootcert=FILE, or add it to those of the system (or to SSL_CERT_FILE)"
    } else if reason.contains("not valid for name") {
        "Name the host in the URL as the certificate names it, or use sslmode=verify-ca"
    } else if reason.contains("does not support TLS") {
        "Turn on `ssl` in Postgres, or change sslmode"
    } else {
        "Check sslmode, sslrootcert, sslcert and sslkey in the URL"
    };
    format!("TLS failed: {}. {advice}", without_quotes(reason))
}

/// The codes are those of <https://www.postgresql.org/docs/current/errcodes-appendix.html>. PgBouncer uses 08P01 for
/// every error of its own.
fn describe_server(code: &str, message: &str) -> String {
    match code {
        "28P01" => "the password is wrong, or there is no such user".into(),
        "28000" => "it does not let this user in from this address: see its log and its pg_hba.conf".into(),
        "3D000" => "there is no such database: create it with the encoding UTF8".into(),
        "08P01" if message.starts_with("no such database") => {
            "the pooler knows no such database: see [databases] in pgbouncer.ini".into()
        }
        "08P01" if message.starts_with("no such user") => {
            "the pooler knows no such user: see auth_file in pgbouncer.ini".into()
        }
        "08P01" if message.starts_with("unsupported startup parameter") => {
            "the pooler lets no start-up parameters through. Remove `options` from the URL and unset PGOPTIONS; use \
             ALTER ROLE … SET instead"
                .into()
        }
        "53300" => {
            "all its connections are in use: raise max_connections, or lower --database-readers".into()
        }
        "57P03" => "it is starting or stopping. Try again".into(),
        _ => without_quotes(message),
    }
}

/// The text with `…` for everything between double quotes.
fn without_quotes(text: &str) -> String {
    let pieces =
        text.split('"').enumerate().map(|(index, piece)| if index % 2 == 0 { piece } else { "\"…\"" });
    pieces.collect()
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
