//! The memory of the real binary, which must return to its earlier size after a load.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use herald_processes::{Herald, HeraldOptions, Scratch, free_port};

use crate::support::{TestDatabase, User};

/// How long memory may take to come back.
const PATIENCE: Duration = Duration::from_secs(15);

/// Mebibytes that a process has in memory.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
}

/// Runs the real binary on an empty database.
async fn herald(database: &TestDatabase, scratch: &Scratch, flags: &[&str]) -> (Herald, SocketAddr) {
    let herald = Herald::start(HeraldOptions {
        binary: PathBuf::from(env!("CARGO_BIN_EXE_herald")),
        port: free_port().unwrap(),
        database: database.url.clone(),
        feed: None,
        flags: flags.iter().copied().map(str::to_owned).collect(),
        env: Vec::new(),
        log: scratch.path().join("log"),
    });
    let herald = herald.await.unwrap();
    let address = ([127, 0, 0, 1], herald.port()).into();
    (herald, address)
}

#[tokio::test]
async fn hashing_many_passwords_leaves_the_memory_of_those_hashed_at_once() {
    let (database, scratch) = (TestDatabase::create().await, Scratch::create("memory").unwrap());
    let (herald, address) = herald(&database, &scratch, &["--rate-limit", "off", "--max-hashing", "2"]).await;
    let before = resident(herald.id().unwrap());
    let arrivals = stream::iter(0..120).map(|n| async move {
        let user = User::register(address, &format!("user-{n}")).await;
        user.sign_in_again().await;
    });
    arrivals.buffer_unordered(16).collect::<Vec<_>>().await;
    // Two hashes of 19 MiB each, and some memory for a hundred requests and users. The allocator gives back what has been
    // free for a second, when it is asked for something else.
    let user = User::register(address, "late").await;
    let begun = Instant::now();
    let mut after = resident(herald.id().unwrap());
    while after > before + 50 && begun.elapsed() < PATIENCE {
        user.cursor().await;
        after = resident(herald.id().unwrap());
    }
    assert!(after <= before + 50, "{before} MiB before, {after} MiB after");
}

/// A parsed document takes some forty times the memory of its text. A subscription needs its plan only.
#[tokio::test]
async fn a_subscription_does_not_keep_its_document() {
    let (database, scratch) = (TestDatabase::create().await, Scratch::create("memory").unwrap());
    let (herald, address) = herald(&database, &scratch, &["--rate-limit", "off"]).await;
    let (ada, bob) = (User::register(address, "ada").await, User::register(address, "bob").await);
    let conversation = bob.start(&[&ada]).await;
    let fields = "at ".repeat(1_400);
    let document = |n: usize| {
        format!("subscription S{n}($after: Cursor) {{ messageSent(after: $after) {{ {fields} }} }}")
    };
    let before = resident(herald.id().unwrap());
    let mut sockets = Vec::new();
    for socket in 0..6 {
        let mut open = ada.socket(&format!("desk-{socket}")).await;
        for n in 0..90 {
            open.follow(&n.to_string(), &document(90 * socket + n)).await;
        }
        sockets.push(open);
    }
    bob.send(&conversation, "hello").await;
    for open in &mut sockets {
        // Each subscription brings one answer, in any order.
        for _ in 0..90 {
            assert_eq!(open.receive().await["type"], "next");
        }
    }
    let during = resident(herald.id().unwrap());
    // The cached documents, and some memory for the subscriptions. 540 documents would take 100 MiB or more.
    assert!(during <= before + 70, "{before} MiB before, {during} MiB with the subscriptions");
}
