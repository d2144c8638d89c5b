//! What can break, and how it is mended.

use std::time::Duration;

use fastrand::Rng;
use herald_processes::{Chances, Direction, Proxy};
use tokio::time::sleep;

use crate::history::History;
use crate::node::Node;
use crate::servers::{Pooler, Servers};
use crate::turning::{fail_over, restore};
use crate::world::World;

/// How long a node may take to stop when it is asked to: twice the time that it gives what is under way, and
/// what a database that does not answer adds.
const STOPPING: Duration = Duration::from_secs(20);

/// What a network does to those whom it connects.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trouble {
    Cut,
    Hold(Direction),
    Delay(Duration),
}

/// A fault, at a node where it has one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Kill(usize),
    Terminate(usize),
    Pause(usize),
    Clients(usize, Trouble),
    Database(usize, Trouble),
    Feed(usize, Trouble),
    Messages(usize, Chances),
    KillNats,
    CrashPostgres,
    KillPooler,
    /// Between the pooler and Postgres.
    Pooler(Trouble),
    FailOver,
    Restore,
    /// By how many milliseconds.
    Clock(usize, i64),
    FullDisk,
}

/// What a fault is done to. Two faults at once are done to two things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Process(usize),
    Clients(usize),
    Database(usize),
    Feed(usize),
    Messages(usize),
    Clock(usize),
    Nats,
    Postgres,
    Pooler,
    PoolersDatabase,
    Disk,
}

impl Trouble {
    fn draw(random: &mut Rng) -> Self {
        match random.u32(0..6) {
            0 | 1 => Self::Cut,
            2 => Self::Hold(Direction::ToServer),
            3 => Self::Hold(Direction::ToClient),
            4 => Self::Hold(Direction::Both),
            _ => Self::Delay(Duration::from_millis(random.u64(20..800))),
        }
    }

    fn befall(self, proxy: &Proxy) {
        match self {
            Self::Cut => proxy.cut(),
            Self::Hold(direction) => proxy.hold(direction),
            Self::Delay(delay) => proxy.delay(delay),
        }
    }
}

impl Fault {
    /// Draws a fault that this world can have.
    pub(crate) fn draw(random: &mut Rng, world: &World) -> Self {
        loop {
            let node = random.usize(0..world.nodes.len());
            let fault = match random.u32(0..23) {
                0..3 => Self::Kill(node),
                3 => Self::Terminate(node),
                4..6 => Self::Pause(node),
                6..9 => Self::Clients(node, Trouble::draw(random)),
                9..12 => Self::Database(node, Trouble::draw(random)),
                12..14 => Self::Feed(node, Trouble::draw(random)),
                14..16 => Self::Messages(node, chances(random)),
                16 => Self::KillNats,
                17 => Self::CrashPostgres,
                18 => Self::Clock(node, step(random)),
                19..21 => Self::KillPooler,
                21 => Self::Pooler(Trouble::draw(random)),
                _ => Self::FullDisk,
            };
            if fault.fits(world) {
                return fault;
            }
        }
    }

    fn fits(self, world: &World) -> bool {
        match self {
            Self::Kill(_) | Self::Terminate(_) | Self::Pause(_) | Self::Clients(..) => true,
            Self::Database(node, _) => world.nodes[node].database.is_some(),
            Self::Feed(node, _) | Self::Messages(node, _) => world.nodes[node].feed.is_some(),
            Self::KillNats => world.nats.is_some(),
            Self::CrashPostgres => world.servers.is_some(),
            Self::KillPooler | Self::Pooler(_) => pooler(world).is_some(),
            // These are never chosen at random.
            Self::FailOver | Self::Restore => false,
            Self::Clock(node, _) => world.nodes[node].clock.is_some(),
            Self::FullDisk => world.disk.as_ref().is_some_and(crate::disk::Disk::can_be_full),
        }
    }

    /// Its kind, by which it is counted.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Kill(_) => "kill",
            Self::Terminate(_) => "restart",
            Self::Pause(_) => "pause",
            Self::Clients(..) => "clients cut off",
            Self::Database(..) => "database cut off",
            Self::Feed(..) => "feed cut off",
            Self::Messages(..) => "feed unreliable",
            Self::KillNats => "nats killed",
            Self::CrashPostgres => "postgres crashed",
            Self::KillPooler => "pooler killed",
            Self::Pooler(_) => "pooler cut off",
            Self::FailOver => "failover",
            Self::Restore => "restored",
            Self::Clock(..) => "clock jumped",
            Self::FullDisk => "disk full",
        }
    }

    /// Whether both can be done at once.
    pub(crate) fn goes_with(self, other: Self) -> bool {
        self.target() != other.target()
    }

    fn target(self) -> Target {
        match self {
            Self::Kill(node) | Self::Terminate(node) | Self::Pause(node) => Target::Process(node),
            Self::Clients(node, _) => Target::Clients(node),
            Self::Database(node, _) => Target::Database(node),
            Self::Feed(node, _) => Target::Feed(node),
            Self::Messages(node, _) => Target::Messages(node),
            Self::Clock(node, _) => Target::Clock(node),
            Self::KillNats => Target::Nats,
            Self::CrashPostgres | Self::FailOver | Self::Restore => Target::Postgres,
            Self::KillPooler => Target::Pooler,
            Self::Pooler(_) => Target::PoolersDatabase,
            Self::FullDisk => Target::Disk,
        }
    }

    /// Does it, holds it for so long, and mends it.
    ///
    /// # Errors
    /// What could not be mended: then nothing more can be said of herald.
    pub(crate) async fn inflict(
        self,
        world: &World,
        hold: Duration,
        history: &History,
    ) -> Result<(), String> {
        history.fault(format!("begins: {self:?}"));
        match self {
            Self::Kill(node) => kill(&world.nodes[node], node, hold, history).await?,
            Self::Terminate(node) => terminate(&world.nodes[node], node, hold, history).await?,
            Self::Pause(node) => pause(&world.nodes[node], hold).await?,
            Self::Clients(node, trouble) => befall(Some(&world.nodes[node].clients), trouble, hold).await,
            Self::Database(node, trouble) => {
                befall(world.nodes[node].database.as_ref(), trouble, hold).await;
            }
            Self::Feed(node, trouble) => {
                befall(world.nodes[node].feed.as_ref().map(|(proxy, _)| proxy), trouble, hold).await;
            }
            Self::Messages(node, chances) => {
                if let Some((_, messages)) = &world.nodes[node].feed {
                    messages.set(chances);
                    sleep(hold).await;
                    messages.set(Chances::default());
                }
            }
            Self::KillNats => {
                if let Some(nats) = &world.nats {
                    let mut nats = nats.lock().await;
                    nats.kill().await;
                    sleep(hold).await;
                    nats.start_again().await?;
                }
            }
            Self::CrashPostgres => {
                if let Some(postgres) = world.servers.as_ref().map(Servers::now) {
                    postgres.crash().await?;
                    sleep(hold).await;
                    postgres.start_again().await?;
                }
            }
            Self::KillPooler => {
                if let Some(pooler) = pooler(world) {
                    let mut server = pooler.server.lock().await;
                    server.kill().await;
                    sleep(hold).await;
                    server.start_again().await?;
                }
            }
            Self::Pooler(trouble) => {
                befall(pooler(world).map(|pooler| &pooler.database), trouble, hold).await;
            }
            Self::FailOver => {
                if let Some(servers) = &world.servers {
                    fail_over(world, servers, hold, history).await?;
                }
            }
            Self::Restore => restore(world, hold, history).await?,
            Self::Clock(node, step) => {
                if let Some(clock) = &world.nodes[node].clock {
                    clock.step(step)?;
                    sleep(hold).await;
                    clock.step(0)?;
                }
            }
            Self::FullDisk => {
                if let Some(disk) = &world.disk {
                    tokio::task::block_in_place(|| disk.fill())?;
                    sleep(hold).await;
                    disk.empty()?;
                }
            }
        }
        history.fault(format!("ends: {self:?}"));
        Ok(())
    }
}

fn pooler(world: &World) -> Option<&Pooler> {
    world.servers.as_ref()?.pooler.as_ref()
}

/// By how many milliseconds a clock steps: as somebody who sets it does, or who keeps it in time.
fn step(random: &mut Rng) -> i64 {
    let most = if random.bool() { 3_600_000 } else { 500 };
    random.i64(-most..=most)
}

/// How unreliable a feed is: a little, or beyond use.
fn chances(random: &mut Rng) -> Chances {
    let most = if random.bool() { 100 } else { 330 };
    Chances { drop: random.u32(0..=most), double: random.u32(0..=most), reorder: random.u32(0..=most) }
}

async fn befall(proxy: Option<&Proxy>, trouble: Trouble, hold: Duration) {
    if let Some(proxy) = proxy {
        trouble.befall(proxy);
        sleep(hold).await;
        proxy.pass();
    }
}

async fn kill(node: &Node, number: usize, hold: Duration, history: &History) -> Result<(), String> {
    {
        let mut herald = node.herald.lock().await;
        if let Some(status) = herald.ended() {
            history.strange(format!("node {number} ended by itself: {status}"));
        }
        herald.kill().await;
    }
    sleep(hold).await;
    node.start_again().await
}

async fn terminate(node: &Node, number: usize, hold: Duration, history: &History) -> Result<(), String> {
    {
        let mut herald = node.herald.lock().await;
        if let Some(status) = herald.ended() {
            history.strange(format!("node {number} ended by itself: {status}"));
        } else {
            match herald.terminate().await {
                Ok(took) if took <= STOPPING => {}
                Ok(took) => history.strange(format!("node {number} took {took:?} to stop")),
                Err(why) => history.strange(format!("node {number}: {why}")),
            }
        }
    }
    sleep(hold).await;
    node.start_again().await
}

async fn pause(node: &Node, hold: Duration) -> Result<(), String> {
    let herald = node.herald.lock().await;
    // A node that has ended by itself is noticed at the next fault, or at the end.
    if herald.pause().await.is_ok() {
        sleep(hold).await;
        herald.resume().await?;
    }
    Ok(())
}
