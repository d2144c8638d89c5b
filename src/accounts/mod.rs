//! Who is who: users, their passwords, and the sessions in which they are signed in.
//!
//! Here live registering, signing in and out, and the sessions in use on this node. What never lives here:
//! SQL (it is in `log`), and where a token travels (that is the transports' business).

mod password;
mod session;
mod turns;

use std::net::IpAddr;
use std::sync::Arc;

pub use session::{Lifetimes, Live, Sessions, Token};

use self::password::Passwords;
use self::turns::Turns;
use crate::clock;
use crate::error::Error;
use crate::log::{Database, UserRow};
use crate::messaging::{DisplayName, Handle, UserId};
use crate::network::Network;
use crate::random;

/// Fewest characters of a password (NIST SP 800-63B, section 5.1.1.1).
const SHORTEST_PASSWORD: usize = 8;

/// Most bytes of a password. Longer ones are refused before they are hashed.
const LONGEST_PASSWORD: usize = 512;

/// The users of this herald.
#[derive(Debug)]
pub struct Accounts {
    database: Database,
    passwords: Passwords,
    /// Whose password is hashed next.
    turns: Turns,
    /// The sessions in use.
    pub sessions: Arc<Sessions>,
}

impl Accounts {
    /// The accounts in `database`, with at most `hashing` passwords being hashed at a time.
    pub fn new(database: Database, sessions: Arc<Sessions>, hashing: usize) -> Self {
        Self { database, passwords: Passwords::new(hashing), turns: Turns::new(hashing), sessions }
    }

    /// Creates a user, asked to from an address.
    pub async fn register(
        &self,
        from: IpAddr,
        handle: &str,
        display_name: &str,
        password: &str,
    ) -> Result<Arc<UserRow>, Error> {
        let handle = Handle::parse(handle).map_err(Error::invalid("handle"))?;
        let display_name = DisplayName::parse(display_name).map_err(Error::invalid("displayName"))?;
        if password.chars().count() < SHORTEST_PASSWORD {
            return Err(Error::bad_input(
                "password",
                format!("must be at least {SHORTEST_PASSWORD} characters long"),
            ));
        }
        if password.len() > LONGEST_PASSWORD {
            return Err(Error::bad_input(
                "password",
                format!("must be at most {LONGEST_PASSWORD} bytes long"),
            ));
        }
        // A taken handle is told before the work of hashing; the insertion decides between two at once.
        if !self.database.users_by_handle([&handle]).await?.is_empty() {
            return Err(Error::HandleTaken);
        }
        let row = UserRow {
            id: UserId(random::id()),
            handle,
            display_name,
            password_hash: self.hash(from, password).await?,
            created_at: clock::now(),
        };
        if self.database.insert_user(&row).await? { Ok(Arc::new(row)) } else { Err(Error::HandleTaken) }
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
        if password.len() > LONGEST_PASSWORD {
            return Err(Error::InvalidCredentials);
        }
        let known = match Handle::parse(handle) {
            Ok(handle) => self.database.users_by_handle([&handle]).await?.pop(),
            Err(_) => None,
        };
        let hash = known.as_ref().map(|user| user.password_hash.clone());
        let _turn = self.turns.take(Network::of(from)).await?;
        let right = self.passwords.verify(password, hash).await?;
        known.filter(|_| right).map(Arc::new).ok_or_else(|| {
            // For whoever bans addresses. Not the handle: people type passwords into the wrong field.
            tracing::warn!(address = %from, "a sign-in failed");
            Error::InvalidCredentials
        })
    }
}
