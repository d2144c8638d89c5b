//! Accepts connections: a bounded number in all, and of each address. [`connection`] serves one of them.

mod addresses;
mod connection;
mod intake;
mod metered;
mod overload;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

pub(super) use self::addresses::{Addresses, Place};
pub(super) use self::intake::{Intake, Unfinished};

use self::connection::Accepted;
use self::overload::Overload;
use super::Shared;
use super::router::router;
use crate::config::seconds;
use crate::metrics::{Counted, METRICS};
use crate::network::Network;

/// The pause after a connection cannot be accepted. Mostly the process has no file handles left then.
const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(100);

/// What a connection occupies. A WebSocket keeps it when it takes the connection over.
#[derive(Debug)]
pub(super) struct ConnectionPlace {
    _permit: OwnedSemaphorePermit,
    /// The place on the account of its address; `None` for the connection of a proxy.
    _place: Option<Place>,
    _open: TaskTrackerToken,
    _counted: Counted,
}

/// Serves until `shutdown` returns, and then gives open requests their time to finish.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, shutdown: impl Future<Output = ()>) {
    let mut acceptor = Acceptor {
        connections: TaskTracker::new(),
        permits: Arc::new(Semaphore::new(shared.limits.max_connections)),
        router: router(Arc::clone(&shared)),
        overload: Overload::default(),
        shared,
    };
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => acceptor.serve(stream, address),
                Err(error) => {
                    tracing::warn!(%error, "herald cannot accept a connection");
                    tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    acceptor.finish().await;
}

struct Acceptor {
    shared: Arc<Shared>,
    router: Router,
    connections: TaskTracker,
    permits: Arc<Semaphore>,
    overload: Overload,
}

impl Acceptor {
    /// Serves a connection in a task of its own, or hands it to [`Overload`] if there is no place for it.
    fn serve(&mut self, stream: TcpStream, address: SocketAddr) {
        let network = Network::of(address.ip());
        let account = self.shared.addresses.account(network);
        // A proxy's connections belong to many clients, so behind a proxy herald counts requests, whose heads name
        // the client.
        let place = if self.shared.trust_proxy { Some(None) } else { account.take_connection().map(Some) };
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        let (Some(place), Ok(permit)) = (place, permit) else {
            self.overload.handle(stream, network, &self.shared, &self.connections);
            return;
        };
        let place = ConnectionPlace {
            _permit: permit,
            _place: place,
            _open: self.connections.token(),
            _counted: Counted::new(&METRICS.connections),
        };
        let accepted = Accepted {
            place: Arc::new(place),
            address,
            intake: Arc::new(Intake::new(account, seconds(self.shared.limits.request_timeout))),
            router: self.router.clone(),
            shared: Arc::clone(&self.shared),
        };
        self.connections.spawn(accepted.serve(stream));
    }

    /// Asks every connection to end, and waits for them within the time for it.
    async fn finish(self) {
        self.shared.stopping.cancel();
        self.connections.close();
        let ending = self.connections.wait();
        if tokio::time::timeout(seconds(self.shared.limits.shutdown_timeout), ending).await.is_err() {
            tracing::warn!(connections = self.connections.len(), "some connections do not end in time");
        }
    }
}
