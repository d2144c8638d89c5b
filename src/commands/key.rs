//! The commands about service keys. A herald may serve meanwhile.

use herald::accounts::{Keys, Scope, Scopes};
use herald::config::DatabaseArgs;
use herald::log::Database;
use herald::messaging::Timestamp;

use super::{CommandError, print};

/// Makes a key. Standard output has nothing but the key, so that a program can take it from there.
pub(super) async fn add(name: &str, scopes: &[Scope], args: &DatabaseArgs) -> Result<(), CommandError> {
    let database = Database::open_beside(&args.options(None)).await.map_err(CommandError::database)?;
    let keys = Keys::new(database.clone());
    let scopes = Scopes::new(scopes);
    let key = keys.add(name, &scopes).await.map_err(CommandError::Refused)?;
    eprintln!("Made a key for {name} with the scopes {scopes}. Keep it: it is not shown again.");
    database.close().await;
    print(&format!("{key}\n"))
}

/// Lists every key, without the key itself.
pub(super) async fn list(args: &DatabaseArgs) -> Result<(), CommandError> {
    let database = open(args).await?;
    let rows = database.keys().await.map_err(CommandError::unavailable("read the service keys"))?;
    database.close().await;
    for row in rows {
        let state = row.revoked_at.map_or_else(String::new, |at| format!(", revoked {}", second(at)));
        print(&format!("{}: {}, made {}{state}\n", row.name, row.scopes, second(row.created_at)))?;
    }
    Ok(())
}

/// Revokes the valid key with this name.
pub(super) async fn revoke(name: &str, args: &DatabaseArgs) -> Result<(), CommandError> {
    let database = open(args).await?;
    Keys::new(database.clone()).revoke(name).await.map_err(CommandError::Refused)?;
    database.close().await;
    eprintln!("Revoked the key of {name}: every herald on this database notices within a second or two.");
    Ok(())
}

/// The instant to the second, in UTC.
pub(super) fn second(at: Timestamp) -> String {
    let instant = jiff::Timestamp::from_microsecond(at.0).unwrap_or_default();
    format!("{instant:.0}")
}

async fn open(args: &DatabaseArgs) -> Result<Database, CommandError> {
    Database::open_existing(&args.options(None)).await.map_err(CommandError::database)
}
