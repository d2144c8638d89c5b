//! What each connection is set to. By SET once it is there, and not by start-up parameters, which poolers refuse.

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Error, Row};

/// Sets what herald relies on, whatever the server, the database or the role have, and looks whether it is so.
///
/// # Errors
/// [`Error::InvalidArgument`], in words for the operator, where this is no session of a primary.
pub async fn settle(connection: &mut PgConnection, patience: Duration) -> Result<(), Error> {
    let millis = patience.as_millis();
    let wanted = wanted_settings(millis);
    let list = |with_value: bool| {
        let entries = wanted.iter().map(|(name, value)| {
            if with_value { format!("('{name}', '{value}')") } else { format!("'{name}'") }
        });
        entries.collect::<Vec<_>>().join(", ")
    };
    // Servers differ in what they know: idle_session_timeout is of 14, transaction_timeout of 17. The time-out of TCP is
    // none over a socket of Unix, and so not looked at again.
    let set = format!(
        "SELECT set_config(name, value, false) FROM (VALUES {}, ('tcp_user_timeout', '{millis}')) AS wanted (name, value)
             WHERE current_setting(name, true) IS NOT NULL;
         SELECT set_config('synchronous_commit', 'on', false)
             WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')",
        list(true)
    );
    sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut *connection).await?;
    let ask = format!(
        "SELECT name, setting FROM pg_settings WHERE name IN ({}, 'synchronous_commit')
         UNION ALL SELECT 'standby', pg_is_in_recovery()::text
         UNION ALL SELECT 'read-only', current_setting('transaction_read_only')",
        list(false)
    );
    let rows = sqlx::raw_sql(AssertSqlSafe(ask)).fetch_all(connection).await?;
    for row in rows {
        check(&wanted, &row)?;
    }
    Ok(())
}

fn wanted_settings(millis: u128) -> [(&'static str, String); 7] {
    [
        // A node that was cut off or stopped amid a transaction holds the lock of the log's head. These make Postgres let
        // go of it, whatever became of the node.
        ("statement_timeout", millis.to_string()),
        ("idle_in_transaction_session_timeout", millis.to_string()),
        // What waits for a lock is a statement, and ends with it.
        ("lock_timeout", "0".into()),
        // Connections wait for work, or for news, as long as it takes.
        ("idle_session_timeout", "0".into()),
        ("transaction_timeout", "0".into()),
        // The writer waits for the head of the log and reads what came before: a snapshot of before it waited fails.
        ("default_transaction_isolation", "read committed".into()),
        ("default_transaction_read_only", "off".into()),
    ]
}

fn check(wanted: &[(&str, String)], row: &PgRow) -> Result<(), Error> {
    let (name, value): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let is_right = match name.as_str() {
        "standby" if value == "true" => {
            return refuse("it is a standby, which is read-only. Name the primary".into());
        }
        "read-only" if value == "on" => {
            return refuse("it is read-only. Name a primary that can be written to".into());
        }
        "standby" | "read-only" => true,
        "synchronous_commit" => value == "on" || value == "remote_apply",
        name => wanted.iter().any(|(known, right)| *known == name && *right == value),
    };
    if is_right {
        return Ok(());
    }
    refuse(format!(
        "its setting `{name}` does not become what herald needs. Something between herald and Postgres takes SET for itself: \
         use session pooling, or connect directly"
    ))
}

fn refuse(reason: String) -> Result<(), Error> {
    Err(Error::InvalidArgument(reason))
}
