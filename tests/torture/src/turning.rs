//! The log goes back, with the nodes running: a standby that lacks what was answered last is the primary now.

use std::time::Duration;

use tokio::time::sleep;

use crate::history::{History, Turn};
use crate::record;
use crate::servers::Servers;
use crate::world::World;

/// Has the standby take the place of the primary, with what was written in this time before lost, unless it is
/// synchronous.
pub(crate) async fn fail_over(
    world: &World,
    servers: &Servers,
    lag: Duration,
    history: &History,
) -> Result<(), String> {
    let kept = history.now();
    servers.catch_up().await?;
    if !servers.is_synchronous() {
        servers.cut_replication();
        sleep(lag).await;
    }
    let since = history.now();
    history.turn(Turn { kept, since, until: u64::MAX, lost: None });
    servers.fail_over().await?;
    for proxy in world.nodes.iter().filter_map(|node| node.database.as_ref()) {
        proxy.lead_to(servers.now().port());
    }
    let until = history.now();
    let mut lost = None;
    if !servers.is_synchronous() {
        let former = servers.former();
        former.start_again().await?;
        lost = Some(record::read(&former.url()).await?);
        former.crash().await?;
    }
    history.turn(Turn { kept, since, until, lost });
    Ok(())
}
