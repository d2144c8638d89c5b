//! One node, with the proxies between it and its clients, its database and its feed.

use std::time::{Duration, Instant};

use herald_processes::{Herald, HeraldOptions, NatsFaults, Proxy};
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::clock::Clock;

/// How long a node may fail to start again, which it does while it has no database.
const PATIENCE: Duration = Duration::from_mins(2);

/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// A node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) herald: Mutex<Herald>,
    /// Between clients and the node.
    pub(crate) clients: Proxy,
    /// Between the node and Postgres.
    pub(crate) database: Option<Proxy>,
    /// Between the node and NATS, and what befalls its messages.
    pub(crate) feed: Option<(Proxy, NatsFaults)>,
    pub(crate) clock: Option<Clock>,
}

impl Node {
    /// Starts a node behind its proxies.
    pub(crate) async fn start(
        options: HeraldOptions,
        database: Option<Proxy>,
        feed: Option<(Proxy, NatsFaults)>,
        clock: Option<Clock>,
    ) -> Result<Self, String> {
        /// Bytes that find room on the way to a client. Few, so that herald soon feels one that does not
        /// read.
        const ROOM: u32 = 16 * 1024;
        let clients = Proxy::start_narrow(options.port, ROOM).await?;
        let herald = Mutex::new(Herald::start(options).await?);
        Ok(Self { herald, clients, database, feed, clock })
    }

    /// Starts it again, however often it takes.
    pub(crate) async fn start_again(&self) -> Result<(), String> {
        let mut herald = self.herald.lock().await;
        let began = Instant::now();
        loop {
            match herald.start_again().await {
                Ok(()) => return Ok(()),
                Err(why) if began.elapsed() > PATIENCE => return Err(why),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }
}
