//! Ports: finding a free one, and waiting until somebody listens on it.

use std::collections::HashSet;
use std::net::TcpListener;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// Where ports are looked for. Below the range from which the system takes the ports of outgoing connections
/// (32768 and up on Linux): a server that was killed must find its port free when it comes back.
const PORTS: Range<u16> = 15_000..30_000;

/// Tries before there is thought to be no free port.
const TRIES: usize = 1_000;

/// Pause between two looks at a port.
const LOOK: Duration = Duration::from_millis(20);

/// Ports that this process has handed out. Each is handed out once.
static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A port of the loopback address on which nobody listens.
pub fn free_port() -> Result<u16, String> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = taken.get_or_insert_default();
    for _ in 0..TRIES {
        let port = fastrand::u16(PORTS);
        if !taken.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            taken.insert(port);
            return Ok(port);
        }
    }
    Err(format!("no free port was found between {} and {}", PORTS.start, PORTS.end))
}

/// Waits until the port accepts connections. `false` when it does not in time.
pub async fn accepts(port: u16, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    loop {
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        sleep(LOOK).await;
    }
}
