//! The tables, row by row, as sea-orm sees them. They never leave `log`: everyone else gets the types of
//! `messaging` and `accounts`.

#![allow(unreachable_pub, reason = "sea-orm's derives ask for `pub` rows; the modules are private")]

pub(super) mod block;
pub(super) mod conversation;
pub(super) mod event;
pub(super) mod log_head;
pub(super) mod message;
pub(super) mod own_participation;
pub(super) mod participant;
pub(super) mod service_key;
pub(super) mod session;
pub(super) mod session_end;
pub(super) mod start;
pub(super) mod user;
pub(super) mod webhook;
pub(super) mod webhook_call;
pub(super) mod webhook_rule;
