//! How a node begins to call a webhook, and what it does when the log does not go on from where the webhook stands.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::attempt::Client;
use super::body::WHOLE_LOG;
use super::follower::{Ended, FOLLOWING, Follower, LEASE};
use super::progress::Progress;
use super::rules::Rules;
use super::signature::Secrets;
use super::supervisor::{Node, Numbers};
use super::url::WebhookUrl;
use super::waiting::due;
use crate::graphql::Response;
use crate::log::{CallKind, Settlement, StoredCall, Unavailable, WebhookRow};
use crate::messaging::Place;

impl Follower {
    /// Takes the lease of a webhook and goes on from its place. `None` if another node has it.
    pub(super) async fn begin(
        node: &Arc<Node>,
        numbers: &Arc<Numbers>,
        row: &WebhookRow,
    ) -> Result<Option<Self>, Ended> {
        // Before the lease, which a node that cannot call must not keep.
        let client = node.client().map_err(|error| {
            FOLLOWING.note(&error);
            Ended::Lost
        })?;
        let lease_until = Instant::now() + LEASE;
        let database = &node.engine.services().database;
        let Some(row) = database.lease_webhook(row.id, node.owner, LEASE).await? else { return Ok(None) };
        let id = row.id;
        let begun = Self::begin_leased(node, numbers, row, client, lease_until).await;
        if begun.is_err() {
            // If this fails, the lease runs out.
            let _ = database.release_webhook(id, node.owner).await;
        }
        begun.map(Some)
    }

    async fn begin_leased(
        node: &Arc<Node>,
        numbers: &Arc<Numbers>,
        row: WebhookRow,
        client: Client,
        lease_until: Instant,
    ) -> Result<Self, Ended> {
        let database = &node.engine.services().database;
        let target = match (row.url.parse::<WebhookUrl>(), Secrets::stored(&row.secrets)) {
            (Ok(url), Ok(secrets)) => Arc::new((url, secrets)),
            (Err(reason), _) | (_, Err(reason)) => {
                database.disable_webhook(row.id, &reason).await?;
                return Err(Ended::Disabled);
            }
        };
        let answers = match node.engine.follow_for_webhook(row.has_bodies, row.place).await {
            Ok(answers) => answers,
            Err(refusal) => return Err(begin_anew(node, &row, &refusal).await?),
        };
        let retelling = node.engine.retell_for_webhook(row.has_bodies).map_err(|_| Ended::Lost)?;
        let (lanes, newest) = database.waiting_lanes(row.id).await?;
        let (rules, new_rules) =
            Rules::open(database, row.id, &node.options.undelivered_after, row.place.position).await?;
        Ok(Self {
            node: Arc::clone(node),
            numbers: Arc::clone(numbers),
            target,
            client,
            lease_until,
            answers,
            retelling,
            rules,
            progress: Progress::new(row.place),
            saved: row.place,
            busy: HashMap::new(),
            stored_calls: lanes.iter().map(|(_, calls)| calls).sum(),
            stored: lanes.into_iter().collect(),
            next_number: newest + 1,
            // No lane waits for a call that nobody knows of.
            settlement: Settlement { rules: new_rules, frees_all: true, ..Settlement::default() },
            is_due: true,
            is_looking: false,
            attempts: JoinSet::new(),
            retries: 0,
            row,
        })
    }
}

/// Has a webhook begin anew if the log does not continue what it was told. If the log agrees up to its place, it goes on
/// from there; else from the head of the log, without the calls that waited. The receiver is told in either case.
pub(super) async fn begin_anew(
    node: &Node,
    row: &WebhookRow,
    refusal: &Response,
) -> Result<Ended, Unavailable> {
    if !refusal.codes().any(|code| code == "CURSOR_EXPIRED") {
        let reasons: Vec<&str> = refusal.messages().collect();
        FOLLOWING.note(&reasons.join(" "));
        return Ok(Ended::Lost);
    }
    let database = &node.engine.services().database;
    let row = database.webhook(row.id).await?.ok_or(Unavailable::Now)?;
    let head = database.head().await?;
    let own = Place { epoch: head.epoch, ..row.place };
    let agrees = database.head_after(own).await?.is_some();
    if agrees && own == row.place {
        // The log is the same. An event in it is damaged, so nobody can tell it: the webhook waits until it is mended.
        FOLLOWING.note(&refusal.messages().collect::<Vec<_>>().join(" "));
        return Ok(Ended::Lost);
    }
    let place = if agrees { own } else { head };
    tracing::error!(
        webhook = %row.id,
        position = row.place.position.0,
        goes_on_from = place.position.0,
        "the log does not continue what a webhook was told: the receiver is told (log.rewound)"
    );
    let (_, newest) = database.waiting_lanes(row.id).await?;
    let call = StoredCall {
        number: newest + 1,
        kind: CallKind::Rewound,
        epoch: place.epoch,
        position: place.position,
        lane: WHOLE_LOG,
        state: due(database.now()),
    };
    let settlement = Settlement { forgets: !agrees, stored: vec![call], ..Settlement::default() };
    let done = database.settle_webhook(row.id, node.owner, LEASE, place, &settlement).await?;
    Ok(if done { Ended::Rewound } else { Ended::Lost })
}
