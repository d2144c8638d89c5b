//! A TCP proxy that can hold back, delay, cut and change what passes through it.
//!
//! What never lives here: what the bytes mean. A [`Filter`] may know that.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

/// Bytes that are read at a time.
const CHUNK: usize = 8 * 1024;

/// Chunks that may wait for their delay to pass. Beyond, nothing more is read, as from any slow reader.
const CHUNKS: usize = 16;

/// Pause after a connection could not be accepted.
const BREATH: Duration = Duration::from_millis(50);

/// What becomes of the bytes that go to a client of one connection.
pub type Change = Box<dyn FnMut(&[u8]) -> Vec<u8> + Send>;

/// Sees the bytes that go to clients, and may pass on other ones.
pub trait Filter: Send + Sync {
    /// What changes the bytes of one new connection.
    fn connection(&self) -> Change;
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From whoever connected to the proxy.
    ToServer,
    /// To whoever connected to the proxy.
    ToClient,
    /// Both ways.
    Both,
}

/// How bytes of one way are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Pass(Duration),
    Hold,
}

/// How the proxy treats its connections now.
#[derive(Debug, Clone, Copy)]
struct State {
    /// The port of the server.
    target: u16,
    to_server: Flow,
    to_client: Flow,
    /// Whether new connections are turned away.
    closed: bool,
    /// How often all connections were dropped. Counted, so that none misses it.
    cuts: u64,
}

impl State {
    fn flow(&self, to_server: bool) -> Flow {
        if to_server { self.to_server } else { self.to_client }
    }

    fn set(&mut self, to_server: Flow, to_client: Flow) {
        (self.to_server, self.to_client, self.closed) = (to_server, to_client, false);
    }
}

/// What a connection needs to know.
struct Way {
    filter: Option<Arc<dyn Filter>>,
    /// Size of the system's buffers on either side, where it is to be small.
    buffer: Option<u32>,
}

/// A proxy on a port of its own before a server on the loopback address. Gone, with its connections, on drop.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: watch::Sender<State>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy before the port `target`.
    pub async fn start(target: u16) -> Result<Self, String> {
        Self::open(target, Way { filter: None, buffer: None }).await
    }

    /// A proxy through which a filter lets pass what goes to clients.
    pub async fn start_with(target: u16, filter: Arc<dyn Filter>) -> Result<Self, String> {
        Self::open(target, Way { filter: Some(filter), buffer: None }).await
    }

    /// A proxy in which about `buffer` bytes find room, so that the server soon feels a client that reads
    /// slowly.
    pub async fn start_narrow(target: u16, buffer: u32) -> Result<Self, String> {
        Self::open(target, Way { filter: None, buffer: Some(buffer) }).await
    }

    async fn open(target: u16, way: Way) -> Result<Self, String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.map_err(|error| format!("cannot open a proxy: {error}"))?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let pass = Flow::Pass(Duration::ZERO);
        let (state, seen) =
            watch::channel(State { target, to_server: pass, to_client: pass, closed: false, cuts: 0 });
        let accepting = tokio::spawn(accept(listener, Arc::new(way), seen));
        Ok(Self { port, state, accepting })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets everything pass, at once.
    pub fn pass(&self) {
        self.delay(Duration::ZERO);
    }

    /// Drops all connections, and every new one as soon as it is made.
    pub fn cut(&self) {
        self.state.send_modify(|state| {
            state.closed = true;
            state.cuts += 1;
        });
    }

    /// Leads to another server from now on, and drops the connections to the one before.
    pub fn lead_to(&self, target: u16) {
        self.state.send_modify(|state| {
            state.target = target;
            state.cuts += 1;
        });
    }

    /// Keeps bytes that go this way back, until [`Self::pass`]: they stay unread. Connections stay open.
    pub fn hold(&self, direction: Direction) {
        let pass = Flow::Pass(Duration::ZERO);
        self.state.send_modify(|state| match direction {
            Direction::ToServer => state.set(Flow::Hold, pass),
            Direction::ToClient => state.set(pass, Flow::Hold),
            Direction::Both => state.set(Flow::Hold, Flow::Hold),
        });
    }

    /// Passes everything on this much later.
    pub fn delay(&self, delay: Duration) {
        self.state.send_modify(|state| state.set(Flow::Pass(delay), Flow::Pass(delay)));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The connections end by themselves when the state has no sender any more.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, way: Arc<Way>, state: watch::Receiver<State>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let (way, state) = (Arc::clone(&way), state.clone());
                tokio::spawn(async move {
                    // Whatever ends a connection on one side ends it on the other.
                    let _ = connection(client, &way, state).await;
                });
            }
            Err(_) => sleep(BREATH).await,
        }
    }
}

async fn connection(client: TcpStream, way: &Way, state: watch::Receiver<State>) -> io::Result<()> {
    let State { target, closed, cuts, .. } = *state.borrow();
    client.set_nodelay(true)?;
    if closed {
        return client.set_zero_linger();
    }
    if let Some(buffer) = way.buffer {
        SockRef::from(&client).set_send_buffer_size(usize::try_from(buffer).unwrap_or(CHUNK))?;
    }
    let Ok(server) = connect(target, way).await else { return client.set_zero_linger() };
    let change = way.filter.as_ref().map(|filter| filter.connection());
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = pump(from_client, to_server, state.clone(), true, None);
    let back = pump(from_server, to_client, state.clone(), false, change);
    tokio::select! {
        both = async { tokio::try_join!(there, back) } => both.map(|_| ()),
        ended = cut_off(state, cuts) => ended,
    }
}

/// Returns when all connections are dropped once more than so often.
async fn cut_off(mut state: watch::Receiver<State>, cuts: u64) -> io::Result<()> {
    state.wait_for(|state| state.cuts != cuts).await.map(|_| ()).map_err(over)
}

async fn connect(target: u16, way: &Way) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(buffer) = way.buffer {
        socket.set_recv_buffer_size(buffer)?;
    }
    let server = socket.connect(([127, 0, 0, 1], target).into()).await?;
    server.set_nodelay(true)?;
    Ok(server)
}

/// Carries bytes one way until their source ends or either side breaks.
async fn pump(
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    state: watch::Receiver<State>,
    to_server: bool,
    change: Option<Change>,
) -> io::Result<()> {
    let (queue, chunks) = mpsc::channel(CHUNKS);
    let reading = read(from, queue, state.clone(), to_server, change);
    let writing = write(to, chunks, state, to_server);
    tokio::try_join!(reading, writing).map(|_| ())
}

async fn read(
    mut from: OwnedReadHalf,
    queue: mpsc::Sender<(Instant, Vec<u8>)>,
    mut state: watch::Receiver<State>,
    to_server: bool,
    mut change: Option<Change>,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        passing(&mut state, to_server).await?;
        let read = tokio::select! {
            read = from.read(&mut buffer) => read?,
            // What is to be held from now on stays unread.
            changed = state.changed() => {
                changed.map_err(over)?;
                continue;
            }
        };
        if read == 0 {
            return Ok(());
        }
        let delay = passing(&mut state, to_server).await?;
        let bytes = &buffer[..read];
        let bytes = change.as_mut().map_or_else(|| bytes.to_vec(), |change| change(bytes));
        if !bytes.is_empty() && queue.send((Instant::now() + delay, bytes)).await.is_err() {
            return Ok(());
        }
    }
}

async fn write(
    mut to: OwnedWriteHalf,
    mut chunks: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut state: watch::Receiver<State>,
    to_server: bool,
) -> io::Result<()> {
    while let Some((due, bytes)) = chunks.recv().await {
        sleep_until(due).await;
        passing(&mut state, to_server).await?;
        to.write_all(&bytes).await?;
    }
    // The source has said all; the other way may go on.
    to.shutdown().await
}

/// Waits until bytes may pass this way. The answer is by how much they are delayed.
async fn passing(state: &mut watch::Receiver<State>, to_server: bool) -> io::Result<Duration> {
    let state = state.wait_for(|state| state.flow(to_server) != Flow::Hold).await.map_err(over)?;
    match state.flow(to_server) {
        Flow::Pass(delay) => Ok(delay),
        Flow::Hold => Ok(Duration::ZERO),
    }
}

/// The proxy is gone.
fn over(_: watch::error::RecvError) -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// A server that sends back what it is sent, and a proxy before it.
    async fn echo() -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        Proxy::start(port).await.unwrap()
    }

    async fn say(stream: &mut TcpStream, text: &[u8]) -> io::Result<()> {
        stream.write_all(text).await?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer).await?;
        assert_eq!(answer, text);
        Ok(())
    }

    #[tokio::test]
    async fn what_is_held_arrives_when_it_may_pass() {
        let proxy = echo().await;
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        say(&mut stream, b"one").await.unwrap();
        for direction in [Direction::ToServer, Direction::ToClient, Direction::Both] {
            proxy.hold(direction);
            let soon = Duration::from_millis(100);
            stream.write_all(b"held").await.unwrap();
            let mut answer = [0; 4];
            let early = timeout(soon, stream.read_exact(&mut answer)).await;
            assert!(early.is_err(), "nothing arrives while {direction:?} is held");
            proxy.pass();
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"held");
        }
    }

    #[tokio::test]
    async fn a_cut_ends_every_connection_and_new_ones_until_they_may_pass() {
        let proxy = echo().await;
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        say(&mut stream, b"one").await.unwrap();
        proxy.cut();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
        let mut late = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        assert!(say(&mut late, b"two").await.is_err());
        proxy.pass();
        let mut again = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        say(&mut again, b"three").await.unwrap();
    }

    #[tokio::test]
    async fn a_delay_is_that_of_each_chunk() {
        let proxy = echo().await;
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        proxy.delay(Duration::from_millis(60));
        let asked = std::time::Instant::now();
        say(&mut stream, b"slow").await.unwrap();
        assert!(asked.elapsed() >= Duration::from_millis(120), "there and back");
    }
}
