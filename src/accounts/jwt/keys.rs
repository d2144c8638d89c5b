//! The keys with which a login system signs: a JSON Web Key Set (RFC 7517), read from a file or a URL and read again
//! when it may have changed.

use std::io;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::config::KeySource;
use crate::http_client::{FetchError, HttpClient};
use crate::trouble::{Trouble, causes};

/// The time between two readings of a key set. A login system that takes a key back is obeyed after this time.
const REFRESH_INTERVAL: Duration = Duration::from_mins(5);

/// The least time between two readings. Tokens with made-up key ids must not make herald ask all the time.
const MIN_REFRESH_PAUSE: Duration = Duration::from_secs(5);

/// The most keys of a key set.
const MAX_KEYS: usize = 100;

/// The most keys that are tried for a token that names none.
const MAX_TRIED_KEYS: usize = 8;

static TROUBLE: Trouble = Trouble::new(
    "the keys of the login system (--jwt-jwks) cannot be read: tokens with other keys than those known are refused",
    "the keys of the login system can be read again",
);

/// Why a key set cannot be read.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("--jwt-jwks: herald cannot read the file")]
    Read(#[source] io::Error),
    /// The web server does not give it.
    #[error("--jwt-jwks: herald cannot fetch the key set")]
    Fetch(#[source] FetchError),
    /// It is no key set.
    #[error("--jwt-jwks: not a JSON Web Key Set")]
    Parse(#[source] serde_json::Error),
    /// It has no key that herald can use, at the start.
    #[error("--jwt-jwks: no public key for signatures in it")]
    Empty,
}

/// What is found for a token.
pub(super) enum Lookup {
    /// These keys may have signed it.
    Found(Vec<Arc<Key>>),
    /// Its key is known, and for other algorithms.
    OtherAlgorithm,
    /// Its key is not known.
    UnknownKey,
}

/// A key set that is read again from time to time.
#[derive(Debug)]
pub(super) struct KeySet {
    source: KeySource,
    client: HttpClient,
    // A `std` lock, because it is never locked across an await.
    known: RwLock<Arc<[Arc<Key>]>>,
    /// The last reading after the first. Whoever reads the key set holds the lock, so that the others wait for one
    /// reading.
    last: Arc<tokio::sync::Mutex<Option<Reading>>>,
}

/// A reading of the key set.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    has_failed: bool,
}

/// A key of the login system.
#[derive(Debug)]
pub(super) struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    pub(super) decoding: DecodingKey,
    /// Tells it from other keys, and from others under the same id.
    digest: [u8; 32],
    /// Cancelled when the login system takes the key back.
    pub(super) withdrawn: CancellationToken,
}

impl KeySet {
    pub(super) async fn start(source: KeySource) -> Result<Arc<Self>, KeysError> {
        let client = HttpClient::new().map_err(KeysError::Read)?;
        let set = Arc::new(Self { source, client, known: RwLock::new(Arc::new([])), last: Arc::default() });
        match set.read().await {
            Ok(keys) if keys.is_empty() => return Err(KeysError::Empty),
            Ok(keys) => set.replace(keys),
            // The login system may start after herald.
            Err(error @ KeysError::Fetch(_)) => TROUBLE.note(&causes(&error)),
            Err(error) => return Err(error),
        }
        tokio::spawn(refresh(Arc::downgrade(&set)));
        Ok(set)
    }

    /// Finds the keys that may have signed a token, among those that are known.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Lookup {
        let known = Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner));
        let named = |key: &&Arc<Key>| kid.is_none_or(|kid| key.id.as_deref() == Some(kid));
        let fitting = known.iter().filter(named).filter(|key| key.algorithms.contains(&algorithm));
        let found: Vec<_> = fitting.take(MAX_TRIED_KEYS).cloned().collect();
        if !found.is_empty() {
            Lookup::Found(found)
        } else if known.iter().any(|key| named(&key)) {
            Lookup::OtherAlgorithm
        } else {
            Lookup::UnknownKey
        }
    }

    /// Reads the key set again, unless it was read within the last seconds. Returns whether it could be read.
    pub(super) async fn read_again(self: &Arc<Self>) -> bool {
        let mut last = Arc::clone(&self.last).lock_owned().await;
        match *last {
            Some(reading) if reading.at.elapsed() < MIN_REFRESH_PAUSE => return !reading.has_failed,
            Some(_) | None => {}
        }
        let set = Arc::clone(self);
        // A task of its own: if whoever asks goes away, the reading counts all the same, and the pause after it.
        let reading = tokio::spawn(async move {
            let reading = set.refresh().await;
            *last = Some(reading);
            reading
        });
        reading.await.is_ok_and(|reading| !reading.has_failed)
    }

    async fn refresh(&self) -> Reading {
        let read = self.read().await;
        let has_failed = read.is_err();
        match read {
            Ok(keys) => {
                TROUBLE.worked();
                self.replace(keys);
            }
            Err(error) => TROUBLE.note(&causes(&error)),
        }
        Reading { at: Instant::now(), has_failed }
    }

    /// Replaces the keys. Those that are no longer among them are withdrawn, with what was signed by them.
    fn replace(&self, keys: Vec<Key>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = Arc::clone(&known);
        let same = |key: &Key| before.iter().find(|old| old.digest == key.digest);
        let keys = keys.into_iter().map(|key| same(&key).map_or_else(|| Arc::new(key), Arc::clone));
        *known = keys.collect();
        if known.is_empty() && !before.is_empty() {
            tracing::warn!(
                "the key set of the login system (--jwt-jwks) has no key left: its tokens are refused"
            );
        }
        for old in before.iter().filter(|old| !known.iter().any(|key| key.digest == old.digest)) {
            old.withdrawn.cancel();
        }
    }

    async fn read(&self) -> Result<Vec<Key>, KeysError> {
        let text = match &self.source {
            KeySource::File(path) => tokio::task::spawn_blocking({
                let path = path.clone();
                move || std::fs::read(path)
            })
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(KeysError::Read)?,
            KeySource::Url(url) => self.client.get(url.clone()).await.map_err(KeysError::Fetch)?.to_vec(),
        };
        parse(&text).map_err(KeysError::Parse)
    }
}

/// Reads the key set from time to time, for as long as it is in use.
async fn refresh(set: Weak<KeySet>) {
    loop {
        tokio::time::sleep(REFRESH_INTERVAL).await;
        let Some(set) = set.upgrade() else { return };
        let mut last = set.last.lock().await;
        *last = Some(set.refresh().await);
    }
}

#[derive(Deserialize)]
struct Written {
    keys: Vec<Value>,
}

/// The keys of a key set that herald can use. A set may hold others, for encryption or with algorithms of the future.
fn parse(text: &[u8]) -> Result<Vec<Key>, serde_json::Error> {
    let written: Written = serde_json::from_slice(text)?;
    let keys = written.keys.into_iter().take(MAX_KEYS);
    Ok(keys.filter_map(|key| usable(&serde_json::from_value(key).ok()?)).collect())
}

fn usable(jwk: &Jwk) -> Option<Key> {
    let common = &jwk.common;
    let is_for_signatures = common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|it| it.contains(&KeyOperations::Verify));
    let mut algorithms = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa.algorithms().to_vec(),
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            vec![Algorithm::EdDSA]
        }
        // Whoever can check a signature by a shared secret can also make one.
        _ => return None,
    };
    if let Some(only) = common.key_algorithm {
        let only = Algorithm::try_from(only).ok()?;
        algorithms.retain(|algorithm| *algorithm == only);
    }
    if !is_for_signatures || algorithms.is_empty() {
        return None;
    }
    let decoding = DecodingKey::from_jwk(jwk).ok()?;
    let (id, withdrawn) = (common.key_id.clone(), CancellationToken::new());
    Some(Key { digest: digest(jwk)?, id, algorithms, decoding, withdrawn })
}

/// The digest of a key's id, its public value and the algorithm that it is for.
fn digest(jwk: &Jwk) -> Option<[u8; 32]> {
    let common = &jwk.common;
    let written = serde_json::to_vec(&(&common.key_id, &common.key_algorithm, &jwk.algorithm)).ok()?;
    Some(Sha256::digest(written).into())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const SET: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    /// Accepts a request for the key set, as far as having read of it.
    async fn asked(listener: &TcpListener) -> TcpStream {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4_096]).await.unwrap() > 0);
        stream
    }

    async fn answer(mut stream: TcpStream) {
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length";
        stream.write_all(format!("{head}: {}\r\n\r\n{SET}", SET.len()).as_bytes()).await.unwrap();
    }

    #[tokio::test]
    async fn whoever_goes_away_while_the_keys_are_read_does_not_make_the_next_one_read_them_at_once() {
        super::super::crypto::install();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let source = KeySource::Url(url.parse().unwrap());
        let (set, ()) = tokio::join!(KeySet::start(source), async { answer(asked(&listener).await).await });
        let set = set.unwrap();
        let stream = tokio::select! {
            stream = asked(&listener) => stream,
            _ = set.read_again() => panic!("an answer before the key set's"),
        };
        // Whoever asked is gone.
        answer(stream).await;
        let again = tokio::select! {
            again = set.read_again() => again,
            _ = listener.accept() => panic!("the key set is read again at once"),
        };
        assert!(again, "the reading under way is that of the next one");
    }
}
