//! herald from outside: GraphQL over real sockets, one file per capability.
//!
//! Every test has a herald and a database of its own: an SQLite file, or, when `HERALD_TEST_POSTGRES` names a
//! server (`postgres://user@host/postgres`), a Postgres database that is made for it.

#![allow(clippy::unwrap_used, reason = "a test that fails should say where, and then stop")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::format_push_string,
    clippy::assigning_clones,
    clippy::trivially_copy_pass_by_ref,
    reason = "test data is small, and plain code is easier to believe"
)]

mod support;

mod accounts;
mod acting;
mod addresses;
mod answers;
mod architecture;
mod backup;
mod changed_meanwhile;
mod check;
mod checkpoints;
mod command_line;
mod compression;
mod configuration;
mod conversation;
mod conversations;
mod core;
mod crash;
mod creating;
mod damaged;
mod documents;
mod erasing;
mod event_stream;
mod everything;
mod exporting;
mod failures;
mod federation;
mod follow;
mod fuzz;
mod http;
mod leaving;
mod limits;
mod login_system;
mod marking;
mod marks;
mod memory;
mod messages;
mod metrics;
mod multipart;
mod nodes;
mod not_yet;
mod opening;
mod origins;
mod own_account;
mod plans;
mod playground;
mod postgres;
mod previous;
mod provisioning;
mod rates;
mod redacting;
mod removing;
mod renaming;
mod retention;
mod rewound;
mod schema;
mod service_keys;
mod settling;
mod sharing;
mod sharing_model;
mod specification;
mod statements;
mod stays;
mod subscriptions;
mod texts;
mod their_nats;
mod their_postgres;
mod times;
mod traces;
mod undeliverable;
mod undelivered;
mod unread;
mod updating;
mod upgrade;
mod vitals;
mod webhook_commands;
mod webhook_failures;
mod webhook_nodes;
mod webhook_replay;
mod webhooks;
mod websocket;
mod websocket_limits;
