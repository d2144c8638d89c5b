//! Tokens of another login system: JSON Web Tokens (RFC 7519), signed with a key of a published key set.
//!
//! Here lives whether a token is believed, and what it says of its user. What never lives here: tokens that herald
//! itself gives out, and the rows of users.

mod crypto;
mod keys;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::errors::{Error as JwtError, ErrorKind};
use jsonwebtoken::{Algorithm, AlgorithmFamily, Header, Validation, decode, decode_header};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::keys::KeysError;

use self::keys::{KeySet, Lookup};
use crate::clock;
use crate::config::KeySource;
use crate::error::{Error, JwtRefusal};
use crate::messaging::{DisplayName, ExternalId, SessionId, Timestamp};

/// The longest token that herald reads. Common ones have one to four kilobytes; web servers refuse longer headers.
const MAX_JWT_BYTES: usize = 16 * 1024;

/// How far ahead the login system's clock may be when it says from when a token holds.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(30);

/// The claims that herald insists on.
const REQUIRED_CLAIMS: [&str; 4] = ["exp", "iss", "aud", "sub"];

/// A token of another login system, not yet believed.
#[derive(Clone, PartialEq, Eq)]
pub struct Jwt(Arc<str>);

impl Jwt {
    /// Takes a text of the form of a JWT; `None` for any other text.
    ///
    /// # Errors
    /// It is longer than herald reads.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, Error> {
        if text.bytes().filter(|&byte| byte == b'.').take(3).count() != 2 {
            return Ok(None);
        }
        if text.len() > MAX_JWT_BYTES {
            return Err(JwtRefusal::TooLong { max_bytes: MAX_JWT_BYTES }.into());
        }
        Ok(Some(Self(text.into())))
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jwt(…)")
    }
}

/// Which tokens herald believes, and what it reads from them.
#[derive(Debug, Clone)]
pub struct JwtOptions {
    /// Where the login system publishes its keys.
    pub keys: KeySource,
    /// The issuer that a token must name (`iss`).
    pub issuer: String,
    /// The audiences, of which a token must name one (`aud`).
    pub audiences: Vec<String>,
    /// The claim from which a new user's handle is made.
    pub handle_claim: String,
    /// The claim from which a new user's display name is made.
    pub name_claim: String,
}

/// What a token says of its user.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) external_id: ExternalId,
    /// The session at the login system, which stays the same when the token is renewed.
    pub(super) session: SessionId,
    pub(super) expires_at: Timestamp,
    /// Cancelled when the login system takes back the key that signed the token.
    pub(super) withdrawn: CancellationToken,
    /// What the user would like to be called by, if the token says so.
    pub(super) handle: Option<String>,
    pub(super) display_name: Option<DisplayName>,
}

/// A token that is not believed.
struct Refused {
    refusal: JwtRefusal,
    /// Whether a key that is not known yet may have signed it.
    may_have_another_key: bool,
}

/// Checks the tokens of one login system.
#[derive(Debug)]
pub(super) struct JwtVerifier {
    options: JwtOptions,
    keys: Arc<KeySet>,
}

impl JwtVerifier {
    /// Begins to read the keys, and to read them again from time to time. Keys that cannot be fetched now are fetched
    /// later; a file that cannot be read is an error.
    pub(super) async fn start(options: JwtOptions) -> Result<Self, KeysError> {
        crypto::install();
        let keys = KeySet::start(options.keys.clone()).await?;
        Ok(Self { options, keys })
    }

    /// Checks a token: its signature, issuer, audience and times. If no known key may have signed it, it reads the keys
    /// again, though not more often than every few seconds.
    pub(super) async fn verify(&self, jwt: &Jwt) -> Result<Identity, Error> {
        let header = decode_header(jwt.0.as_bytes()).map_err(|_| JwtRefusal::Malformed)?;
        if header.alg.family() == AlgorithmFamily::Hmac {
            return Err(JwtRefusal::Algorithm.into());
        }
        match self.check(jwt, &header) {
            Err(Refused { may_have_another_key: true, .. }) => {}
            checked => return checked.map_err(|refused| refused.refusal.into()),
        }
        let could_read = self.keys.read_again().await;
        self.check(jwt, &header).map_err(|refused| {
            // The login system may have taken another key, and is away.
            let is_unsure = refused.may_have_another_key && !could_read;
            if is_unsure { Error::Unavailable } else { refused.refusal.into() }
        })
    }

    /// Checks a token with the keys that are known.
    fn check(&self, Jwt(text): &Jwt, header: &Header) -> Result<Identity, Refused> {
        let refused = |refusal, may_have_another_key| Refused { refusal, may_have_another_key };
        let names_no_key = header.kid.is_none();
        let keys = match self.keys.find(header.kid.as_deref(), header.alg) {
            Lookup::Found(keys) => keys,
            Lookup::OtherAlgorithm => return Err(refused(JwtRefusal::Algorithm, names_no_key)),
            Lookup::UnknownKey => return Err(refused(JwtRefusal::UnknownKey, true)),
        };
        let validation = self.validation(header.alg);
        for key in keys {
            match decode::<Map<String, Value>>(text.as_bytes(), &key.decoding, &validation) {
                Ok(token) => {
                    let identity = self.identity(&token.claims, &key.withdrawn);
                    return identity.map_err(|refusal| refused(refusal, false));
                }
                // Another key may fit.
                Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {}
                Err(error) => return Err(refused(JwtRefusal::from(&error), false)),
            }
        }
        Err(refused(JwtRefusal::Signature, names_no_key))
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_required_spec_claims(&REQUIRED_CLAIMS);
        validation.set_issuer(&[&self.options.issuer]);
        validation.set_audience(&self.options.audiences);
        validation.validate_nbf = true;
        // `exp` is held to the second, by the clock of this node: `Live::has_ended`.
        validation.leeway = MAX_CLOCK_SKEW.as_secs();
        validation
    }

    /// Reads the claims of a token that is believed.
    fn identity(
        &self,
        claims: &Map<String, Value>,
        withdrawn: &CancellationToken,
    ) -> Result<Identity, JwtRefusal> {
        let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
        let subject = text("sub").ok_or(JwtRefusal::Claim("sub"))?;
        let external_id = ExternalId::parse(subject).map_err(|_| JwtRefusal::Claim("sub"))?;
        let expires_at = claims.get("exp").and_then(Value::as_f64).ok_or(JwtRefusal::Claim("exp"))?;
        // A conversion from a float stops at the ends of the integer's range.
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a time that no clock will show is as good as any"
        )]
        let expires_at = Timestamp((expires_at * 1_000_000.0) as i64);
        let display_name = text(&self.options.name_claim).and_then(|name| DisplayName::parse(name).ok());
        Ok(Identity {
            session: self.session(subject, text("sid")),
            external_id,
            expires_at,
            withdrawn: withdrawn.clone(),
            handle: text(&self.options.handle_claim).map(str::to_owned),
            display_name,
        })
    }

    /// The session at the login system: that of `sid`, or else one for each user. A token's own id (`jti`) changes with
    /// each renewal, so it does not count.
    fn session(&self, subject: &str, sid: Option<&str>) -> SessionId {
        // A length before each text, so that no two lists of texts are alike.
        let mut digest = Sha256::new();
        for part in [Some(self.options.issuer.as_str()), Some(subject), sid].into_iter().flatten() {
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        }
        let digest: [u8; 32] = digest.finalize().into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        SessionId(Uuid::from_bytes(id))
    }
}

impl Identity {
    /// Whether the token has expired by this clock.
    pub(super) fn has_expired(&self, clock: &clock::Clock) -> bool {
        self.expires_at <= clock.now()
    }
}

impl From<&JwtError> for JwtRefusal {
    fn from(error: &JwtError) -> Self {
        match error.kind() {
            ErrorKind::InvalidSignature => Self::Signature,
            ErrorKind::ExpiredSignature => Self::Expired,
            ErrorKind::ImmatureSignature => Self::NotYetValid,
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::InvalidAudience => Self::Audience,
            ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => Self::Algorithm,
            ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
                let known = ["exp", "nbf", "iss", "aud", "sub"].into_iter().find(|known| known == claim);
                known.map_or(Self::Malformed, Self::Claim)
            }
            _ => Self::Malformed,
        }
    }
}
