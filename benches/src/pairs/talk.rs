//! What one pair says: the one sends, the other marks each message delivered as soon as it arrives, and the one sees it
//! delivered. Each message is checked: it arrives once, in order, and is seen delivered once. What never lives here:
//! how many pairs there are, and what is made of the times.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::load::Socket;
use crate::people::{Pair, SEND, number_of, send_variables};

const MARK: &str = "mutation($input: MarkInput!) {
    markDelivered(input: $input) { cursor message { id status } }
}";

const STATUS: &str = "subscription {
    statusChanged { cursor at status recipient { id handle } message { id body status } }
}";

/// What is selected of a message is what [`crate::people::SENT`] selects.
const NEWS: &str = "subscription {
    messageSent { cursor at message { id body sentAt sender { id handle displayName } } }
}";

/// When messages are sent.
#[derive(Clone, Copy)]
pub(super) enum Pace {
    /// So many, one each period, whatever is under way.
    Steady { begin: Instant, period: Duration, count: usize },
    /// Each as soon as the one before is seen delivered.
    Full { until: Instant },
}

/// A pair, both on WebSocket.
pub(super) struct Talk {
    sender: Socket,
    recipient: Socket,
    conversation: String,
    /// The numbers of the newest messages that were sent, received, and seen delivered.
    sent: usize,
    received: usize,
    delivered: usize,
    /// Operations that are not answered to the end.
    unanswered: usize,
    /// When each message was sent that is not seen delivered, the oldest first.
    sent_at: VecDeque<Instant>,
    delays: Vec<Duration>,
}

impl Talk {
    pub(super) async fn connect(port: u16, pair: &Pair) -> Self {
        let mut sender = Socket::herald(port, &pair.sender.token, STATUS, json!({})).await;
        let mut recipient = Socket::herald(port, &pair.recipient.token, NEWS, json!({})).await;
        // The answer to a query: what was asked before has been begun.
        for socket in [&mut sender, &mut recipient] {
            socket.ask("begun", "{ viewer { id } }", json!({})).await;
            assert!(socket.receive().await["payload"]["data"].is_object());
            assert_eq!(socket.receive().await["type"], "complete");
        }
        Self {
            sender,
            recipient,
            conversation: pair.conversation.clone(),
            sent: 0,
            received: 0,
            delivered: 0,
            unanswered: 0,
            sent_at: VecDeque::new(),
            delays: Vec::new(),
        }
    }

    /// Talks at this pace, until all that was sent is seen delivered and all is answered. Returns how long each message
    /// took, from just before it was written.
    pub(super) async fn run(&mut self, pace: Pace) -> Vec<Duration> {
        let already = self.sent;
        loop {
            let due = self.due(pace, already);
            if due.is_none() && self.sent_at.is_empty() && self.unanswered == 0 {
                return std::mem::take(&mut self.delays);
            }
            tokio::select! {
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.send().await,
                frame = self.sender.receive() => self.sender_received(&frame),
                frame = self.recipient.receive() => self.recipient_received(&frame).await,
            }
        }
    }

    /// When the next message is due, if there is one more.
    fn due(&self, pace: Pace, already: usize) -> Option<Instant> {
        match pace {
            Pace::Steady { begin, period, count } => {
                let sent = self.sent - already;
                (sent < count).then(|| begin + period * sent as u32)
            }
            Pace::Full { until } => {
                let now = Instant::now();
                (self.sent_at.is_empty() && now < until).then_some(now)
            }
        }
    }

    async fn send(&mut self) {
        self.sent += 1;
        self.unanswered += 1;
        let variables = send_variables(&self.conversation, self.sent);
        self.sent_at.push_back(Instant::now());
        self.sender.ask(&format!("send-{}", self.sent), SEND, variables).await;
    }

    fn sender_received(&mut self, frame: &Value) {
        let Some(event) = self.event(frame, "statusChanged") else { return };
        let number = number(event);
        // A mark covers earlier messages too, and may overtake one of theirs.
        let is_news = self.delivered < number && number <= self.received;
        assert!(
            is_news && event["status"] == "DELIVERED" && event["message"]["status"] == "DELIVERED",
            "{frame}"
        );
        let now = Instant::now();
        let covered = self.sent_at.drain(..number - self.delivered);
        self.delays.extend(covered.map(|sent_at| now - sent_at));
        self.delivered = number;
    }

    async fn recipient_received(&mut self, frame: &Value) {
        let Some(event) = self.event(frame, "messageSent") else { return };
        self.received += 1;
        assert_eq!(number(event), self.received, "{frame}");
        self.unanswered += 1;
        let variables = json!({ "input": { "messageId": event["message"]["id"] } });
        self.recipient.ask(&format!("mark-{}", self.received), MARK, variables).await;
    }

    /// The event of the subscription, if that is what the frame carries. Answers are checked and counted.
    fn event<'a>(&mut self, frame: &'a Value, name: &str) -> Option<&'a Value> {
        let id = frame["id"].as_str().unwrap();
        let payload = &frame["payload"];
        match frame["type"].as_str().unwrap() {
            "next" if payload["data"].is_object() && payload["errors"].is_null() => {
                (id == "1").then(|| &payload["data"][name])
            }
            "complete" if id != "1" => {
                self.unanswered -= 1;
                None
            }
            _ => panic!("{frame}"),
        }
    }
}

fn number(event: &Value) -> usize {
    number_of(event["message"]["body"].as_str().unwrap().as_bytes()).unwrap()
}
