//! Ends sessions at one node, and checks how soon the other nodes know.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::checker::Probe;
use crate::device::Surroundings;
use crate::http::{Posted, post};
use crate::person::Person;
use crate::phase::{Phase, Phases};
use crate::socket::{Heard, Socket};

/// How long it is waited for what is to happen within a second and a half.
const PATIENCE: Duration = Duration::from_secs(6);

/// Pause between two looks whether a token is refused.
const LOOK: Duration = Duration::from_millis(50);

/// Signs a person in and out again, as long as people act and the log never went back: the numbers of sessions that
/// were ended and lost are those of others later.
pub(crate) async fn come_and_go(
    around: Surroundings,
    person: Arc<Person>,
    mut phases: Phases,
    mut random: Rng,
) {
    loop {
        phases.sleep(Duration::from_millis(random.u64(50..300))).await;
        if phases.now() != Phase::Acting || around.history.past().turn.is_some() {
            return;
        }
        let mut port = || around.ports[random.usize(0..around.ports.len())];
        // A failure here does not matter, because other sessions follow.
        if let Ok(session) = person.sign_in_again(port()).await {
            post(port(), Some(&session.token), None, &logout(), PATIENCE).await;
        }
    }
}

/// Ends, at each node in turn, a session of this person's that has a socket at every node.
pub(crate) async fn end_sessions(around: &Surroundings, person: &Person) -> Result<Vec<Probe>, String> {
    let mut probes = Vec::new();
    for ended_at in 0..around.ports.len() {
        let session = person.sign_in_again(around.ports[ended_at]).await?;
        probes.extend(end(around, &session, ended_at).await?);
    }
    // The other sessions of the same person are not affected.
    let still = post(around.ports[0], Some(&person.token), None, &viewer(), PATIENCE).await;
    if !is_signed_in(&still) {
        around.history.strange(format!("another session of {} ended too: {still:?}", person.handle));
    }
    Ok(probes)
}

async fn end(around: &Surroundings, session: &Person, ended_at: usize) -> Result<Vec<Probe>, String> {
    let mut sockets = Vec::new();
    for (node, port) in around.ports.iter().enumerate() {
        let connection = format!("ending-{node}");
        let opened = Socket::open(*port, &session.token, &connection).await;
        sockets.push(opened.map_err(|heard| format!("no socket at node {node}: {heard:?}"))?);
        // After this request the node has the session in its cache, and must learn that it has ended.
        post(*port, Some(&session.token), None, &viewer(), PATIENCE).await;
    }
    let posted = post(around.ports[ended_at], Some(&session.token), None, &logout(), PATIENCE).await;
    match &posted {
        Posted::Response { json, .. } if json["data"]["logout"]["ended"] == true => {}
        other => return Err(format!("a session cannot be ended: {other:?}")),
    }
    let ended = Instant::now();
    let probes =
        sockets.into_iter().zip(around.ports.iter()).enumerate().map(|(node, (socket, port))| async move {
            let (closed, refused_after) = tokio::join!(closed(socket, ended), refused(*port, session, ended));
            Probe { handle: session.handle.clone(), ended_at, node, refused_after, closed }
        });
    Ok(join_all(probes).await)
}

/// With which code, and after how long, a socket was closed.
async fn closed(mut socket: Socket, ended: Instant) -> Option<(Option<u16>, u64)> {
    let heard = timeout(PATIENCE, async {
        loop {
            match socket.hear().await {
                Heard::Alive => {}
                Heard::Closed(code, _) => return code,
                _ => return None,
            }
        }
    });
    let code = heard.await.ok()?;
    Some((code, since(ended)))
}

/// After how long a token was refused.
async fn refused(port: u16, session: &Person, ended: Instant) -> Option<u64> {
    while ended.elapsed() < PATIENCE {
        let posted = post(port, Some(&session.token), None, &viewer(), PATIENCE).await;
        if matches!(posted, Posted::Response { status: 401, .. }) {
            return Some(since(ended));
        }
        sleep(LOOK).await;
    }
    None
}

fn logout() -> Value {
    json!({ "query": "mutation { logout { ended } }" })
}

fn viewer() -> Value {
    json!({ "query": "{ viewer { id } }" })
}

fn is_signed_in(posted: &Posted) -> bool {
    matches!(posted, Posted::Response { status: 200, json } if json["data"]["viewer"]["id"].is_string())
}

fn since(instant: Instant) -> u64 {
    u64::try_from(instant.elapsed().as_millis()).unwrap_or(u64::MAX)
}
