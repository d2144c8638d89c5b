//! What other nodes do to accounts: sessions that they end, users whom they change. Each node looks for it from time to
//! time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use super::Accounts;
use crate::log::{AccountCounts, Unavailable};
use crate::messaging::UserId;
use crate::vitals::{Part, Vitals};

/// The most changes that one statement reads.
const PAGE_ROWS: u64 = 1_000;

/// The time between two checks that the remembered sessions are still stored. An operator may have deleted one.
const RECHECK_INTERVAL: Duration = Duration::from_secs(5);

impl Accounts {
    /// Looks every `every` for what other nodes did, for as long as the accounts live.
    pub async fn watch(self: &Arc<Self>, every: Duration, vitals: Arc<Vitals>) -> Result<(), Unavailable> {
        // Nothing is in memory yet, so nothing of what happened until now can be found there.
        let mut seen = self.database.account_counts().await?;
        let watched = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut reads = tokio::time::interval(every);
            reads.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut checked = Instant::now();
            loop {
                reads.tick().await;
                let Some(accounts) = watched.upgrade() else { return };
                let is_due = checked.elapsed() >= RECHECK_INTERVAL;
                let read = async {
                    if is_due {
                        accounts.sessions.check().await?;
                    }
                    accounts.keys.check().await?;
                    accounts.look(seen).await
                };
                // If this read fails, the next one finds what it missed.
                if let Some(Ok(found)) = vitals.guard(Part::Sessions, read).await {
                    seen = found;
                    vitals.works(Part::Sessions);
                    if is_due {
                        checked = Instant::now();
                    }
                }
            }
        });
        Ok(())
    }

    /// Applies on this node what any node did after `seen`. Returns how far it has looked.
    async fn look(&self, seen: AccountCounts) -> Result<AccountCounts, Unavailable> {
        let now = self.database.account_counts().await?;
        let went_back = now.epoch != seen.epoch
            || now.sessions_ended < seen.sessions_ended
            || now.users_changed < seen.users_changed;
        if went_back {
            // The numbers stand for other sessions and users now.
            self.sessions.check().await?;
            self.users.forget_all();
            self.check_users().await?;
            return Ok(now);
        }
        let mut found = seen;
        while found.sessions_ended < now.sessions_ended {
            let ended = self.database.sessions_ended(found.sessions_ended, PAGE_ROWS).await?;
            // The rows of sessions that have expired by now are deleted.
            let Some((last, _)) = ended.last() else { break };
            found.sessions_ended = *last;
            for (_, id) in ended {
                self.sessions.forget(id);
            }
        }
        found.sessions_ended = found.sessions_ended.max(now.sessions_ended);
        while found.users_changed < now.users_changed {
            let changed = self.database.users_changed(found.users_changed, PAGE_ROWS).await?;
            let Some((last, _)) = changed.last() else { break };
            found.users_changed = *last;
            for (_, user) in changed {
                self.apply_change(&user);
            }
        }
        Ok(found)
    }

    /// Ends the sessions of users who are disabled or no longer stored, where the database does not have the sessions.
    async fn check_users(&self) -> Result<(), Unavailable> {
        let others = self.login_system.iter().map(|login_system| &login_system.live);
        for sessions in others.chain([&self.acting]) {
            let users: Vec<UserId> = sessions.users().into_iter().collect();
            let rows = self.database.users_by_id(&users).await;
            for (id, row) in users.into_iter().zip(rows) {
                if row?.is_none_or(|user| user.disabled_at.is_some()) {
                    sessions.end_where(|live| live.user == id);
                }
            }
        }
        Ok(())
    }
}
