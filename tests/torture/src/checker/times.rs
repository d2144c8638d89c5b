//! Times of events and messages follow the log.

use super::{Evidence, Ledger};

pub(super) fn check(evidence: &Evidence, ledger: &Ledger<'_>) -> Result<(), String> {
    for pair in evidence.log.events.windows(2) {
        if pair[0].at >= pair[1].at {
            return Err(format!("not later: after {:?} comes {:?}", pair[0], pair[1]));
        }
    }
    for message in &evidence.log.messages {
        let at = ledger.event(message.position).map(|event| event.at);
        if at != Some(message.sent_at) {
            return Err(format!("the event is of another time ({at:?}) than {message:?}"));
        }
    }
    for receipt in &evidence.receipts {
        let stored = ledger.message(&receipt.message).map(|message| message.sent_at);
        if stored != Some(receipt.sent_at) {
            return Err(format!("the message was sent at {stored:?}, and this was told: {receipt:?}"));
        }
        // A message that was never received was never read. `None` is before every time.
        let is_in_order = receipt.delivered_at.is_none_or(|delivered| delivered > receipt.sent_at)
            && receipt
                .read_at
                .is_none_or(|read| receipt.delivered_at.is_some_and(|delivered| read >= delivered));
        if !is_in_order {
            return Err(format!("not in the order of sent, received and read: {receipt:?}"));
        }
    }
    Ok(())
}
