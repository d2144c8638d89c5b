//! The commands about webhooks. A herald may serve meanwhile.

use std::fmt::Write;

use herald::config::{Concealed, DatabaseArgs};
use herald::error::Error;
use herald::log::{CallKind, Database, StoredCall, Waiting, WebhookRow};
use herald::messaging::WebhookId;
use herald::webhook::{Secret, Secrets, WebhookUrl};

use super::key::second;
use super::{CommandError, print};

/// The most calls that were given up and are listed of a webhook.
const LISTED_CALLS: u64 = 100;

/// Adds a webhook. Standard output has nothing but the secret, so that a program can take it from there.
pub(super) async fn add(
    url: &Concealed,
    has_bodies: bool,
    allow_private: bool,
    args: &DatabaseArgs,
) -> Result<(), CommandError> {
    let url: WebhookUrl = url.read().map_err(CommandError::Webhook)?;
    url.check(allow_private).map_err(CommandError::Webhook)?;
    let database = Database::open_beside(&args.options(None)).await.map_err(CommandError::database)?;
    let secret = Secret::draw();
    let secrets = Secrets::new(vec![secret.clone()]).map_err(CommandError::Webhook)?;
    let head = database.head().await.map_err(CommandError::unavailable("read the log's head"))?;
    let row = WebhookRow::new(&url, &secrets, has_bodies, head, database.now());
    let stored = database.insert_webhook(&row).await;
    stored.map_err(CommandError::unavailable("store the webhook"))?;
    database.close().await;
    eprintln!(
        "Added {} for {url}, from position {} on. The secret signs its calls: give it to the receiver.",
        row.id, head.position.0
    );
    print(&format!("{secret}\n"))
}

/// Lists the webhooks, without their secrets.
pub(super) async fn list(args: &DatabaseArgs) -> Result<(), CommandError> {
    let database = open(args).await?;
    let unavailable = CommandError::unavailable("read the webhooks");
    let rows = database.webhooks().await.map_err(&unavailable)?;
    let head = database.head().await.map_err(&unavailable)?;
    let mut text = String::new();
    for row in &rows {
        let counts = database.webhook_call_counts(row.id).await.map_err(&unavailable)?;
        let dead = database.dead_calls(row.id, LISTED_CALLS).await.map_err(&unavailable)?;
        let state = match &row.disabled {
            Some((at, because)) => format!("disabled {}: {because}", second(*at)),
            None => {
                let behind = head.position.0.saturating_sub(row.place.position.0);
                format!("at position {}, {behind} behind", row.place.position.0)
            }
        };
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "{}: {}, added {}, {state}; {} calls wait, {} were given up",
            row.id,
            row.url,
            second(row.created_at),
            counts.waiting,
            counts.dead
        );
        for call in &dead {
            text.push_str(&given_up(call));
        }
    }
    database.close().await;
    print(&text)
}

/// Calls a webhook once.
pub(super) async fn test(id: &str, allow_private: bool, args: &DatabaseArgs) -> Result<(), CommandError> {
    let database = open(args).await?;
    let row = find(&database, id).await?;
    let now = database.now();
    database.close().await;
    herald::webhook::test(&row, allow_private, now).await.map_err(CommandError::Webhook)?;
    eprintln!("The receiver accepted a call (webhook.test).");
    Ok(())
}

/// Has the calls that were given up be tried again.
pub(super) async fn replay(id: &str, args: &DatabaseArgs) -> Result<(), CommandError> {
    let database = open(args).await?;
    let row = find(&database, id).await?;
    let replayed = database.replay_calls(row.id).await;
    let replayed = replayed.map_err(CommandError::unavailable("replay the calls"))?;
    database.close().await;
    eprintln!("{replayed} calls are tried again, from the first attempt on.");
    Ok(())
}

/// Has a webhook be called no more.
pub(super) async fn disable(id: &str, args: &DatabaseArgs) -> Result<(), CommandError> {
    let database = open(args).await?;
    let row = find(&database, id).await?;
    let disabled = database.disable_webhook(row.id, "by herald webhook disable").await;
    let disabled = disabled.map_err(CommandError::unavailable("disable the webhook"))?;
    database.close().await;
    if !disabled {
        return Err(CommandError::Webhook("this webhook is disabled already".into()));
    }
    eprintln!("Disabled {}: every herald on this database notices within a second or two.", row.id);
    Ok(())
}

async fn find(database: &Database, id: &str) -> Result<WebhookRow, CommandError> {
    let unknown = || CommandError::Refused(Error::NotFound("webhook"));
    let id: WebhookId = id.parse().map_err(|_| unknown())?;
    let found = database.webhook(id).await.map_err(CommandError::unavailable("read the webhook"))?;
    found.ok_or_else(unknown)
}

/// A line about a call that was given up.
fn given_up(call: &StoredCall) -> String {
    let about = match call.kind {
        CallKind::Event => format!("the event at position {}", call.position.0),
        CallKind::Undelivered { after_seconds } => {
            format!(
                "{} in {}, not reached within {after_seconds} s",
                call.lane.recipient, call.lane.conversation
            )
        }
        CallKind::Rewound => "a log that began a new epoch".into(),
    };
    let at = match call.state.waiting {
        Waiting::GivenUp(at) => second(at),
        Waiting::Until(_) | Waiting::Behind => String::new(),
    };
    let error = call.state.error.as_deref().unwrap_or_default();
    format!("  given up {at} after {} attempts: {about}: {error}\n", call.state.attempts)
}

async fn open(args: &DatabaseArgs) -> Result<Database, CommandError> {
    Database::open_existing(&args.options(None)).await.map_err(CommandError::database)
}
