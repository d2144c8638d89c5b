//! How herald signs in to NATS, and TLS. herald checks the files before it first connects. It reads them again at each
//! connection, so that it uses a replaced file without a restart.

use std::path::{Path, PathBuf};

use async_nats::{Auth, AuthError, ConnectOptions, ServerAddr};
use nkeys::KeyPair;
use percent_encoding::percent_decode_str;
use tokio::task::spawn_blocking;

use super::NatsOptions;

/// A file that proves who herald is.
#[derive(Clone)]
enum Identity {
    /// A file with a JWT and with the seed of its key.
    Credentials(PathBuf),
    /// A file with a seed alone.
    Nkey(PathBuf),
}

/// The options with which the client connects. The error is for the operator, and repeats no secret.
pub(super) fn connect_options(
    options: &NatsOptions,
    servers: &[ServerAddr],
) -> Result<ConnectOptions, String> {
    let identity = match (&options.credentials, &options.nkey) {
        (Some(file), _) => Some(("--feed-credentials", Identity::Credentials(file.clone()))),
        (None, Some(file)) => Some(("--feed-nkey", Identity::Nkey(file.clone()))),
        (None, None) => None,
    };
    let connect = match identity {
        Some((flag, identity)) => {
            identity.prove(b"").map_err(|reason| format!("{flag} {reason}"))?;
            ConnectOptions::with_auth_callback(move |nonce| {
                let identity = identity.clone();
                async move {
                    let proof = spawn_blocking(move || identity.prove(&nonce)).await;
                    proof.map_err(AuthError::new)?.map_err(AuthError::new)
                }
            })
        }
        None => from_url(servers),
    };
    with_tls(connect, options)
}

/// Signs in with what the URLs hold. The client itself reads only the address from a URL.
fn from_url(servers: &[ServerAddr]) -> ConnectOptions {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let credentials = servers.iter().find_map(|server| Some((server.username()?, server.password())));
    match credentials {
        Some((user, Some(password))) => {
            ConnectOptions::with_user_and_password(decoded(user), decoded(password))
        }
        Some((token, None)) => ConnectOptions::with_token(decoded(token)),
        None => ConnectOptions::new(),
    }
}

fn with_tls(mut connect: ConnectOptions, options: &NatsOptions) -> Result<ConnectOptions, String> {
    if let Some(authorities) = &options.authorities {
        holds(authorities, "BEGIN CERTIFICATE").map_err(|reason| format!("--feed-ca {reason}"))?;
        connect = connect.add_root_certificates(authorities.clone()).require_tls(true);
    }
    if let Some((certificate, key)) = &options.certificate {
        holds(certificate, "BEGIN CERTIFICATE").map_err(|reason| format!("--feed-certificate {reason}"))?;
        holds(key, "PRIVATE KEY").map_err(|reason| format!("--feed-key {reason}"))?;
        connect = connect.add_client_certificate(certificate.clone(), key.clone()).require_tls(true);
    }
    Ok(connect)
}

impl Identity {
    /// Signs the server's nonce with the key from the file.
    fn prove(&self, nonce: &[u8]) -> Result<Auth, String> {
        let (Self::Credentials(file) | Self::Nkey(file)) = self;
        let text = read(file)?;
        let wrong = |what: &str| format!("{}: the file has no {what}", file.display());
        let seed = text.lines().map(str::trim).find(|line| line.starts_with("SU"));
        let pair = seed.and_then(|seed| KeyPair::from_seed(seed).ok());
        let pair = pair.ok_or_else(|| wrong("seed of a user (SU…)"))?;
        let mut auth = Auth::new();
        // A key pair fails to sign only when it has no seed. Its error says no more.
        auth.signature = Some(pair.sign(nonce).map_err(|_| wrong("seed that can sign"))?);
        match self {
            Self::Nkey(_) => auth.nkey = Some(pair.public_key()),
            Self::Credentials(_) => {
                let mut after = text.lines().skip_while(|line| !line.contains("BEGIN NATS USER JWT"));
                let jwt = after.nth(1).map(str::trim).filter(|jwt| !jwt.is_empty());
                auth.jwt = Some(jwt.ok_or_else(|| wrong("JWT"))?.to_owned());
            }
        }
        Ok(auth)
    }
}

fn holds(file: &Path, what: &str) -> Result<(), String> {
    if read(file)?.contains(what) {
        return Ok(());
    }
    Err(format!("{}: the file has no {what} (expected PEM)", file.display()))
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}
