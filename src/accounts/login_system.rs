//! Users whom another login system signs in: they come with its token, and the first one makes them a user here.

use std::sync::Arc;

use super::jwt::{Identity, Jwt, JwtVerifier};
use super::live::{Live, LiveByHash, Unproved};
use super::{Accounts, enabled, handles};
use crate::error::{Error, JwtRefusal};
use crate::log::UserRow;
use crate::messaging::{DisplayName, Sharing, UserId};
use crate::random;

/// The most tokens that this node has checked and remembers while nobody uses them.
const MAX_REMEMBERED_TOKENS: usize = 100_000;

/// The tokens of another login system that are in use.
#[derive(Debug)]
pub(super) struct LoginSystem {
    verifier: JwtVerifier,
    pub(super) live: LiveByHash,
}

impl LoginSystem {
    pub(super) fn new(verifier: JwtVerifier) -> Self {
        Self { verifier, live: LiveByHash::new(MAX_REMEMBERED_TOKENS) }
    }
}

impl Accounts {
    /// The session that a token of another login system stands for, until the token expires or the key that signed it is
    /// withdrawn.
    pub(super) async fn sign_in_by_jwt(&self, jwt: &Jwt) -> Result<Arc<Live>, Error> {
        let login_system = self.login_system.as_ref().ok_or(JwtRefusal::NoLoginSystem)?;
        let hash = jwt.hash();
        if let Some(live) = login_system.live.get(&hash) {
            return Ok(live);
        }
        let identity = login_system.verifier.verify(jwt).await?;
        let clock = self.database.clock();
        if identity.has_expired(&clock) {
            return Err(JwtRefusal::Expired.into());
        }
        let mut kept = None;
        loop {
            let before = self.users.before_reading();
            // If this fails, what was kept before ends.
            let user = enabled(self.find_or_create(&identity).await?)?;
            let live = Live::new(identity.session, user.id, identity.expires_at, clock.clone());
            let live = login_system.live.keep(hash, live.within(&identity.withdrawn));
            let unproved = Unproved::new(live, kept.take());
            if identity.withdrawn.is_cancelled() {
                return Err(JwtRefusal::UnknownKey.into());
            }
            // Whoever disables a user ends the sessions that are in use. This one may have come too late for that.
            if self.users.before_reading() == before {
                return Ok(unproved.proved());
            }
            kept = Some(unproved);
        }
    }

    /// The user with this identity, who is made at first sight.
    async fn find_or_create(&self, identity: &Identity) -> Result<UserRow, Error> {
        if let Some(known) = self.database.users_by_external_id([&identity.external_id]).await?.pop() {
            return Ok(known);
        }
        let wish = identity.handle.as_deref().unwrap_or(identity.external_id.as_str());
        for handle in handles::candidates(wish) {
            let display_name = identity.display_name.clone();
            let row = UserRow {
                id: UserId(random::id()),
                display_name: display_name.unwrap_or_else(|| DisplayName::trusted(handle.as_str())),
                handle,
                password_hash: None,
                created_at: self.database.now(),
                registration: None,
                external_id: Some(identity.external_id.clone()),
                disabled_at: None,
                sharing: Sharing::default(),
            };
            if self.database.insert_user(&row).await? {
                return Ok(row);
            }
            // The handle is taken, or another request has just made this user.
            if let Some(known) = self.database.users_by_external_id([&identity.external_id]).await?.pop() {
                return Ok(known);
            }
        }
        tracing::error!("no free handle was found for a user of the login system");
        Err(Error::Unavailable)
    }
}
