//! The commands of the command line. Each sets up a log on standard error before it does its work.

mod database;
mod error;
mod explain;
mod export;
mod health;
mod key;
mod serve;
mod webhook;

use std::io::{self, IsTerminal, Write};

use herald::config::{Command, KeyCommand, UserCommand, WebhookCommand};
use herald::graphql;
use herald::messaging::Timestamp;

pub(crate) use self::error::CommandError;

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Serve(args) => serve::serve(&args),
        Command::Schema { as_subgraph } => {
            set_up_log();
            if as_subgraph { print(graphql::subgraph_sdl()) } else { print(&graphql::sdl()) }
        }
        Command::Migrate(args) => run_once(database::migrate(&args)),
        Command::Backup { file, database } => run_once(database::backup(&file, &database)),
        Command::Restore { file, database } => run_once(database::restore(&file, &database)),
        Command::Check { database } => run_once(database::check(&database)),
        Command::Explain { message, database } => run_once(explain::explain(&message, &database)),
        Command::Health { listen } => run_once(health::health(listen)),
        Command::User(UserCommand::Add { handle, display_name, database }) => {
            run_once(database::add_user(&handle, display_name.as_deref(), &database))
        }
        Command::User(UserCommand::Export { user, database }) => run_once(export::export(&user, &database)),
        Command::Key(KeyCommand::Add { name, scopes, database }) => {
            run_once(key::add(&name, &scopes, &database))
        }
        Command::Key(KeyCommand::List { database }) => run_once(key::list(&database)),
        Command::Key(KeyCommand::Revoke { name, database }) => run_once(key::revoke(&name, &database)),
        Command::Webhook(WebhookCommand::Add { url, without_bodies, webhook_allow_private, database }) => {
            run_once(webhook::add(&url, !without_bodies, webhook_allow_private, &database))
        }
        Command::Webhook(WebhookCommand::List { database }) => run_once(webhook::list(&database)),
        Command::Webhook(WebhookCommand::Test { id, webhook_allow_private, database }) => {
            run_once(webhook::test(&id, webhook_allow_private, &database))
        }
        Command::Webhook(WebhookCommand::Replay { id, database }) => {
            run_once(webhook::replay(&id, &database))
        }
        Command::Webhook(WebhookCommand::Disable { id, database }) => {
            run_once(webhook::disable(&id, &database))
        }
    }
}

/// Runs a command that is not a server.
fn run_once(work: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    set_up_log();
    block_on(None, work)
}

/// Sets up the log of a command that is not a server. The command prints what a client would be told of a failure,
/// and the log adds the cause.
fn set_up_log() {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .without_time()
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
}

fn block_on(
    workers: Option<usize>,
    work: impl Future<Output = Result<(), CommandError>>,
) -> Result<(), CommandError> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = workers {
        runtime.worker_threads(workers.max(1));
    }
    runtime.enable_all().build().map_err(CommandError::Runtime)?.block_on(work)
}

/// Writes to standard output. It is no failure if nobody reads it to the end.
fn print(text: &str) -> Result<(), CommandError> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CommandError::Output(error)),
        _ => Ok(()),
    }
}

/// The instant to the microsecond, in UTC.
fn instant(at: Timestamp) -> String {
    format!("{:.6}", jiff::Timestamp::from_microsecond(at.0).unwrap_or_default())
}
