//! The commands about a database.

use std::io::{self, BufRead, IsTerminal};
use std::net::Ipv4Addr;
use std::path::Path;

use herald::accounts::{AccountOptions, Accounts, Lifetimes};
use herald::config::{DAY, DatabaseArgs, MigrateArgs};
use herald::log::{self, Backup, Database, Restored};

use super::{CommandError, print};

/// Brings the schema up to date. With `--restored`, it also begins a new epoch.
pub(super) async fn migrate(args: &MigrateArgs) -> Result<(), CommandError> {
    let options = args.database.options(None);
    // A new epoch needs the database alone: a herald that serves would continue from the log that it remembers.
    let opened =
        if args.restored { Database::open(&options).await } else { Database::open_beside(&options).await };
    let database = opened.map_err(CommandError::database)?;
    let settled = database.settle_all_participants().await;
    settled.map_err(CommandError::unavailable("set right what earlier versions of herald did"))?;
    print("The schema is current.\n")?;
    if args.restored {
        let head = database.head().await.map_err(CommandError::unavailable("read the log's head"))?;
        database.renew(head.epoch).await.map_err(CommandError::unavailable("begin a new epoch"))?;
        print("A new epoch has begun: every cursor given out before is refused.\n")?;
    }
    database.close().await;
    Ok(())
}

/// Copies the database into a new file.
pub(super) async fn backup(file: &Path, args: &DatabaseArgs) -> Result<(), CommandError> {
    let backup = log::backup(&args.options(None), file).await;
    let Backup { position, bytes } = backup.map_err(CommandError::database)?;
    print(&format!("{} has the log up to position {position}: {bytes} bytes.\n", file.display()))
}

/// Puts a backup in the place of the database.
pub(super) async fn restore(file: &Path, args: &DatabaseArgs) -> Result<(), CommandError> {
    let restored = log::restore(&args.options(None), file).await;
    let Restored { position, kept } = restored.map_err(CommandError::database)?;
    print(&format!("Restored {}: the log up to position {position}.\n", file.display()))?;
    if let Some(kept) = kept {
        print(&format!(
            "The database of before is {}, with all that begins with this name.\n",
            kept.display()
        ))?;
    }
    print("A new epoch has begun: every cursor given out before is refused.\n")
}

/// Proves that the database holds what herald promises.
pub(super) async fn check(args: &DatabaseArgs) -> Result<(), CommandError> {
    let census = log::check(&args.options(None)).await.map_err(CommandError::database)?;
    let unowned = match census.unowned {
        0 => String::new(),
        unowned => format!(
            "{unowned} conversations have no owner, because a herald of an earlier version worked beside a later one: \
             `herald migrate` gives them theirs.\n"
        ),
    };
    print(&format!("{census}.\n{unowned}The log is sound.\n"))
}

/// Creates a user whose password is the first line of standard input.
pub(super) async fn add_user(
    handle: &str,
    display_name: Option<&str>,
    args: &DatabaseArgs,
) -> Result<(), CommandError> {
    if io::stdin().is_terminal() {
        eprint!("Password (it will be shown): ");
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(CommandError::Password)?;
    let password = line.trim_end_matches(['\r', '\n']);
    let database = Database::open_beside(&args.options(None)).await.map_err(CommandError::database)?;
    let options = AccountOptions::new(Lifetimes { idle: DAY, absolute: DAY }, 1);
    let accounts =
        Accounts::open(database.clone(), options).await.map_err(|error| CommandError::Start(error.into()))?;
    let address = Ipv4Addr::LOCALHOST.into();
    let registering = accounts.create(address, handle, display_name.unwrap_or(handle), password, None);
    let user = registering.await.map_err(CommandError::Refused)?;
    print(&format!("Added {} ({}).\n", user.handle, user.id))?;
    drop(accounts);
    database.close().await;
    Ok(())
}
