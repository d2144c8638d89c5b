//! Services: programs of the operator, which sign in with a key. What a user does for whom they act is in `session`.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::scope::{Scope, Scopes};
use crate::error::Error;
use crate::log::{Database, KeyRow, Unavailable};
use crate::messaging::{KeyId, ServiceName, SessionId, UserId};
use crate::random;

/// The beginning of every key, by which it is told from the token of a session.
const PREFIX: &str = "hsk_";

/// A service key: a prefix and 256 random bits, known to its holder alone. The server keeps a hash.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceKey([u8; 32]);

impl ServiceKey {
    fn draw() -> Self {
        Self(random::bytes())
    }

    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// Whether a text is meant to be a key. The token of a session may begin as a key does, but is shorter.
    pub(super) fn is_meant_by(text: &str) -> bool {
        text.starts_with(PREFIX) && text.len() != super::token::CHARS
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceKey(…)")
    }
}

impl FromStr for ServiceKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let rest = text.strip_prefix(PREFIX).ok_or(Error::UnknownKey)?;
        // The decoder's error says where a text is no key. A client needs only to know that it is none.
        let bytes = URL_SAFE_NO_PAD.decode(rest).map_err(|_| Error::UnknownKey)?;
        bytes.try_into().map(Self).map_err(|_| Error::UnknownKey)
    }
}

/// A service that is signed in on this node. Everyone who uses its key shares one of these.
#[derive(Debug)]
pub struct Service {
    /// The id of its key.
    pub id: KeyId,
    /// The name that the operator gave it.
    pub name: ServiceName,
    /// What it may do.
    pub scopes: Scopes,
    pub(super) ended: CancellationToken,
}

impl Service {
    /// What herald is when it tells of the log by itself. It has no key, and only reads.
    pub fn herald_itself() -> Arc<Self> {
        let (id, name) = (KeyId(Uuid::nil()), ServiceName::trusted("herald"));
        let (scopes, ended) = (Scopes::new(&[Scope::Read]), CancellationToken::new());
        Arc::new(Self { id, name, scopes, ended })
    }

    /// Whether this is [`Service::herald_itself`].
    pub fn is_herald_itself(&self) -> bool {
        self.id.0.is_nil()
    }

    /// Returns when the key was revoked.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Whether the key was revoked.
    pub fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// The digest of the service and a user for whom it acts.
    pub(super) fn acting_hash(&self, user: Option<UserId>) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(b"herald service session");
        digest.update(self.id.0.as_bytes());
        digest.update(user.map_or(Uuid::nil(), |user| user.0).as_bytes());
        digest.finalize().into()
    }

    /// The session id of what the service causes, for a user or by itself. It is the same on every node and after every
    /// restart, and no session of anybody has it.
    pub fn session_for(&self, user: Option<UserId>) -> SessionId {
        let digest = self.acting_hash(user);
        let half: [u8; 16] = std::array::from_fn(|index| digest[index]);
        // Version 8, which no drawn id has (RFC 9562, section 5.8).
        SessionId(uuid::Builder::from_custom_bytes(half).into_uuid())
    }

    /// Fails unless the service has this scope.
    ///
    /// # Errors
    /// [`Error::Forbidden`], which names the scope.
    pub fn require(&self, scope: Scope) -> Result<(), Error> {
        if self.scopes.hold(scope) {
            return Ok(());
        }
        Err(Error::Forbidden(format!(
            "The key of the service {} lacks the scope `{scope}`: make one with `herald key add NAME --scope {scope}`.",
            self.name
        )))
    }
}

/// The service keys. Those in use on this node are in memory: operators make few of them.
#[derive(Debug)]
pub struct Keys {
    database: Database,
    // A `std` mutex, because it is never locked across an await.
    in_use: Mutex<HashMap<[u8; 32], Arc<Service>>>,
}

impl Keys {
    /// The keys in `database`.
    pub fn new(database: Database) -> Self {
        Self { database, in_use: Mutex::default() }
    }

    /// Makes a key. It is shown once: the database has its hash.
    ///
    /// # Errors
    /// [`Error::BadInput`] when a valid key has the name.
    pub async fn add(&self, name: &str, scopes: &Scopes) -> Result<ServiceKey, Error> {
        let name = ServiceName::parse(name).map_err(Error::invalid("NAME"))?;
        let key = ServiceKey::draw();
        let row = KeyRow {
            id: KeyId(random::id()),
            name,
            scopes: scopes.to_string(),
            created_at: self.database.now(),
            revoked_at: None,
        };
        if self.database.insert_key(&row, &key.hash()).await? {
            return Ok(key);
        }
        Err(Error::bad_input("NAME", "is that of a valid key: revoke it first, or choose another name"))
    }

    /// Revokes the key with this name. Every node notices this within the interval at which it looks.
    ///
    /// # Errors
    /// [`Error::NotFound`] when no valid key has the name.
    pub async fn revoke(&self, name: &str) -> Result<(), Error> {
        let name = ServiceName::parse(name).map_err(Error::invalid("NAME"))?;
        let revoked = self.database.revoke_key(&name, self.database.now()).await?;
        if revoked { Ok(()) } else { Err(Error::NotFound("valid key")) }
    }

    /// Finds the service whose key this is.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] when herald never gave out the key, or it was revoked.
    pub async fn find(&self, key: &ServiceKey) -> Result<Arc<Service>, Error> {
        let hash = key.hash();
        let known = self.in_use().get(&hash).cloned();
        if let Some(service) = known {
            return Ok(service);
        }
        let row = self.database.valid_key(&hash).await?.ok_or(Error::UnknownKey)?;
        let service = || {
            let (scopes, ended) = (Scopes::stored(&row.scopes), CancellationToken::new());
            Arc::new(Service { id: row.id, name: row.name, scopes, ended })
        };
        // If the key was revoked meanwhile, the next check finds it here.
        Ok(Arc::clone(self.in_use().entry(hash).or_insert_with(service)))
    }

    /// Ends on this node the services whose keys were revoked.
    pub(super) async fn check(&self) -> Result<(), Unavailable> {
        let in_use: Vec<KeyId> = self.in_use().values().map(|service| service.id).collect();
        if in_use.is_empty() {
            return Ok(());
        }
        let valid = self.database.valid_keys(&in_use).await?;
        let is_revoked = |id: &KeyId| in_use.contains(id) && !valid.contains(id);
        self.in_use().retain(|_, service| {
            let revoked = is_revoked(&service.id);
            if revoked {
                service.ended.cancel();
            }
            !revoked
        });
        Ok(())
    }

    fn in_use(&self) -> MutexGuard<'_, HashMap<[u8; 32], Arc<Service>>> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
