//! Users whom a service brings: many at once, found again by the id under which its own system knows them.

use std::collections::{HashMap, HashSet};

use super::{Accounts, handles};
use crate::error::Error;
use crate::log::{FoundUsers, Provisioned, UserRow};
use crate::messaging::{DisplayName, ExternalId, Handle, Sharing, Timestamp, UserId};
use crate::random;

/// The most users of one call.
pub const MAX_USERS: usize = 1_000;

/// The handles that are tried for a user who comes without one: the best, the second best, and a random one.
const TRIED_HANDLES: usize = 3;

/// A user who is to be made or updated.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The id under which the other system knows the user.
    pub external_id: ExternalId,
    /// The handle from here on. Without it, a known user keeps theirs, and a new one gets one made of the external id.
    pub handle: Option<Handle>,
    /// The name from here on. Without it, a known user keeps theirs, and that of a new one is the handle.
    pub display_name: Option<DisplayName>,
}

impl Wanted {
    /// Reads the entry of a call at this index.
    ///
    /// # Errors
    /// [`Error::BadInput`], whose field names the entry.
    pub fn parse(
        index: usize,
        external_id: &str,
        handle: Option<&str>,
        display_name: Option<&str>,
    ) -> Result<Self, Error> {
        let invalid = |field: &'static str| Error::invalid(entry(index, field));
        Ok(Self {
            external_id: ExternalId::parse(external_id).map_err(invalid("externalId"))?,
            handle: handle.map(Handle::parse).transpose().map_err(invalid("handle"))?,
            display_name: display_name.map(DisplayName::parse).transpose().map_err(invalid("displayName"))?,
        })
    }
}

impl Accounts {
    /// Makes or updates these users, all or none. All nodes show the changes within a second or two.
    ///
    /// # Errors
    /// [`Error::BadInput`] or [`Error::EntryHandleTaken`], whose field names the entry.
    pub async fn provision(&self, wanted: &[Wanted]) -> Result<Provisioned, Error> {
        if wanted.len() > MAX_USERS {
            return Err(Error::bad_input("users", format!("must have at most {MAX_USERS} entries")));
        }
        refuse_repeats(wanted)?;
        let candidates: Vec<Vec<Handle>> = wanted.iter().map(candidates).collect();
        let ids: Vec<ExternalId> = wanted.iter().map(|wanted| wanted.external_id.clone()).collect();
        let handles: Vec<Handle> = candidates.iter().flatten().cloned().collect();
        let decide = |known| decide(wanted, &candidates, known);
        let provisioned = self.database.provision(&ids, &handles, decide).await??;
        for user in &provisioned.changed {
            self.users.forget(*user);
        }
        Ok(provisioned)
    }
}

fn entry(index: usize, field: &str) -> String {
    format!("users[{index}].{field}")
}

/// The handles that this user may get, the best first.
fn candidates(wanted: &Wanted) -> Vec<Handle> {
    match &wanted.handle {
        Some(handle) => vec![handle.clone()],
        None => {
            let mut all: Vec<Handle> = handles::candidates(wanted.external_id.as_str()).collect();
            let random = all.pop();
            all.into_iter().take(TRIED_HANDLES - 1).chain(random).collect()
        }
    }
}

fn refuse_repeats(wanted: &[Wanted]) -> Result<(), Error> {
    let (mut ids, mut handles) = (HashSet::new(), HashSet::new());
    for (index, Wanted { external_id, handle, .. }) in wanted.iter().enumerate() {
        if !ids.insert(external_id) {
            return Err(Error::bad_input(entry(index, "externalId"), "is that of an entry before it"));
        }
        if handle.as_ref().is_some_and(|handle| !handles.insert(handle)) {
            return Err(Error::bad_input(entry(index, "handle"), "is that of an entry before it"));
        }
    }
    Ok(())
}

/// Decides who is made and what is changed. `candidates` are the handles that each may get.
fn decide(wanted: &[Wanted], candidates: &[Vec<Handle>], known: FoundUsers) -> Result<Provisioned, Error> {
    let FoundUsers { users: known, handles: mut taken, now } = known;
    let id_of =
        |wanted: &Wanted| known.get(&wanted.external_id).map_or_else(|| UserId(random::id()), |row| row.id);
    let ids: Vec<UserId> = wanted.iter().map(id_of).collect();
    // A handle that an entry asks for is taken before one is made up for another entry.
    for (index, (wanted, id)) in wanted.iter().zip(&ids).enumerate() {
        let Some(handle) = &wanted.handle else { continue };
        if *taken.entry(handle.clone()).or_insert(*id) != *id {
            return Err(Error::EntryHandleTaken(entry(index, "handle")));
        }
    }
    let mut provisioned = Provisioned::default();
    for ((wanted, candidates), id) in wanted.iter().zip(candidates).zip(ids) {
        let row = match known.get(&wanted.external_id) {
            Some(row) => {
                let changed = updated(row, wanted);
                if (&changed.handle, &changed.display_name) != (&row.handle, &row.display_name) {
                    provisioned.changed.insert(id);
                }
                changed
            }
            None => {
                provisioned.new.insert(id);
                new(id, wanted, choose(candidates, id, &mut taken)?, now)
            }
        };
        provisioned.users.push(row);
    }
    Ok(provisioned)
}

/// Takes the first of these handles that is free, or the user's own already.
fn choose(candidates: &[Handle], id: UserId, taken: &mut HashMap<Handle, UserId>) -> Result<Handle, Error> {
    let free = candidates.iter().find(|handle| taken.get(*handle).is_none_or(|owner| *owner == id));
    let handle = free.cloned().ok_or(Error::Unavailable)?;
    taken.insert(handle.clone(), id);
    Ok(handle)
}

fn updated(row: &UserRow, wanted: &Wanted) -> UserRow {
    let mut row = row.clone();
    row.handle = wanted.handle.clone().unwrap_or(row.handle);
    row.display_name = wanted.display_name.clone().unwrap_or(row.display_name);
    row
}

fn new(id: UserId, wanted: &Wanted, handle: Handle, now: Timestamp) -> UserRow {
    let name = wanted.display_name.clone();
    UserRow {
        id,
        display_name: name.unwrap_or_else(|| DisplayName::trusted(handle.as_str())),
        handle,
        password_hash: None,
        created_at: now,
        registration: None,
        external_id: Some(wanted.external_id.clone()),
        disabled_at: None,
        sharing: Sharing::default(),
    }
}
