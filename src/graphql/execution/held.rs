//! What each user's subscriptions hold. A subscription is cheap while it shares its operation with others; one with a
//! document of its own costs memory as long as it lives, and an execution for every event.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Prepared;
use crate::config::Limits;
use crate::graphql::response::{LIMIT_EXCEEDED, Response, refusal};
use crate::hub::Fingerprint;
use crate::messaging::UserId;

/// What all users hold.
#[derive(Debug)]
pub(crate) struct Held {
    by_user: Mutex<HashMap<UserId, Different>>,
    most_fields: usize,
    most_cost: u64,
}

/// The different operations of one user.
#[derive(Debug, Default)]
struct Different {
    operations: HashMap<Fingerprint, HeldOperation>,
    fields: usize,
    cost: u64,
}

/// One operation of one user.
#[derive(Debug)]
struct HeldOperation {
    subscriptions: usize,
    fields: usize,
    cost: u64,
}

/// What one subscription holds. It lets go when it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    held: Arc<Held>,
    user: UserId,
    fingerprint: Fingerprint,
}

impl Held {
    /// Nobody holds anything yet.
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            by_user: Mutex::default(),
            most_fields: limits.max_subscribed_fields,
            most_cost: limits.max_subscribed_complexity as u64,
        })
    }

    /// Has a user hold an operation. A second subscription with the same one holds nothing more.
    ///
    /// # Errors
    /// The response that says that the user holds too much.
    pub(crate) fn hold(
        this: &Arc<Self>,
        user: UserId,
        fingerprint: Fingerprint,
        prepared: &Prepared,
    ) -> Result<Hold, Box<Response>> {
        let (fields, cost) = (prepared.plan.fields, prepared.cost.0);
        let mut by_user = this.by_user();
        let known = by_user.get(&user);
        if known.is_none_or(|different| !different.operations.contains_key(&fingerprint)) {
            let (held_fields, held_cost) =
                known.map_or((0, 0), |different| (different.fields, different.cost));
            this.allow(held_fields + fields, held_cost.saturating_add(cost))?;
        }
        let different = by_user.entry(user).or_default();
        let operation = different.operations.entry(fingerprint).or_insert_with(|| {
            different.fields += fields;
            different.cost += cost;
            HeldOperation { subscriptions: 0, fields, cost }
        });
        operation.subscriptions += 1;
        Ok(Hold { held: Arc::clone(this), user, fingerprint })
    }

    fn allow(&self, fields: usize, cost: u64) -> Result<(), Box<Response>> {
        let reason = if fields > self.most_fields {
            format!("would select {fields} fields; at most {} are allowed", self.most_fields)
        } else if cost > self.most_cost {
            format!("may come to {cost} fields an event; at most {} are allowed", self.most_cost)
        } else {
            return Ok(());
        };
        let message = format!(
            "The different subscriptions of this user {reason}: complete others first, ask for less, or use one document \
             with variables."
        );
        Err(Box::new(refusal(LIMIT_EXCEEDED, message)))
    }

    fn by_user(&self) -> MutexGuard<'_, HashMap<UserId, Different>> {
        self.by_user.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut by_user = self.held.by_user();
        let Some(different) = by_user.get_mut(&self.user) else { return };
        let Some(operation) = different.operations.get_mut(&self.fingerprint) else { return };
        operation.subscriptions -= 1;
        if operation.subscriptions == 0 {
            different.fields -= operation.fields;
            different.cost -= operation.cost;
            different.operations.remove(&self.fingerprint);
        }
        if different.operations.is_empty() {
            by_user.remove(&self.user);
        }
    }
}
