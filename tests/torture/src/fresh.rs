//! What each node delivers to a new connection that follows from the beginning, or from the start of the last epoch. It
//! is read over every transport.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::checker::Fresh;
use crate::device::Surroundings;
use crate::history::Scope;
use crate::link::{Following, Link, Way};
use crate::person::Person;
use crate::socket::Heard;
use crate::told::Told;

/// How long the next event is waited for while some are still to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it is watched whether more comes than should.
const AFTERWARDS: Duration = Duration::from_millis(300);

/// Follows from `cursor`, which names the position `after`, at every node, until so many events have come as each
/// person is to be told.
pub(crate) async fn follow_everywhere(
    around: &Surroundings,
    people: &[(&Person, usize)],
    cursor: &str,
    after: i64,
) -> Vec<Fresh> {
    let mut following = Vec::new();
    for node in 0..around.ports.len() {
        for (number, (person, due)) in people.iter().enumerate() {
            let way = Way::numbered(node + number);
            let fresh = Fresh { node, user: person.id.clone(), after, told: Vec::new() };
            following.push(follow(around, fresh, way, person, cursor, *due));
        }
    }
    join_all(following).await
}

async fn follow(
    around: &Surroundings,
    mut fresh: Fresh,
    way: Way,
    person: &Person,
    cursor: &str,
    due: usize,
) -> Fresh {
    let node = fresh.node;
    let connection = format!("fresh-{node}");
    let following = Following {
        token: &person.token,
        connection: &connection,
        scope: &Scope::Everything,
        first: Some(cursor),
        last: Some(cursor),
    };
    let mut heard = Ok(());
    let mut link = match Link::open(way, around.ports[node], following).await {
        Ok((link, _)) => link,
        Err(heard) => {
            around.history.strange(format!("node {node}, with nothing broken, by {way}: {heard:?}"));
            return fresh;
        }
    };
    while heard.is_ok() {
        let patience = if fresh.told.len() < due { PATIENCE } else { AFTERWARDS };
        match timeout(patience, next(&mut link)).await {
            Ok(Ok(told)) => fresh.told.push(told),
            Ok(Err(other)) => heard = Err(other),
            // The checker reports missing events.
            Err(_) => return fresh,
        }
    }
    around.history.strange(format!("node {node}, with nothing broken, by {way}: {heard:?}"));
    fresh
}

/// The next event; the error is what is heard instead.
async fn next(link: &mut Link) -> Result<Told, Heard> {
    loop {
        match link.hear().await {
            Heard::Alive => {}
            Heard::Next(payload) => {
                let told = Told::read(&payload["data"]["event"]);
                return told.ok_or_else(|| Heard::Strange(format!("no event: {payload}")));
            }
            other => return Err(other),
        }
    }
}
