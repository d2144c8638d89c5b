//! Users, their passwords, and the sessions in which they are signed in.
//!
//! Here live registering, signing in and out, and the sessions in use on this node. What never lives here:
//! SQL (it is in `log`), and where a token travels (that is the transports' business).

mod password;
mod session;
mod token;
mod turns;

use std::net::IpAddr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use session::{Lifetimes, Live, Sessions};
pub use token::Token;

use self::password::Passwords;
use self::turns::Turns;
use crate::error::Error;
use crate::log::{Database, UserRow};
use crate::messaging::{DisplayName, Handle, IdempotencyKey, UserId};
use crate::network::Network;
use crate::random;

/// The fewest characters of a password (NIST SP 800-63B, section 5.1.1.1).
const MIN_PASSWORD_CHARS: usize = 8;

/// The most bytes of a password. A longer one is refused before it is hashed.
const MAX_PASSWORD_BYTES: usize = 512;

/// The users of this herald.
#[derive(Debug)]
pub struct Accounts {
    database: Database,
    passwords: Passwords,
    /// Decides whose password is hashed next.
    turns: Turns,
    /// The sessions in use.
    pub sessions: Arc<Sessions>,
}

impl Accounts {
    /// The accounts in `database`, with at most `hashing` passwords being hashed at a time.
    pub fn new(database: Database, sessions: Arc<Sessions>, hashing: usize) -> Self {
        Self { database, passwords: Passwords::new(hashing), turns: Turns::new(hashing), sessions }
    }

    /// Creates a user, on a request from an address. A registration that is repeated with its key and its password gets
    /// the user that the first one created.
    pub async fn register(
        &self,
        from: IpAddr,
        handle: &str,
        display_name: &str,
        password: &str,
        key: Option<&IdempotencyKey>,
    ) -> Result<Arc<UserRow>, Error> {
        let handle = Handle::parse(handle).map_err(Error::invalid("handle"))?;
        let display_name = DisplayName::parse(display_name).map_err(Error::invalid("displayName"))?;
        if password.chars().count() < MIN_PASSWORD_CHARS {
            return Err(Error::bad_input(
                "password",
                format!("must be at least {MIN_PASSWORD_CHARS} characters long"),
            ));
        }
        if password.len() > MAX_PASSWORD_BYTES {
            return Err(Error::bad_input(
                "password",
                format!("must be at most {MAX_PASSWORD_BYTES} bytes long"),
            ));
        }
        let registration = key.map(|key| registration(key, &display_name));
        // A taken handle is refused before the password is hashed. The insertion decides between two at once.
        if let Some(known) = self.user(&handle).await? {
            return self.repeat(from, known, password, registration).await;
        }
        let row = UserRow {
            id: UserId(random::id()),
            handle,
            display_name,
            password_hash: self.hash(from, password).await?,
            created_at: self.database.now(),
            registration: registration.map(Vec::from),
        };
        if self.database.insert_user(&row).await? {
            return Ok(Arc::new(row));
        }
        let known = self.user(&row.handle).await?.ok_or(Error::Unavailable)?;
        self.repeat(from, known, password, registration).await
    }

    async fn user(&self, handle: &Handle) -> Result<Option<UserRow>, Error> {
        Ok(self.database.users_by_handle([handle]).await?.pop())
    }

    /// Repeats a registration whose handle is taken. The key alone proves nothing, since others may guess it.
    async fn repeat(
        &self,
        from: IpAddr,
        known: UserRow,
        password: &str,
        registration: Option<[u8; 32]>,
    ) -> Result<Arc<UserRow>, Error> {
        let is_the_same =
            registration.is_some_and(|asked| known.registration.as_deref() == Some(asked.as_slice()));
        if is_the_same && self.verify(from, password, Some(known.password_hash.clone())).await? {
            return Ok(Arc::new(known));
        }
        Err(Error::HandleTaken)
    }

    async fn verify(&self, from: IpAddr, password: &str, hash: Option<String>) -> Result<bool, Error> {
        let _turn = self.turns.take(Network::of(from)).await?;
        self.passwords.verify(password, hash).await
    }

    async fn hash(&self, from: IpAddr, password: &str) -> Result<String, Error> {
        let _turn = self.turns.take(Network::of(from)).await?;
        self.passwords.hash(password).await
    }

    /// Finds the user whose password this is. An unknown handle takes as long as a wrong password.
    pub async fn authenticate(
        &self,
        from: IpAddr,
        handle: &str,
        password: &str,
    ) -> Result<Arc<UserRow>, Error> {
        if password.len() > MAX_PASSWORD_BYTES {
            return Err(Error::InvalidCredentials);
        }
        let known = match Handle::parse(handle) {
            Ok(handle) => self.user(&handle).await?,
            Err(_) => None,
        };
        let hash = known.as_ref().map(|user| user.password_hash.clone());
        let right = self.verify(from, password, hash).await?;
        known.filter(|_| right).map(Arc::new).ok_or_else(|| {
            // Operators ban addresses by this line. It leaves the handle out: people type passwords into the wrong
            // field.
            tracing::warn!(address = %from, "a sign-in failed");
            Error::InvalidCredentials
        })
    }
}

/// The digest of a registration under a key: of the key and the display name. It is stored, so its input never changes.
fn registration(key: &IdempotencyKey, display_name: &DisplayName) -> [u8; 32] {
    // Neither part has a line break, so a line break separates them.
    Sha256::digest(format!("{key}\n{display_name}")).into()
}
