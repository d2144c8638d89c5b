//! Several nodes on one Postgres: how long a message takes from node to node, what more nodes cost, and what
//! the lock on the log's head carries. What never lives here: how each of it is measured.

mod counts;
mod pairs;
mod writers;

use std::iter::once;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use herald_processes::{Herald, HeraldOptions, Nats, Postgres, Scratch, free_port};

use self::counts::{Counter, Statements, Traffic};
use self::pairs::Arrivals;
use crate::people::Pair;

/// Pairs of people. As many senders, spread over the nodes, are the load that all numbers of nodes are given.
const PAIRS: usize = 64;

/// How many nodes.
const NODES: [usize; 3] = [1, 2, 3];

/// Commands under way, at each node, when the lock is measured.
const IN_FLIGHT: [usize; 2] = [64, 256];

/// A load under which nothing waits long, in messages a second.
const MODERATE: u32 = 200;

/// How long each load lasts. All of them together stay below three minutes.
const WARM_UP: Duration = Duration::from_millis(500);
const MODERATE_FOR: Duration = Duration::from_secs(6);
const FULL_FOR: Duration = Duration::from_secs(3);
const WRITERS_FOR: Duration = Duration::from_secs(2);

/// How many of those who are to be made are made at a time; herald hashes two passwords at a time.
const MADE_AT_ONCE: usize = 4;

/// The cores of this machine.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The whole page.
pub(crate) async fn measure(herald: &Path) {
    let site = Site::make(herald).await;
    site.introduce().await;
    let outcomes = site.messages().await;
    Site::costs(&outcomes);
    Site::lock_through_nodes(&outcomes);
    site.lock_alone().await;
}

/// How news travels from node to node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feed {
    Postgres,
    Nats,
}

impl Feed {
    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "LISTEN/NOTIFY",
            Self::Nats => "NATS",
        }
    }
}

/// How messages are sent.
#[derive(Debug, Clone, Copy)]
enum Pace {
    /// Evenly, so many a second in all.
    Steady(u32),
    /// By each sender, as soon as the one before is answered.
    Full,
}

/// What one load came to.
struct Load {
    seconds: f64,
    /// From just before each message was sent to its arrival, in order.
    delays: Vec<Duration>,
    /// What was counted by Postgres meanwhile.
    statements: Statements,
    /// What was carried by NATS meanwhile.
    traffic: Traffic,
}

impl Load {
    fn messages(&self) -> f64 {
        self.delays.len() as f64
    }

    fn rate(&self) -> f64 {
        self.messages() / self.seconds
    }

    /// The delay in milliseconds that so many percent of the messages do not exceed.
    fn percentile(&self, percent: usize) -> f64 {
        self.delays[(self.delays.len() - 1) * percent / 100].as_secs_f64() * 1e3
    }
}

/// What so many nodes came to.
struct Outcome {
    feed: Feed,
    nodes: usize,
    moderate: Load,
    full: Load,
    /// With so many senders at each node.
    crowded: Vec<(usize, Load)>,
}

/// What all nodes share, and the people who use them. Their sessions are good at every node.
struct Site<'a> {
    herald: &'a Path,
    // Dropped in this order: the folder last.
    statements: Counter,
    pairs: Vec<Pair>,
    nats: Nats,
    postgres: Postgres,
    scratch: Scratch,
}

impl<'a> Site<'a> {
    async fn make(herald: &'a Path) -> Self {
        let scratch = Scratch::create("bench").unwrap();
        let preload = [("shared_preload_libraries", "pg_stat_statements")];
        let postgres = Postgres::start(scratch.path(), &preload).await.unwrap();
        let nats = Nats::start_monitored(scratch.path()).await.unwrap();
        let statements = Counter::connect(&postgres.url()).await;
        let mut site = Self { herald, statements, pairs: Vec::new(), nats, postgres, scratch };
        let mut nodes = site.start(Feed::Postgres, 1).await;
        let port = nodes[0].port();
        let pairs = stream::iter(0..PAIRS).map(|n| Pair::make(port, n)).buffered(MADE_AT_ONCE);
        site.pairs = pairs.collect().await;
        stop(&mut nodes).await;
        site
    }

    /// Says what was measured where.
    async fn introduce(&self) {
        println!("\n# Several nodes on one Postgres\n");
        let (cores, server) = (cores(), self.statements.server().await);
        println!("Measured by `benches/run cluster` on {cores} cores, {server}. The nodes, Postgres,");
        println!("nats-server and the load share them, and each node more takes from the others: read");
        println!("relations, not capacities.");
    }

    async fn start(&self, feed: Feed, nodes: usize) -> Vec<Herald> {
        let mut started = Vec::new();
        for n in 0..nodes {
            let options = HeraldOptions {
                binary: self.herald.to_owned(),
                port: free_port().unwrap(),
                database: self.postgres.url(),
                feed: (feed == Feed::Nats).then(|| format!("nats://127.0.0.1:{}", self.nats.port())),
                flags: ["--rate-limit", "off"].map(str::to_owned).to_vec(),
                env: Vec::new(),
                log: self.scratch.path().join(format!("herald-{n}.log")),
            };
            started.push(Herald::start(options).await.unwrap());
        }
        started
    }

    /// From node to node, by feed and number of nodes.
    async fn messages(&self) -> Vec<Outcome> {
        println!("\n## From node to node\n");
        println!("{PAIRS} people, spread over the nodes, send over HTTP, each to one other, who listens");
        println!("over WebSocket at the next node (the same one, where there is one). A delay is the time");
        println!("from just before `sendMessage` to the event at the listener.\n");
        println!(
            "| feed | nodes | at {MODERATE} messages/s: p50 | p99 | at full load: messages/s | p50 | p99 |"
        );
        println!("|---|---|---|---|---|---|---|");
        let mut outcomes = Vec::new();
        for feed in [Feed::Postgres, Feed::Nats] {
            for nodes in NODES {
                let outcome = self.outcome(feed, nodes).await;
                let Outcome { moderate, full, .. } = &outcome;
                println!(
                    "| {} | {nodes} | {:.1} ms | {:.1} ms | {:.0} | {:.1} ms | {:.1} ms |",
                    feed.name(),
                    moderate.percentile(50),
                    moderate.percentile(99),
                    full.rate(),
                    full.percentile(50),
                    full.percentile(99),
                );
                outcomes.push(outcome);
            }
        }
        outcomes
    }

    async fn outcome(&self, feed: Feed, nodes: usize) -> Outcome {
        let mut heralds = self.start(feed, nodes).await;
        let ports: Vec<u16> = heralds.iter().map(Herald::port).collect();
        let arrivals = Arc::new(Arrivals::default());
        let following = pairs::follow(&self.pairs, &ports, &arrivals).await;
        // Until connections are made and caches filled.
        self.load(&ports, &arrivals, PAIRS, Pace::Full, WARM_UP).await;
        let moderate = self.load(&ports, &arrivals, PAIRS, Pace::Steady(MODERATE), MODERATE_FOR).await;
        let full = self.load(&ports, &arrivals, PAIRS, Pace::Full, FULL_FOR).await;
        let mut crowded = Vec::new();
        for each in IN_FLIGHT {
            let load = self.load(&ports, &arrivals, each * nodes, Pace::Full, FULL_FOR).await;
            crowded.push((each, load));
        }
        drop(following);
        stop(&mut heralds).await;
        Outcome { feed, nodes, moderate, full, crowded }
    }

    /// Sends for a while, waits until all has arrived, and looks at what was counted.
    async fn load(
        &self,
        ports: &[u16],
        arrivals: &Arrivals,
        senders: usize,
        pace: Pace,
        time: Duration,
    ) -> Load {
        let sending = pairs::connect(&self.pairs, ports, senders).await;
        let traffic = Traffic::of(&self.nats).await;
        let position = self.statements.begin().await;
        let begun = Instant::now();
        let sent = match pace {
            Pace::Steady(rate) => pairs::send_steadily(sending, rate, time).await,
            Pace::Full => pairs::send_at_full_speed(sending, time).await,
        };
        let seconds = begun.elapsed().as_secs_f64();
        let delays = arrivals.take(sent).await;
        let statements = self.statements.since(position).await;
        let traffic = Traffic::of(&self.nats).await - traffic;
        Load { seconds, delays, statements, traffic }
    }

    /// What a message costs Postgres and NATS at the moderate rate.
    fn costs(outcomes: &[Outcome]) {
        println!("\n## What a message costs at {MODERATE} messages/s\n");
        println!("Statements on Postgres, all of them and those that read a table, with what each node asks");
        println!("every second; bytes of payload on NATS.\n");
        println!(
            "| feed | nodes | statements | read `events` | read `messages` | read `log_head` | `pg_notify` \
             | messages a batch | into NATS | out of NATS |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
        for Outcome { feed, nodes, moderate, .. } in outcomes {
            let Load { statements, traffic, .. } = moderate;
            let each = |counted: f64| counted / moderate.messages();
            let carried = |bytes: f64| match feed {
                Feed::Postgres => "–".to_owned(),
                Feed::Nats => format!("{:.0}", each(bytes)),
            };
            println!(
                "| {} | {nodes} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {} | {} |",
                feed.name(),
                each(statements.all),
                each(statements.events),
                each(statements.messages),
                each(statements.log_head),
                each(statements.notifications),
                statements.appended / statements.batches,
                carried(traffic.into),
                carried(traffic.out),
            );
        }
    }

    /// What the lock carries through herald.
    fn lock_through_nodes(outcomes: &[Outcome]) {
        println!("\n## What the lock on `log_head` carries, through herald over HTTP\n");
        println!("| feed | nodes | in flight at each | messages/s | batches/s | messages a batch |");
        println!("|---|---|---|---|---|---|");
        for Outcome { feed, nodes, crowded, .. } in outcomes {
            for (each, load) in crowded {
                let Load { statements, seconds, .. } = load;
                println!(
                    "| {} | {nodes} | {each} | {:.0} | {:.0} | {:.1} |",
                    feed.name(),
                    statements.appended / seconds,
                    statements.batches / seconds,
                    statements.appended / statements.batches,
                );
            }
        }
    }

    /// What the lock carries when nothing else is to be done.
    async fn lock_alone(&self) {
        println!("\n## What it carries without HTTP, GraphQL and a feed between nodes\n");
        println!("Each writer is that of a node, with a connection of its own; all are in one process.\n");
        println!("| writers | in flight at each | messages/s | batches/s | messages a batch | a batch |");
        println!("|---|---|---|---|---|---|");
        for writers in NODES {
            // One alone shows what a commit costs.
            for each in once(1).chain(IN_FLIGHT) {
                let running = writers::Running::start(&self.postgres.url(), writers).await;
                let position = self.statements.begin().await;
                let seconds = running.send(&self.pairs, each, WRITERS_FOR).await;
                let statements = self.statements.since(position).await;
                running.stop().await;
                println!(
                    "| {writers} | {each} | {:.0} | {:.0} | {:.1} | {:.0} µs |",
                    statements.appended / seconds,
                    statements.batches / seconds,
                    statements.appended / statements.batches,
                    seconds / statements.batches * 1e6,
                );
            }
        }
    }
}

async fn stop(nodes: &mut [Herald]) {
    for node in nodes {
        node.terminate().await.unwrap();
    }
}
