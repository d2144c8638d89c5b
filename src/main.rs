//! The command line.

use std::io::{BufRead, IsTerminal, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use herald::accounts::{Accounts, Lifetimes, Sessions};
use herald::config::{self, Cli, Command, DAY, DatabaseArgs, LogFormat, MigrateArgs, ServeArgs, UserCommand};
use herald::log::{self, Backup, Database, Restored};
use herald::transport::serve_metrics;
use herald::{App, Parts, graphql};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// How long a herald may take to say whether it is ready: more than it takes itself, and less than who asks waits.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let is_server = matches!(cli.command, None | Some(Command::Serve(_)));
    if is_server {
        config::allocator::restart_with_settings();
    } else {
        log_causes();
    }
    let done = match cli.command {
        None => serve(&cli.serve),
        Some(Command::Serve(args)) => serve(&args),
        Some(Command::Migrate(args)) => block_on(None, migrate(&args)),
        Some(Command::Backup { file, database }) => block_on(None, backup(&file, &database)),
        Some(Command::Restore { file, database }) => block_on(None, restore(&file, &database)),
        Some(Command::Check { database }) => block_on(None, check(&database)),
        Some(Command::Schema) => say(&graphql::sdl()),
        Some(Command::Health { listen }) => block_on(None, health(listen)),
        Some(Command::User(UserCommand::Add { handle, display_name, database })) => {
            block_on(None, add_user(&handle, display_name.as_deref(), &database))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("herald: {message}");
            ExitCode::FAILURE
        }
    }
}

fn block_on(workers: Option<usize>, work: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = workers {
        runtime.worker_threads(workers.max(1));
    }
    runtime.enable_all().build().map_err(|error| error.to_string())?.block_on(work)
}

/// Writes to standard output. Whoever stops reading it early has seen enough.
fn say(text: &str) -> Result<(), String> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    }
}

fn serve(args: &ServeArgs) -> Result<(), String> {
    log(args)?;
    // Each socket is a file handle. Where the soft limit cannot be raised, it stays as it is.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    block_on(args.workers, async {
        let app = App::open(args, Parts::default()).await.map_err(|error| error.to_string())?;
        let listener = TcpListener::bind(args.listen)
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
        let watched = match args.metrics_listen {
            Some(address) => Some(
                TcpListener::bind(address)
                    .await
                    .map_err(|error| format!("cannot listen on {address} for metrics: {error}"))?,
            ),
            None => None,
        };
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let (scheme, place) = args.database.database.split_once("://").unwrap_or_default();
        // A Postgres URL may hold a password; an SQLite one names a file.
        let place = if scheme == "sqlite" { place.split('?').next().unwrap_or_default() } else { "…" };
        tracing::info!("GraphQL    http://{address}/graphql, and WebSocket on the same path");
        if !args.no_playground {
            tracing::info!("playground http://{address}/ and http://{address}/graphiql");
        }
        tracing::info!("database   {scheme}://{place}");
        tracing::info!("health     http://{address}/healthz and /readyz");
        if let Some(listener) = watched {
            let address = listener.local_addr().map_err(|error| error.to_string())?;
            tracing::info!("metrics    http://{address}/metrics");
            tokio::spawn(async move {
                let ended = serve_metrics(listener).await;
                tracing::error!(?ended, "the metrics are not served any more");
            });
        }
        app.run(listener, asked_to_stop()).await;
        tracing::info!("stopped");
        Ok(())
    })
}

fn log(args: &ServeArgs) -> Result<(), String> {
    // The client of NATS says each failed try in several lines; what matters, herald says. A filter may name it.
    let filter = EnvFilter::try_new(format!("async_nats=off,{}", args.log))
        .map_err(|error| format!("--log {}: {error}", args.log))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Text => subscriber.with_target(false).with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => subscriber.json().init(),
    }
    Ok(())
}

/// What a command tells of a failure is what a client would be told. Its cause goes to standard error, too.
fn log_causes() {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .without_time()
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

/// Returns at the first SIGINT or SIGTERM.
async fn asked_to_stop() {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        tracing::error!("cannot listen for signals");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping: finishing what is under way");
}

/// Asks whether a herald is ready.
async fn health(mut address: SocketAddr) -> Result<(), String> {
    // One that listens everywhere listens here too.
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: herald\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(HEALTH_TIMEOUT, asking).await;
    let answer = answer.map_err(|_| format!("{address} does not answer"))?;
    let answer = answer.map_err(|error| format!("{address}: {error}"))?;
    let said = answer.lines().last().unwrap_or_default();
    if answer.starts_with("HTTP/1.1 200 ") {
        say(&format!("{said}\n"))
    } else {
        Err(format!("not ready: {said}"))
    }
}

async fn migrate(args: &MigrateArgs) -> Result<(), String> {
    let options = args.database.options(None);
    let database = if args.restored {
        // A herald that serves would go on with what it remembers of the log before.
        Database::open(&options).await?
    } else {
        Database::open_beside(&options).await?
    };
    say("The schema is current.\n")?;
    if args.restored {
        let head = database.head().await.map_err(|_| "cannot read the log's head")?;
        database.renew(head.epoch).await.map_err(|_| "cannot begin a new epoch")?;
        say("A new epoch has begun: every cursor given out before is refused.\n")?;
    }
    database.close().await;
    Ok(())
}

async fn backup(file: &Path, args: &DatabaseArgs) -> Result<(), String> {
    let Backup { position, bytes } = log::backup(&args.options(None), file).await?;
    say(&format!("{} has the log up to position {position}: {bytes} bytes.\n", file.display()))
}

async fn restore(file: &Path, args: &DatabaseArgs) -> Result<(), String> {
    let Restored { position, kept } = log::restore(&args.options(None), file).await?;
    say(&format!("Restored {}: the log up to position {position}.\n", file.display()))?;
    if let Some(kept) = kept {
        say(&format!(
            "The database of before is {}, with all that begins with this name.\n",
            kept.display()
        ))?;
    }
    say("A new epoch has begun: every cursor given out before is refused.\n")
}

/// Holds everything that is stored against the log.
async fn check(args: &DatabaseArgs) -> Result<(), String> {
    let census = log::check(&args.options(None)).await?;
    say(&format!("{census}.\nThe log is sound.\n"))
}

async fn add_user(handle: &str, display_name: Option<&str>, args: &DatabaseArgs) -> Result<(), String> {
    if std::io::stdin().is_terminal() {
        eprint!("Password (it will be shown): ");
    }
    let mut password = String::new();
    std::io::stdin().lock().read_line(&mut password).map_err(|error| error.to_string())?;
    let database = Database::open_beside(&args.options(None)).await?;
    let sessions = Arc::new(Sessions::new(database.clone(), Lifetimes { idle: DAY, absolute: DAY }));
    let accounts = Accounts::new(database.clone(), sessions, 1);
    let display_name = display_name.unwrap_or(handle);
    let user = accounts
        .register(
            Ipv4Addr::LOCALHOST.into(),
            handle,
            display_name,
            password.trim_end_matches(['\r', '\n']),
            None,
        )
        .await
        .map_err(|error| error.message())?;
    say(&format!("Added {} ({}).\n", user.handle, user.id))?;
    drop(accounts);
    database.close().await;
    Ok(())
}
