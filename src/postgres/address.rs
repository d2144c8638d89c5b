//! Reads the URL of a Postgres. herald refuses a URL with a part that it would ignore or might misread.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

const UNREADABLE: &str = "the Postgres URL cannot be read: expected postgres://USER:PASSWORD@HOST:PORT/NAME. In the \
    user name, the password and the name of the database, percent-encode every character except letters, digits and \
    -._~: # is %23, / is %2F, ? is %3F, @ is %40, : is %3A, % is %25";

const SEVERAL_HOSTS: &str = "the Postgres URL names several hosts, and herald connects to one. Name one host that \
    always leads to the primary: a DNS name, a virtual address or a proxy (HAProxy, or PgBouncer with session pooling) \
    that follows a failover";

/// The parameters that herald accepts in a URL.
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

/// Parameters that other programs accept in a URL. herald refuses them by name. It does not repeat any other name,
/// since that may be a piece of a password.
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

/// Where Postgres is, and the user that herald connects as. The options have only start-up parameters that poolers let
/// through.
///
/// # Errors
/// What is wrong with the URL, for the operator. The text repeats nothing of the URL except names of known parameters.
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
        // The error of sqlx may quote a piece of a password, so it is dropped.
        .map_err(|_| UNREADABLE)?;
    // The host may come from PGHOST.
    if options.get_host().contains(',') {
        return Err(SEVERAL_HOSTS.into());
    }
    if let Some(mode) = parameters.tls {
        options = options.ssl_mode(mode);
    }
    // herald stores no floating-point numbers, and PgBouncer refuses this parameter.
    Ok(options.extra_float_digits(None).disable_statement_logging())
}

/// The parameters of a URL, which follow the question mark.
#[derive(Default)]
struct Parameters {
    /// The parameters that sqlx reads, as text.
    passed_on: String,
    /// The TLS mode to use instead of the one in the URL; `None` keeps that one.
    tls: Option<PgSslMode>,
}

impl Parameters {
    fn parse(query: &str) -> Result<Self, String> {
        let mut parameters = Self::default();
        let (mut mode, mut authority) = (None, None);
        for (number, parameter) in query.split('&').enumerate().filter(|(_, parameter)| !parameter.is_empty())
        {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let text = decoded(value).ok_or(UNREADABLE)?;
            match name {
                "target_session_attrs" => {
                    asks_for_primary(&text)?;
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
                        "herald does not support the parameter `{name}` of a Postgres URL, and ignores no parameter: \
                         remove it. Use ALTER ROLE … SET for settings of a session, and --database-timeout for \
                         time-outs"
                    ));
                }
                _ if query.contains('@') => return Err(UNREADABLE.into()),
                _ => {
                    let number = number + 1;
                    return Err(format!(
                        "herald does not know parameter {number} of the Postgres URL, and ignores no parameter: remove \
                         it. If it is part of a password: {UNREADABLE}"
                    ));
                }
            }
            parameters.passed_on.push_str(parameter);
            parameters.passed_on.push('&');
        }
        parameters.tls = match (mode, authority.as_deref()) {
            (None | Some(PgSslMode::Disable | PgSslMode::Prefer), Some(_)) => {
                return Err(
                    "sslrootcert verifies nothing without sslmode=verify-full: add that to the Postgres URL"
                        .into(),
                );
            }
            (Some(PgSslMode::Require), Some("system")) => Some(PgSslMode::VerifyFull),
            // libpq does the same: an authority that the URL names is always checked.
            (Some(PgSslMode::Require), Some(_)) => Some(PgSslMode::VerifyCa),
            _ => None,
        };
        Ok(parameters)
    }
}

fn tls_mode(value: &str) -> Result<PgSslMode, String> {
    match value {
        // sqlx reads `allow` as `disable`.
        "allow" => Err("herald does not support sslmode=allow: use prefer, or better verify-full".into()),
        _ => value
            .parse()
            // The error of sqlx quotes the value, which may be a piece of a password.
            .map_err(|_| "sslmode must be disable, prefer, require, verify-ca or verify-full".to_owned()),
    }
}

/// Accepts the values that a primary satisfies. herald connects to nothing else.
fn asks_for_primary(attributes: &str) -> Result<(), String> {
    match attributes {
        "any" | "primary" | "read-write" => Ok(()),
        _ => Err("target_session_attrs must be primary, read-write or any, because herald writes".into()),
    }
}

/// The text without its percent-encoding; `None` if the encoding is not valid. Mostly a % then stands for itself.
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
            Ok(options) => panic!("{url} was read as host {}", options.get_host()),
            Err(reason) => reason,
        }
    }

    #[test]
    fn a_password_that_is_not_encoded_is_refused_and_never_quoted() {
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
    fn an_encoded_password_is_decoded() {
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
    fn a_parameter_that_herald_would_ignore_is_refused_by_name() {
        for (url, word) in [
            ("postgres://ada:hunter2@a,b/herald", "several hosts"),
            ("postgres://ada:hunter2@a:1,b:2/herald?target_session_attrs=read-write", "several hosts"),
            ("postgres://ada:hunter2@/herald?host=a,b", "several hosts"),
            ("postgres://ada:hunter2@a/herald?target_session_attrs=standby", "target_session_attrs"),
            ("postgres://ada:hunter2@a/herald?connect_timeout=3", "`connect_timeout`"),
            ("postgres://ada:hunter2@a/herald?channel_binding=require", "`channel_binding`"),
            ("postgres://ada:hunter2@a/herald?sslmode=allow", "sslmode=allow"),
            ("postgres://ada:hunter2@a/herald?sslmode=hunter2", "sslmode must be"),
            ("postgres://ada:hunter2@a/herald?sslrootcert=/ca.pem", "sslmode=verify-full"),
            ("postgres://ada:hunter2@a/herald?sslmode=require&hunter2=x", "parameter 2"),
        ] {
            let reason = refusal(url);
            assert!(reason.contains(word) && !reason.contains("hunter2"), "{url}: {reason}");
        }
    }

    #[test]
    fn an_authority_that_the_url_names_is_always_checked() {
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
