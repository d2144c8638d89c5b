//! A login system that signs tokens, and publishes its keys in a file.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use super::app::Setup;

/// The issuer of its tokens.
const ISSUER: &str = "https://login.example.com/";

/// The audience of its tokens.
const AUDIENCE: &str = "herald";

/// A login system with one key at a time.
pub(crate) struct LoginSystem {
    folder: PathBuf,
    key: Mutex<(String, EcdsaKeyPair)>,
}

/// Which signature a token gets.
pub(crate) enum SignedBy {
    /// The key that the login system publishes.
    Key,
    /// Nobody: these bytes.
    Bytes(Vec<u8>),
}

fn new_key() -> (String, EcdsaKeyPair) {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
    (herald::random::id().to_string(), pair)
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The present time, in seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl LoginSystem {
    pub(crate) fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("herald-login-{}", herald::random::id()));
        std::fs::create_dir(&folder).unwrap();
        let login_system = Self { folder, key: Mutex::new(new_key()) };
        std::fs::write(login_system.path(), login_system.key_set().to_string()).unwrap();
        login_system
    }

    /// The file of its key set.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join("jwks.json")
    }

    /// Takes another key, and does not publish it.
    pub(crate) fn rotate_unpublished(&self) {
        *self.key.lock().unwrap() = new_key();
    }

    /// Takes another key, and publishes only this.
    pub(crate) fn rotate(&self) {
        self.rotate_unpublished();
        std::fs::write(self.path(), self.key_set().to_string()).unwrap();
    }

    /// Publishes these keys, whatever it signs with.
    pub(crate) fn publish(&self, key_set: &Value) {
        std::fs::write(self.path(), key_set.to_string()).unwrap();
    }

    /// Publishes nothing from now on.
    pub(crate) fn go_away(&self) {
        std::fs::remove_file(self.path()).unwrap();
    }

    /// A herald that believes it.
    pub(crate) fn adapt(&self, setup: &mut Setup) {
        let identity = &mut setup.args.identity;
        identity.jwt_jwks = Some(self.path().to_str().unwrap().parse().unwrap());
        identity.jwt_issuer = Some(ISSUER.into());
        identity.jwt_audience = vec![AUDIENCE.into(), "another".into()];
    }

    /// The key set, with keys beside its own that are of no use to herald.
    pub(crate) fn key_set(&self) -> Value {
        let key = self.key.lock().unwrap();
        let point = key.1.public_key().as_ref();
        let (x, y) = (encoded(&point[1..33]), encoded(&point[33..]));
        json!({ "keys": [
            { "kty": "oct", "kid": "shared", "alg": "HS256", "k": encoded("a secret that is shared") },
            { "kty": "of-the-future", "kid": "f" },
            { "kty": "EC", "crv": "P-256", "kid": "for-encryption", "use": "enc", "x": x, "y": y },
            { "kty": "EC", "crv": "P-256", "kid": key.0, "use": "sig", "alg": "ES256", "x": x, "y": y },
        ] })
    }

    /// What its tokens say of a user, for an hour.
    pub(crate) fn claims(subject: &str) -> Value {
        json!({
            "iss": ISSUER,
            "aud": [AUDIENCE, "other"],
            "sub": subject,
            "sid": format!("session of {subject}"),
            "exp": now() + 3_600,
            "preferred_username": subject,
            "name": format!("{subject} of the company"),
            "jti": herald::random::id().to_string(),
        })
    }

    /// The header of its tokens.
    pub(crate) fn header(&self) -> Value {
        json!({ "typ": "at+jwt", "alg": "ES256", "kid": self.key.lock().unwrap().0 })
    }

    /// A token with this header and these claims.
    pub(crate) fn write(&self, header: &Value, claims: &Value, by: &SignedBy) -> String {
        let signed = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let signature = match by {
            SignedBy::Key => {
                let random = SystemRandom::new();
                self.key.lock().unwrap().1.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec()
            }
            SignedBy::Bytes(bytes) => bytes.clone(),
        };
        format!("{signed}.{}", encoded(signature))
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.write(&self.header(), claims, &SignedBy::Key)
    }

    /// A user's token.
    pub(crate) fn token(&self, subject: &str) -> String {
        self.sign(&Self::claims(subject))
    }
}

impl Drop for LoginSystem {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
