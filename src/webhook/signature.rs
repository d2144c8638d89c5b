//! How calls are signed, by Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::random;

/// The beginning of every secret.
const PREFIX: &str = "whsec_";

/// How many bytes a secret has, as the specification recommends.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The most secrets of a webhook: the present one, and the next or the last.
const MAX_SECRETS: usize = 2;

/// A secret that signs calls, and that the receiver knows too. The database has it as it is, since it must sign.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// A new one, of 256 random bits.
    pub fn draw() -> Self {
        Self(random::bytes::<32>().to_vec())
    }

    fn sign(&self, signed: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        format!("v1,{}", STANDARD.encode(hmac::sign(&key, signed)))
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD.encode(&self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl FromStr for Secret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = text.strip_prefix(PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok());
        bytes.filter(|bytes| SECRET_BYTES.contains(&bytes.len())).map(Self).ok_or_else(|| {
            format!(
                "a webhook's secret is {PREFIX} and {} to {} bytes in base64, as `openssl rand -base64 32` prints them",
                SECRET_BYTES.start(),
                SECRET_BYTES.end()
            )
        })
    }
}

/// The secrets of a webhook: one, or two while one takes the place of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// These secrets.
    ///
    /// # Errors
    /// How many there must be, for the operator.
    pub fn new(secrets: Vec<Secret>) -> Result<Self, String> {
        if (1..=MAX_SECRETS).contains(&secrets.len()) {
            return Ok(Self(secrets));
        }
        Err("a webhook has one secret (whsec_…), or two while one takes the place of the other".into())
    }

    /// The secrets that are stored as this text.
    pub(super) fn stored(text: &str) -> Result<Self, String> {
        Self::new(text.split(' ').map(str::parse).collect::<Result<_, _>>()?)
    }

    /// The header `webhook-signature`: one signature by each secret, with a space between them.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut signed = format!("{id}.{timestamp}.").into_bytes();
        signed.extend_from_slice(body);
        self.0.iter().map(|secret| secret.sign(&signed)).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The test vector of the libraries at standard-webhooks.com.
    #[test]
    fn a_known_call_has_the_known_signature() {
        let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let secrets = Secrets::new(vec![secret]).unwrap();
        let signature =
            secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_has_one_text_and_none_is_shown_by_accident() {
        let secret = Secret::draw();
        assert_eq!(secret.to_string().parse(), Ok(secret.clone()));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        let both = Secrets::new(vec![secret.clone(), Secret::draw()]).unwrap();
        assert_eq!(Secrets::stored(&both.to_string()), Ok(both.clone()));
        assert_eq!(both.sign("a", 1, b"").split(' ').count(), 2);
        assert!(Secrets::new(vec![]).is_err() && Secrets::new(vec![secret; 3]).is_err());
        for wrong in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_no base64!"]
        {
            assert!(wrong.parse::<Secret>().unwrap_err().contains("openssl"), "{wrong}");
        }
    }
}
