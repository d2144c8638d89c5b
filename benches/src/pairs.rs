//! Chat in pairs, as people use it: what a message costs that is sent, marked delivered at once and seen DELIVERED by
//! its sender, beside the same on graphql-yoga. What never lives here: what one pair says.

mod talk;

use std::path::Path;
use std::time::Duration;

use herald_processes::Scratch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::figures::{Spread, percentile};
use crate::people::Pair;
use crate::server::{Server, cpu_of};
use talk::{Pace, Talk};

const PAIRS: usize = 100;

/// Messages a second of all pairs together.
const RATE: u32 = 200;

const WARM_UP: Duration = Duration::from_secs(2);
const PACED_FOR: Duration = Duration::from_secs(8);
const FULL_FOR: Duration = Duration::from_secs(4);

/// Runs of each server, by turns.
const ROUNDS: usize = 3;

/// How long the last messages of a load may take. What takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, PartialEq)]
enum Contender {
    Herald,
    Yoga,
}

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Herald => "herald",
            Self::Yoga => "graphql-yoga, better-sqlite3",
        }
    }

    async fn start(self, herald: &Path, folder: &Path) -> Server {
        match self {
            Self::Herald => Server::herald(herald, &folder.join("herald.db"), &[]).await,
            Self::Yoga => Server::yoga(&folder.join("yoga.db")).await,
        }
    }
}

/// What one load took.
struct Load {
    seconds: f64,
    /// CPU time of the server and of the load, in microseconds.
    cpu: f64,
    own_cpu: f64,
    /// From just before each message was sent until its sender saw it delivered, the shortest first.
    delays: Vec<Duration>,
}

impl Load {
    fn messages(&self) -> f64 {
        self.delays.len() as f64
    }

    fn milliseconds_each(&self) -> f64 {
        self.cpu / self.messages() / 1e3
    }
}

/// One run of one server.
struct Run {
    contender: Contender,
    paced: Load,
    full: Load,
}

/// Measures both servers by turns and prints a table.
pub(crate) async fn pairs(herald: &Path) {
    println!("\n## Pairs: {PAIRS} conversations of two, sent, marked and seen DELIVERED, durable\n");
    let scratch = Scratch::create("bench").unwrap();
    let contenders = [Contender::Herald, Contender::Yoga];
    let mut made = Vec::new();
    for contender in contenders {
        let server = contender.start(herald, scratch.path()).await;
        let mut pairs = Vec::new();
        for n in 0..PAIRS {
            pairs.push(Pair::make(server.port, n).await);
        }
        server.stop().await;
        made.push((contender, pairs));
    }
    let mut runs = Vec::new();
    for _ in 0..ROUNDS {
        for (contender, pairs) in &made {
            let server = contender.start(herald, scratch.path()).await;
            runs.push(run(*contender, &server, pairs).await);
            server.stop().await;
        }
    }
    print(&contenders.map(|contender| Row::of(contender, &runs)));
}

async fn run(contender: Contender, server: &Server, pairs: &[Pair]) -> Run {
    let mut talks = Vec::new();
    for pair in pairs {
        talks.push(Talk::connect(server.port, pair).await);
    }
    // Until connections have been used, code is compiled and caches are filled.
    let (talks, _) = load(server, talks, full(WARM_UP)).await;
    let (talks, paced) = load(server, talks, paced()).await;
    let (_, full) = load(server, talks, full(FULL_FOR)).await;
    Run { contender, paced, full }
}

/// Everybody sends in turn and evenly.
fn paced() -> impl Fn(usize) -> Pace {
    let begin = Instant::now();
    let period = Duration::from_secs(1) * PAIRS as u32 / RATE;
    let count = (PACED_FOR.as_nanos() / period.as_nanos()) as usize;
    move |n| Pace::Steady { begin: begin + period * n as u32 / PAIRS as u32, period, count }
}

/// Everybody sends as soon as the message before is seen delivered.
fn full(time: Duration) -> impl Fn(usize) -> Pace {
    let until = Instant::now() + time;
    move |_| Pace::Full { until }
}

/// Has all pairs talk at that pace, until all that was sent is seen delivered and every answer has arrived.
async fn load(server: &Server, talks: Vec<Talk>, pace: impl Fn(usize) -> Pace) -> (Vec<Talk>, Load) {
    let (begun, cpu, own_cpu) = (Instant::now(), server.cpu(), cpu_of("self"));
    let mut talking = JoinSet::new();
    for (n, mut talk) in talks.into_iter().enumerate() {
        let pace = pace(n);
        talking.spawn(async move {
            let delays = talk.run(pace).await;
            (talk, delays)
        });
    }
    let done =
        timeout(PACED_FOR + PATIENCE, talking.join_all()).await.expect("every message is seen delivered");
    let (seconds, cpu, own_cpu) =
        (begun.elapsed().as_secs_f64(), server.cpu() - cpu, cpu_of("self") - own_cpu);
    let (talks, delays): (Vec<_>, Vec<_>) = done.into_iter().unzip();
    let mut delays = delays.concat();
    delays.sort_unstable();
    (talks, Load { seconds, cpu, own_cpu, delays })
}

/// What the runs of one server come to.
struct Row {
    name: &'static str,
    paced_cpu: Spread,
    paced_p50: Spread,
    paced_p99: Spread,
    rate: Spread,
    full_cpu: Spread,
    full_p50: Spread,
    /// How busy the cores were of the server and of the load, in percent.
    busy: Spread,
    own_busy: Spread,
}

impl Row {
    fn of(contender: Contender, runs: &[Run]) -> Self {
        let spread = |value: fn(&Run) -> f64| {
            Spread::of(runs.iter().filter(|run| run.contender == contender).map(value).collect())
        };
        Self {
            name: contender.name(),
            paced_cpu: spread(|run| run.paced.milliseconds_each()),
            paced_p50: spread(|run| percentile(&run.paced.delays, 50)),
            paced_p99: spread(|run| percentile(&run.paced.delays, 99)),
            rate: spread(|run| run.full.messages() / run.full.seconds),
            full_cpu: spread(|run| run.full.milliseconds_each()),
            full_p50: spread(|run| percentile(&run.full.delays, 50)),
            busy: spread(|run| run.full.cpu / run.full.seconds / 1e4),
            own_busy: spread(|run| run.full.own_cpu / run.full.seconds / 1e4),
        }
    }
}

fn print(rows: &[Row; 2]) {
    println!("The median of {ROUNDS} runs (the least–the most).\n");
    println!("| at {RATE} messages/s | CPU a message | p50 | p99 |");
    println!("|---|---|---|---|");
    for Row { name, paced_cpu, paced_p50, paced_p99, .. } in rows {
        println!("| {name} | {paced_cpu:.2} ms | {paced_p50:.1} ms | {paced_p99:.1} ms |");
    }
    let [herald, yoga] = rows;
    println!("| **ratio** | **{:.2}** | | |", herald.paced_cpu.median / yoga.paced_cpu.median);
    println!("\n| as fast as it goes | messages/s | CPU a message | p50 | server's core | load's core |");
    println!("|---|---|---|---|---|---|");
    for Row { name, rate, full_cpu, full_p50, busy, own_busy, .. } in rows {
        let (busy, own_busy) = (busy.median, own_busy.median);
        println!(
            "| {name} | {rate:.0} | {full_cpu:.3} ms | {full_p50:.1} ms | {busy:.0} % | {own_busy:.0} % |"
        );
    }
    println!("| **ratio** (aim: at least 20) | **{:.1}** | | | | |", herald.rate.median / yoga.rate.median);
}
