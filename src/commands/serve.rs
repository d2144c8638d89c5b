//! `herald serve`.

use std::io::{self, IsTerminal};
use std::net::SocketAddr;

use herald::config::{LogFormat, ServeArgs};
use herald::trace::Exporter;
use herald::transport::serve_metrics;
use herald::{App, Parts};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use super::{CommandError, block_on};

/// The most connections that wait to be accepted. When everybody comes back at once, the system drops those that do not
/// fit, and their clients try again a second later. The system may allow less (`net.core.somaxconn`, 4,096 by default).
const BACKLOG_CONNECTIONS: u32 = 4_096;

/// Serves until a signal tells herald to stop.
pub(super) fn serve(args: &ServeArgs) -> Result<(), CommandError> {
    // Each socket is a file handle. If the soft limit cannot be raised, it stays.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    block_on(args.workers, async {
        let traces = args.otlp_endpoint.as_ref().map(Exporter::start).transpose()?;
        set_up_log(args, traces.as_ref())?;
        let app = App::open(args, Parts::default()).await?;
        let (listener, address) = listen(args.listen, "")?;
        let metrics = match args.metrics_listen {
            Some(address) => Some(listen(address, " for metrics")?),
            None => None,
        };
        log_addresses(args, address);
        if let Some((listener, address)) = metrics {
            tracing::info!("metrics    http://{address}/metrics");
            tokio::spawn(async move {
                let ended = serve_metrics(listener).await;
                tracing::error!(?ended, "the metrics are not served any more");
            });
        }
        app.run(listener, stop_signal()).await;
        tracing::info!("stopped");
        if let Some(traces) = traces {
            traces.finish().await;
        }
        Ok(())
    })
}

/// Listens on an address, and returns the actual one: port 0 lets the system choose.
fn listen(address: SocketAddr, purpose: &'static str) -> Result<(TcpListener, SocketAddr), CommandError> {
    let failed = |source| CommandError::Listen { address, purpose, source };
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A herald that starts again takes its port, whatever connections of before are still closing.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG_CONNECTIONS)
    };
    let listener = bind().map_err(failed)?;
    let actual = listener.local_addr().map_err(failed)?;
    Ok((listener, actual))
}

fn log_addresses(args: &ServeArgs, address: SocketAddr) {
    let (scheme, place) = args.database.database.split_once("://").unwrap_or_default();
    // An SQLite URL names a file. A Postgres URL may hold a password.
    let place = if scheme == "sqlite" { place.split('?').next().unwrap_or_default() } else { "…" };
    tracing::info!("GraphQL    http://{address}/graphql, and WebSocket on the same path");
    if !args.no_playground {
        tracing::info!("playground http://{address}/ and http://{address}/graphiql");
    }
    tracing::info!("database   {scheme}://{place}");
    tracing::info!("health     http://{address}/healthz and /readyz");
}

/// Returns at the first SIGINT or SIGTERM.
async fn stop_signal() {
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

/// Whether a part of `--log` is a level, or names what it is about. The library takes every other word for the name of a
/// program's part that there is not, and then logs nothing at all.
fn is_log_directive(directive: &str) -> bool {
    directive.contains(['=', '[']) || directive.parse::<LevelFilter>().is_ok()
}

/// Sets up the log of a server, on standard error.
fn set_up_log(args: &ServeArgs, traces: Option<&Exporter>) -> Result<(), CommandError> {
    // The client of NATS logs each failed attempt in several lines; herald logs what matters. A filter may turn it on
    // again.
    if let Some(word) = args.log.split(',').find(|directive| !is_log_directive(directive.trim())) {
        return Err(CommandError::LogLevel { word: word.to_owned() });
    }
    let filter = EnvFilter::try_new(format!("async_nats=off,{}", args.log))
        .map_err(|source| CommandError::LogFilter { filter: args.log.clone(), source })?;
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match args.log_format {
        LogFormat::Text => lines.with_target(false).with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    // A span that is traced need not be in the log. Where nothing is traced, one filter for all costs less.
    match traces {
        Some(traces) => registry().with(lines.with_filter(filter)).with(traces.layer()).init(),
        None => registry().with(lines).with(filter).init(),
    }
    Ok(())
}
