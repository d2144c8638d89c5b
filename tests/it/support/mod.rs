//! A herald for tests, and users who talk to it.

use std::time::Duration;

mod app;
pub(crate) mod certificates;
mod database;
mod follower;
mod hold;
mod http;
mod login_system;
mod open;
mod receiver;
mod socket;
mod told;
mod user;

pub(crate) use app::{Setup, TestApp};
pub(crate) use database::{TABLES, TestDatabase};
pub(crate) use follower::{Follower, Transport};
pub(crate) use hold::Hold;
pub(crate) use http::{Reply, request, try_post};
pub(crate) use login_system::{LoginSystem, SignedBy, now};
pub(crate) use open::{End, Open};
pub(crate) use receiver::{Answer, Called, FAILS, OK, Receiver, SECRETS, SteppedClock, secret};
pub(crate) use socket::Socket;
pub(crate) use told::Told;
pub(crate) use user::{PASSWORD, User};

/// The code of a response's first error.
pub(crate) fn code(response: &serde_json::Value) -> &str {
    response["errors"][0]["extensions"]["code"]
        .as_str()
        .unwrap_or_else(|| panic!("no error code: {response}"))
}

/// How long a test waits for something that nobody tells it of, before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until it is so, where there is nothing to wait for but to look again.
pub(crate) async fn until<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it comes to that");
}
