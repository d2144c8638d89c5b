//! The settings of each connection. herald sets them after it has connected, because poolers refuse start-up
//! parameters.

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Error, Row};

/// Sets everything that herald relies on, whatever the defaults of the server, the database and the role are. Then it
/// checks the result. A statement may take as long as `patience`.
///
/// # Errors
/// [`Error::InvalidArgument`] with a reason for the operator, when the session is not one of a primary or a setting
/// does not hold.
pub async fn settle(connection: &mut PgConnection, patience: Duration) -> Result<(), Error> {
    let millis = patience.as_millis();
    let wanted = wanted_settings(millis);
    let list = |with_value: bool| {
        let entries = wanted.iter().map(|(name, value)| {
            if with_value { format!("('{name}', '{value}')") } else { format!("'{name}'") }
        });
        entries.collect::<Vec<_>>().join(", ")
    };
    // Older servers lack some settings: idle_session_timeout came with 14, transaction_timeout with 17. Over a Unix
    // socket tcp_user_timeout stays 0, so the result is not checked for it.
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
        // A node that loses its network or stops in the middle of a transaction still holds the lock of the log's head.
        // With these, Postgres releases the lock whatever happens to the node.
        ("statement_timeout", millis.to_string()),
        ("idle_in_transaction_session_timeout", millis.to_string()),
        // A statement that waits for a lock ends by statement_timeout.
        ("lock_timeout", "0".into()),
        // Connections may wait for work or for a notification as long as it takes.
        ("idle_session_timeout", "0".into()),
        ("transaction_timeout", "0".into()),
        // The writer waits for the lock of the log's head, and must then see what was committed meanwhile. A stricter
        // level would give it the snapshot from before the wait.
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
            return refuse("it is read-only. Name a primary that accepts writes".into());
        }
        "standby" | "read-only" => true,
        "synchronous_commit" => value == "on" || value == "remote_apply",
        name => wanted.iter().any(|(known, right)| *known == name && *right == value),
    };
    if is_right {
        return Ok(());
    }
    refuse(format!(
        "its setting `{name}` does not take the value that herald needs. Something between herald and Postgres does \
         not pass SET on: use session pooling, or connect directly"
    ))
}

fn refuse(reason: String) -> Result<(), Error> {
    Err(Error::InvalidArgument(reason))
}
