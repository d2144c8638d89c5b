//! `herald explain`: the journey of one message, from the log.

use herald::config::DatabaseArgs;
use herald::error::Error;
use herald::log::{Database, Journey, Receipt};
use herald::messaging::{Change, Event, Mark, MessageId, UserId};

use super::{CommandError, instant, print};

/// Prints who sent a message, what happened to it and when, and how far it has come with each recipient.
pub(super) async fn explain(id: &str, args: &DatabaseArgs) -> Result<(), CommandError> {
    let id: MessageId = id.parse().map_err(|_| CommandError::Refused(Error::NotFound("message")))?;
    let database = Database::open_existing(&args.options(None)).await.map_err(CommandError::database)?;
    let journey = database.journey(id).await.map_err(CommandError::unavailable("read the log"))?;
    database.close().await;
    let journey = journey.ok_or(CommandError::Refused(Error::NotFound("message")))?;
    print(&tell(&journey))
}

fn tell(journey: &Journey) -> String {
    let Journey { message, events, receipts, .. } = journey;
    let mut lines =
        vec![format!("{} in {}, position {}", message.id, message.conversation, message.position.0)];
    if !events.iter().any(|event| event.position == message.position) {
        // The log was trimmed.
        lines.push(format!("{} sent by {}", instant(message.sent_at), name(journey, message.sender)));
        lines.extend(message.redacted_at.map(|at| format!("{} redacted", instant(at))));
    }
    lines.extend(events.iter().filter_map(|event| {
        let happened = happened(journey, event)?;
        Some(format!("{} {happened}{}", instant(event.at), cause(event)))
    }));
    lines.extend(receipts.iter().map(|receipt| {
        let name = name(journey, receipt.key.user);
        match (receipt.delivered_at, receipt.read_at) {
            (_, Some(at)) => format!("{name} has read it since {}", instant(at)),
            (Some(at), None) => format!("{name} has received it since {}", instant(at)),
            (None, None) if receipt.is_shared => format!("{name} has not received it"),
            (None, None) => format!("{name} does not share whether they received it"),
        }
    }));
    let counted = |is: fn(&Receipt) -> bool| receipts.iter().filter(|receipt| is(receipt)).count();
    lines.push(format!(
        "Of {} recipients, {} have read it, {} have only received it, and {} have not received it.",
        receipts.len(),
        counted(|receipt| receipt.read_at.is_some()),
        counted(|receipt| receipt.read_at.is_none() && receipt.delivered_at.is_some()),
        counted(|receipt| receipt.is_shared && receipt.delivered_at.is_none()),
    ));
    let untold = counted(|receipt| !receipt.is_shared);
    if untold > 0 {
        lines.push(format!("{untold} of them do not share it."));
    }
    lines.join("\n") + "\n"
}

/// What an event did to the message; `None` for an event that did nothing to it.
fn happened(journey: &Journey, event: &Event) -> Option<String> {
    let actor = name(journey, event.actor);
    match &event.change {
        Change::Sent(_) => Some(format!("sent by {actor}")),
        Change::Marked(marked) => {
            let whom = if marked.is_shared() { "" } else { ", who does not share it" };
            Some(match marked.mark {
                Mark::Delivered => format!("marked as delivered by {actor}{whom}"),
                Mark::Read => format!("marked as read by {actor}{whom}"),
            })
        }
        Change::Undeliverable(undeliverable) => {
            Some(format!("could not be delivered to {actor}: {}", undeliverable.reason))
        }
        Change::Redacted(_) => Some(format!("redacted by {actor}")),
        Change::Started(_)
        | Change::Joined(_)
        | Change::Left(_)
        | Change::Removed(_)
        | Change::Renamed(_)
        | Change::Updated(_) => None,
    }
}

/// By which connection and which service an event came.
fn cause(event: &Event) -> String {
    let connection = event.origin.as_ref().map(|origin| format!(", connection {}", origin.connection));
    let service = event.via.as_ref().map(|service| format!(", by the service {service}"));
    format!(
        "{}{} (position {})",
        connection.unwrap_or_default(),
        service.unwrap_or_default(),
        event.position.0
    )
}

fn name(journey: &Journey, user: UserId) -> String {
    journey.people.get(&user).map_or_else(|| user.to_string(), |row| row.handle.to_string())
}
