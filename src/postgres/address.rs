//! The URL of a Postgres. Whatever in it herald would ignore or might misread is refused.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

const UNREADABLE: &str = "the Postgres URL cannot be read: expected postgres://USER:PASSWORD@HOST:PORT/NAME. In a user name, \
    a password or the name of a database, percent-encode every character but letters, digits and -._~: # is %23, / is \
    %2F, ? is %3F, @ is %40, : is %3A, % is %25";

const SEVERAL_HOSTS: &str = "the Postgres URL names several hosts, and herald connects to one. Name a host that leads to the \
    primary: a DNS name or a virtual address that follows a failover, or a proxy such as HAProxy or PgBouncer (session \
    pooling) that does";

/// What can be said in a URL.
const KNOWN: [&str; 16] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-cert",
    "ssl-key",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "target_session_attrs",
    "user",
];

/// What others can be told in a URL. They are refused by name; what is not here may be a piece of a password.
const UNSUPPORTED: [&str; 32] = [
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "connection_limit",
    "currentSchema",
    "fallback_application_name",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "passfile",
    "pgbouncer",
    "pool_timeout",
    "replication",
    "require_auth",
    "requirepeer",
    "schema",
    "search_path",
    "service",
    "ssl",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcertmode",
    "sslcrl",
    "sslnegotiation",
    "sslpassword",
    "sslsni",
    "statement_timeout",
    "tcp_user_timeout",
];

/// Whether a database URL names a Postgres.
pub fn is_postgres(url: &str) -> bool {
    SCHEMES.iter().any(|scheme| url.starts_with(scheme))
}

/// Where Postgres is, and as whom herald connects. The start-up parameters are those that poolers let through.
///
/// # Errors
/// In words for the operator, without any part of the URL but the names of known parameters.
pub fn parse(url: &str) -> Result<PgConnectOptions, String> {
    let rest = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme)).ok_or(UNREADABLE)?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, name) = place.split_once('/').unwrap_or((place, ""));
    let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if rest.contains('#') || name.contains(['/', '@']) || decoded(rest).is_none() {
        return Err(UNREADABLE.into());
    }
    if host.contains(',') {
        return Err(SEVERAL_HOSTS.into());
    }
    let port = host.rsplit_once(':').filter(|_| !host.ends_with(']')).map(|(_, port)| port);
    if port.is_some_and(|port| !port.is_empty() && port.parse::<u16>().is_err()) {
        return Err(UNREADABLE.into());
    }
    let parameters = Parameters::parse(query)?;
    let readable = format!("postgres://{place}?{}", parameters.passed_on);
    let mut options: PgConnectOptions = readable
        .parse()
        // The error of sqlx may quote a piece of a password.
        .map_err(|_| UNREADABLE)?;
    // It may come from PGHOST.
    if options.get_host().contains(',') {
        return Err(SEVERAL_HOSTS.into());
    }
    if let Some(mode) = parameters.tls {
        options = options.ssl_mode(mode);
    }
    // Nothing of herald's is a floating-point number, and PgBouncer refuses this parameter.
    Ok(options.extra_float_digits(None).disable_statement_logging())
}

/// What follows the question mark.
#[derive(Default)]
struct Parameters {
    passed_on: String,
    /// Where it has to be another than is said.
    tls: Option<PgSslMode>,
}

impl Parameters {
    fn parse(query: &str) -> Result<Self, String> {
        let mut these = Self::default();
        let (mut mode, mut authority) = (None, None);
        for (number, parameter) in query.split('&').enumerate().filter(|(_, parameter)| !parameter.is_empty())
        {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let text = decoded(value).ok_or(UNREADABLE)?;
            match name {
                "target_session_attrs" => {
                    is_of_a_primary(&text)?;
                    continue;
                }
                "host" | "hostaddr" | "port" if text.contains(',') => return Err(SEVERAL_HOSTS.into()),
                "sslmode" => mode = Some(tls_mode(&text)?),
                "sslrootcert" => {
                    authority = Some(text.clone().into_owned());
                    if text == "system" {
                        continue;
                    }
                }
                _ if KNOWN.contains(&name) || name.starts_with("options[") => {}
                _ if UNSUPPORTED.contains(&name) => {
                    return Err(format!(
                        "herald does not know the parameter `{name}` of a Postgres URL, and ignores none: leave it out. \
                         Settings of a session can be given by ALTER ROLE … SET, times by --database-timeout"
                    ));
                }
                _ if query.contains('@') => return Err(UNREADABLE.into()),
                _ => {
                    let number = number + 1;
                    return Err(format!(
                        "herald does not know parameter {number} of the Postgres URL, and ignores none: leave it out. If it \
                         is part of a password: {UNREADABLE}"
                    ));
                }
            }
            these.passed_on.push_str(parameter);
            these.passed_on.push('&');
        }
        these.tls = match (mode, authority.as_deref()) {
            (None | Some(PgSslMode::Disable | PgSslMode::Prefer), Some(_)) => {
                return Err(
                    "sslrootcert without sslmode=verify-full verifies nothing: add it to the Postgres URL"
                        .into(),
                );
            }
            (Some(PgSslMode::Require), Some("system")) => Some(PgSslMode::VerifyFull),
            // As libpq does: who names an authority wants it asked.
            (Some(PgSslMode::Require), Some(_)) => Some(PgSslMode::VerifyCa),
            _ => None,
        };
        Ok(these)
    }
}

fn tls_mode(value: &str) -> Result<PgSslMode, String> {
    match value {
        // sqlx takes it for `disable`.
        "allow" => Err("sslmode=allow is not supported: take prefer, or better verify-full".into()),
        _ => value
            .parse()
            // The error of sqlx quotes the value, which may be a piece of a password.
            .map_err(|_| "sslmode has to be disable, prefer, require, verify-ca or verify-full".to_owned()),
    }
}

/// herald takes a primary and nothing else, so that this is what can be asked for.
fn is_of_a_primary(attributes: &str) -> Result<(), String> {
    match attributes {
        "any" | "primary" | "read-write" => Ok(()),
        _ => Err("target_session_attrs has to be primary or read-write, or left out: herald writes".into()),
    }
}

/// The text that is percent-encoded; `None` if it is not, which mostly is a % that stands for itself.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    let are_codes = text
        .split('%')
        .skip(1)
        .all(|after| after.len() >= 2 && after.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit));
    are_codes.then(|| percent_decode_str(text).decode_utf8().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        match parse(url) {
            Ok(options) => panic!("{url} was taken for {}", options.get_host()),
            Err(reason) => reason,
        }
    }

    #[test]
    fn a_password_that_is_not_encoded_is_refused_without_being_told() {
        for password in [
            "hunter2#x",
            "hunter2/x",
            "hunter2?x",
            "hunter2?x=y",
            "hunter2?a=b&c=d",
            "hunter2%",
            "hunter2%zz",
            "hunter2%ff",
            "#hunter2",
            "/hunter2",
            "?hunter2",
            "hunter2@a/b",
            "hunter2@a?b",
            "12/hunter2",
            "12?hunter2",
            "12#hunter2",
        ] {
            for host in ["db", "db:5432", "[::1]:5432", "a,b"] {
                let reason = refusal(&format!("postgres://ada:{password}@{host}/herald"));
                assert!(!reason.contains("unter2"), "{password}: {reason}");
                assert!(reason.contains("%23"), "{password}@{host}: {reason}");
            }
        }
    }

    #[test]
    fn a_password_arrives_as_it_is_meant() {
        for url in [
            "postgres://ada:hunter2@db:5433/herald",
            "postgresql://ada:p%23%2F%3F%40%25x@db:5433/herald?sslmode=verify-full&application_name=a@b",
            "postgres://ada:p@ss@db:5433/herald?target_session_attrs=read-write",
            "postgres://db:5433/herald?user=ada&password=p%26x",
        ] {
            let options = parse(url).unwrap();
            assert_eq!((options.get_host(), options.get_port()), ("db", 5433), "{url}");
            assert_eq!((options.get_username(), options.get_database()), ("ada", Some("herald")), "{url}");
        }
        assert_eq!(parse("postgres://ada@[::1]/herald").unwrap().get_host(), "[::1]");
        assert!(parse("postgres:///herald?host=/run/postgresql").unwrap().get_socket().is_some());
    }

    #[test]
    fn what_would_be_ignored_is_refused_by_name() {
        for (url, word) in [
            ("postgres://ada:hunter2@a,b/herald", "several hosts"),
            ("postgres://ada:hunter2@a:1,b:2/herald?target_session_attrs=read-write", "several hosts"),
            ("postgres://ada:hunter2@/herald?host=a,b", "several hosts"),
            ("postgres://ada:hunter2@a/herald?target_session_attrs=standby", "target_session_attrs"),
            ("postgres://ada:hunter2@a/herald?connect_timeout=3", "`connect_timeout`"),
            ("postgres://ada:hunter2@a/herald?channel_binding=require", "`channel_binding`"),
            ("postgres://ada:hunter2@a/herald?sslmode=allow", "sslmode=allow"),
            ("postgres://ada:hunter2@a/herald?sslmode=hunter2", "sslmode has to be"),
            ("postgres://ada:hunter2@a/herald?sslrootcert=/ca.pem", "sslmode=verify-full"),
            ("postgres://ada:hunter2@a/herald?sslmode=require&hunter2=x", "parameter 2"),
        ] {
            let reason = refusal(url);
            assert!(reason.contains(word) && !reason.contains("hunter2"), "{url}: {reason}");
        }
    }

    #[test]
    fn an_authority_that_is_named_is_asked() {
        for (parameters, expected) in [
            ("sslmode=require&sslrootcert=/ca.pem", "VerifyCa"),
            ("sslmode=require&sslrootcert=system", "VerifyFull"),
            ("sslmode=verify-full&sslrootcert=/ca.pem", "VerifyFull"),
            ("sslmode=require", "Require"),
        ] {
            let options = parse(&format!("postgres://a/herald?{parameters}")).unwrap();
            assert_eq!(format!("{:?}", options.get_ssl_mode()), expected, "{parameters}");
        }
    }
}
