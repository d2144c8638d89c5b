//! Services that act for somebody: what they do is done in a session of their own for this user.

use std::str::FromStr;
use std::sync::Arc;

use super::live::Live;
use super::service::Service;
use super::{Accounts, enabled};
use crate::error::Error;
use crate::log::{Database, Unavailable, UserRow};
use crate::messaging::{ExternalId, Handle, Timestamp, UserId};

/// How errors call the place in which a service names the user.
const FIELD: &str = "X-Act-As";

/// The user for whom a service acts, as it names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActAs {
    /// `usr_…`: by their id.
    Id(UserId),
    /// `handle:NAME`: by their handle.
    Handle(Handle),
    /// `external:ID`: by the id under which another system knows them.
    External(ExternalId),
}

impl FromStr for ActAs {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let named = if let Some(handle) = text.strip_prefix("handle:") {
            Handle::parse(handle).ok().map(Self::Handle)
        } else if let Some(id) = text.strip_prefix("external:") {
            ExternalId::parse(id).ok().map(Self::External)
        } else {
            text.parse().ok().map(Self::Id)
        };
        named.ok_or_else(|| Error::bad_input(FIELD, "must be a user's id, handle:NAME or external:ID"))
    }
}

impl ActAs {
    /// The user; `None` when there is no such user.
    pub async fn find(&self, database: &Database) -> Result<Option<UserRow>, Unavailable> {
        let mut found = match self {
            Self::Id(id) => {
                let rows = database.users_by_id(&[*id]).await;
                rows.into_iter().filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?
            }
            Self::Handle(handle) => database.users_by_handle([handle]).await?,
            Self::External(id) => database.users_by_external_id([id]).await?,
        };
        Ok(found.pop())
    }
}

impl Accounts {
    /// The session in which a service acts for somebody. It ends when the key is revoked or the user is disabled.
    ///
    /// # Errors
    /// [`Error::BadInput`] when there is no such user, [`Error::AccountDisabled`] when the user is disabled.
    pub async fn act(&self, service: &Service, user: &ActAs) -> Result<Arc<Live>, Error> {
        loop {
            let before = self.users.before_reading();
            let user = user.find(&self.database).await?.ok_or_else(|| {
                Error::bad_input(FIELD, "names nobody: make the user with `upsertUsers` first, or correct it")
            })?;
            let user = enabled(user)?.id;
            let hash = service.acting_hash(Some(user));
            let live = self.acting.get(&hash).unwrap_or_else(|| {
                let live = Live::new(service.session_for(Some(user)), user, NEVER, self.database.clock());
                self.acting.keep(hash, live.within(&service.ended))
            });
            // Whoever disables a user ends the sessions that are in use. This one may have come too late for that.
            if self.users.before_reading() == before {
                return Ok(live);
            }
        }
    }
}

/// The expiry of a session that does not expire by itself.
const NEVER: Timestamp = Timestamp(i64::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_in_three_ways() {
        let id = "usr_00000000000000000000000000000007";
        assert_eq!(id.parse(), Ok(ActAs::Id(id.parse().unwrap())));
        assert_eq!("handle:ada".parse(), Ok(ActAs::Handle(Handle::trusted("ada"))));
        assert_eq!("external:a:b".parse(), Ok(ActAs::External(ExternalId::trusted("a:b"))));
        for wrong in ["", "ada", "handle:", "handle:A", "external:", "external: ", "usr_7", "msg_7"] {
            assert!(wrong.parse::<ActAs>().is_err(), "{wrong}");
        }
    }
}
