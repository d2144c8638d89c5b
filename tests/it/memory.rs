//! The memory of the real binary, which is to come back to what it was.

use std::path::PathBuf;

use futures_util::{StreamExt, stream};
use herald_processes::{Herald, HeraldOptions, Scratch, free_port};

use crate::support::{TestDatabase, User};

/// Mebibytes that a process has in memory.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
}

#[tokio::test]
async fn hashing_many_passwords_leaves_the_memory_of_those_hashed_at_once() {
    let database = TestDatabase::create().await;
    let scratch = Scratch::create("memory").unwrap();
    let herald = Herald::start(HeraldOptions {
        binary: PathBuf::from(env!("CARGO_BIN_EXE_herald")),
        port: free_port().unwrap(),
        database: database.url.clone(),
        feed: None,
        flags: ["--rate-limit", "off", "--max-hashing", "2"].map(str::to_owned).to_vec(),
        env: Vec::new(),
        log: scratch.path().join("log"),
    })
    .await
    .unwrap();
    let address = ([127, 0, 0, 1], herald.port()).into();
    let before = resident(herald.id().unwrap());
    let arrivals = stream::iter(0..120).map(|n| async move {
        let user = User::register(address, &format!("user-{n}")).await;
        user.sign_in_again().await;
    });
    arrivals.buffer_unordered(16).collect::<Vec<_>>().await;
    let after = resident(herald.id().unwrap());
    // Two times 19 MiB, and some for a hundred requests and their people.
    assert!(after <= before + 50, "{before} MiB before, {after} MiB after");
}
