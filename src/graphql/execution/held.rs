//! What the subscriptions of each user, and of each service, hold. A subscription is cheap while it shares its operation
//! with others; one with a document of its own costs memory as long as it lives, and an execution for every event.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Prepared;
use crate::config::Limits;
use crate::graphql::response::{LIMIT_EXCEEDED, Response, refusal};
use crate::hub::Fingerprint;
use crate::rates::Owner;

/// What all users and services hold.
#[derive(Debug)]
pub(crate) struct Held {
    by_owner: Mutex<HashMap<Owner, Different>>,
    most_fields: usize,
    most_cost: u64,
}

/// The different operations of one user, or of one service.
#[derive(Debug, Default)]
struct Different {
    operations: HashMap<Fingerprint, HeldOperation>,
    fields: usize,
    cost: u64,
}

/// One operation of one of them.
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
    owner: Owner,
    fingerprint: Fingerprint,
}

impl Held {
    /// Nobody holds anything yet.
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            by_owner: Mutex::default(),
            most_fields: limits.max_subscribed_fields,
            most_cost: limits.max_subscribed_complexity as u64,
        })
    }

    /// Has a user or a service hold an operation. A second subscription with the same one holds nothing more.
    ///
    /// # Errors
    /// The response that says that they hold too much.
    pub(crate) fn hold(
        this: &Arc<Self>,
        owner: Owner,
        fingerprint: Fingerprint,
        prepared: &Prepared,
    ) -> Result<Hold, Box<Response>> {
        let (fields, cost) = (prepared.plan.fields, prepared.cost.0);
        let mut by_owner = this.by_owner();
        let known = by_owner.get(&owner);
        if known.is_none_or(|different| !different.operations.contains_key(&fingerprint)) {
            let (held_fields, held_cost) =
                known.map_or((0, 0), |different| (different.fields, different.cost));
            this.allow(held_fields + fields, held_cost.saturating_add(cost))?;
        }
        let different = by_owner.entry(owner).or_default();
        let operation = different.operations.entry(fingerprint).or_insert_with(|| {
            different.fields += fields;
            different.cost += cost;
            HeldOperation { subscriptions: 0, fields, cost }
        });
        operation.subscriptions += 1;
        Ok(Hold { held: Arc::clone(this), owner, fingerprint })
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

    fn by_owner(&self) -> MutexGuard<'_, HashMap<Owner, Different>> {
        self.by_owner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut by_owner = self.held.by_owner();
        let Some(different) = by_owner.get_mut(&self.owner) else { return };
        let Some(operation) = different.operations.get_mut(&self.fingerprint) else { return };
        operation.subscriptions -= 1;
        if operation.subscriptions == 0 {
            different.fields -= operation.fields;
            different.cost -= operation.cost;
            different.operations.remove(&self.fingerprint);
        }
        if different.operations.is_empty() {
            by_owner.remove(&self.owner);
        }
    }
}
