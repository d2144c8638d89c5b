//! How herald gets into NATS: TLS, and who it is there. Files are looked at before the first connection, and read again
//! at each, so that one that was replaced is used without a restart.

use std::path::{Path, PathBuf};

use async_nats::{Auth, AuthError, ConnectOptions, ServerAddr};
use nkeys::KeyPair;
use percent_encoding::percent_decode_str;
use tokio::task::spawn_blocking;

use super::NatsOptions;

/// Who herald is, by a file.
#[derive(Clone)]
enum Identity {
    /// A JWT and the seed of the key that it was given to.
    Credentials(PathBuf),
    /// A seed alone.
    Nkey(PathBuf),
}

/// What the connection begins with. The error is in words for the operator, without any secret.
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
        None => named_in_url(servers),
    };
    with_tls(connect, options)
}

/// The client takes nothing from the URL but the address.
fn named_in_url(servers: &[ServerAddr]) -> ConnectOptions {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let named = servers.iter().find_map(|server| Some((server.username()?, server.password())));
    match named {
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
    /// Signs what the server asks to have signed.
    fn prove(&self, nonce: &[u8]) -> Result<Auth, String> {
        let (Self::Credentials(file) | Self::Nkey(file)) = self;
        let text = read(file)?;
        let wrong = |what: &str| format!("{}: there is no {what} in it", file.display());
        let seed = text.lines().map(str::trim).find(|line| line.starts_with("SU"));
        let pair = seed.and_then(|seed| KeyPair::from_seed(seed).ok());
        let pair = pair.ok_or_else(|| wrong("seed of a user (SU…)"))?;
        let mut auth = Auth::new();
        // A key pair fails to sign only when it has no seed. Its error says no more.
        auth.signature = Some(pair.sign(nonce).map_err(|_| wrong("seed that signs"))?);
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
    Err(format!("{}: there is no {what} in it (expected PEM)", file.display()))
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}
