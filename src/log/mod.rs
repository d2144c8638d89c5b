//! The log: the one place that decides what happened and in which order, and the only one that knows SQL.
//!
//! Here live the tables, the [`Writer`] that appends to the log in group commits, the reader behind every
//! query and replay, and the rows of users and sessions. What never lives here: rules (they are in
//! `messaging`), subscribers, GraphQL. Nothing of sea-orm leaves this module.

mod address;
mod aging;
mod backup;
mod batch;
mod blocks;
mod check;
mod connection;
mod convert;
mod damage;
mod database;
mod diagnosis;
mod doubt;
mod entities;
mod erasing;
mod error;
mod export;
mod file;
mod head;
mod keys;
mod known_facts;
mod load;
mod own;
mod owners;
mod passwords;
mod prepared;
mod provisioning;
mod reader;
mod readiness;
mod restore;
mod retention;
mod schema;
mod sessions;
mod settling;
mod sharing;
mod sql;
mod stays;
mod store;
mod users;
mod wal;
mod webhooks;
mod writer;
mod writes;

pub use backup::{Backup, backup};
pub use batch::Each;
pub use blocks::BlockKey;
pub use check::{Census, check};
pub use database::{Database, DatabaseOptions, Observer};
pub use error::{ReadError, Unavailable, missing};
pub use export::MarkMade;
pub use head::PolledHead;
pub use keys::KeyRow;
pub use own::{OwnChange, OwnParticipation};
pub use passwords::Standing;
pub use provisioning::{FoundUsers, Provisioned};
pub use reader::{
    ConversationFilter, ConversationRow, Described, Direction, Journey, MarkTime, Membership, Page,
    ParticipantKey, Participating, Receipt, ReceiptsPage, Received, ReportKey, Reported, SubscriptionFilter,
    UnreadTotals, Viewer, Whose,
};
pub use readiness::Unready;
pub use restore::{Restored, restore};
pub(crate) use retention::{Keep, Retention};
pub use sessions::{AccountCounts, NewSession, SessionKey, SessionRow};
pub use users::{UserChange, UserRow};
pub use webhooks::{
    CallCounts, CallKind, CallState, Lane, LeaseOwner, Overdue, Reachable, Settlement, StoredCall, Waiting,
    WebhookRow,
};
pub use writer::{Committed, Rules, SubmitError, Writer};
