//! What each node tells somebody who follows from the beginning, or from where the log last began anew, on a connection that never did anything.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::checker::Fresh;
use crate::device::Surroundings;
use crate::documents::subscription;
use crate::history::Scope;
use crate::person::Person;
use crate::socket::{Heard, Socket};
use crate::told::Told;

/// How long the next event is waited for while some are still to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it is watched whether more comes than should.
const AFTERWARDS: Duration = Duration::from_millis(300);

/// Follows from `cursor`, which names the position `after`, at every node, until so many events have come as each person is to be told.
pub(crate) async fn follow_everywhere(
    around: &Surroundings,
    people: &[(&Person, usize)],
    cursor: &str,
    after: i64,
) -> Vec<Fresh> {
    let mut following = Vec::new();
    for node in 0..around.ports.len() {
        for (person, due) in people {
            let fresh = Fresh { node, user: person.id.clone(), after, told: Vec::new() };
            following.push(follow(around, fresh, person, cursor, *due));
        }
    }
    join_all(following).await
}

async fn follow(around: &Surroundings, mut fresh: Fresh, person: &Person, cursor: &str, due: usize) -> Fresh {
    let node = fresh.node;
    let connection = format!("fresh-{node}");
    let mut socket = match Socket::open(around.ports[node], &person.token, &connection).await {
        Ok(socket) => socket,
        Err(heard) => {
            around.history.strange(format!("node {node}, with nothing broken: {heard:?}"));
            return fresh;
        }
    };
    let (query, variables) = subscription(&Scope::Everything, cursor);
    let mut heard = socket.subscribe(query, &variables).await;
    while heard.is_ok() {
        let patience = if fresh.told.len() < due { PATIENCE } else { AFTERWARDS };
        match timeout(patience, next(&mut socket)).await {
            Ok(Ok(told)) => fresh.told.push(told),
            Ok(Err(other)) => heard = Err(other),
            // What is missing is for the checker to say.
            Err(_) => return fresh,
        }
    }
    around.history.strange(format!("node {node}, with nothing broken: {heard:?}"));
    fresh
}

/// The next event; the error is what is heard instead.
async fn next(socket: &mut Socket) -> Result<Told, Heard> {
    loop {
        match socket.hear().await {
            Heard::Alive => {}
            Heard::Next(payload) => {
                let told = Told::read(&payload["data"]["event"]);
                return told.ok_or_else(|| Heard::Strange(format!("no event: {payload}")));
            }
            other => return Err(other),
        }
    }
}
