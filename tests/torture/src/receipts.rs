//! The receipts that each node shows at the end.

use std::time::Duration;

use serde_json::{Value, json};

use crate::checker::Receipt;
use crate::device::Surroundings;
use crate::http::{Posted, post};
use crate::person::Person;
use crate::told::micros;

const RECEIPTS: &str = "{ conversations(first: 4) { nodes { messages(last: 20) { nodes {
    id sentAt receipts(first: 30) { nodes { deliveredAt readAt } }
} } } } }";

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The receipts of the newest messages that somebody sees at every node.
pub(crate) async fn read_everywhere(around: &Surroundings, person: &Person) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    for (node, port) in around.ports.iter().enumerate() {
        let posted = post(*port, Some(&person.token), None, &json!({ "query": RECEIPTS }), PATIENCE).await;
        let read = match &posted {
            Posted::Response { json, .. } => receipts_in(node, &json["data"]),
            Posted::Broken(_) | Posted::Malformed(_) => None,
        };
        match read {
            Some(read) => receipts.extend(read),
            None => around.history.strange(format!("node {node} tells no receipts: {posted:?}")),
        }
    }
    receipts
}

/// `None` when the answer is not as the schema promises.
fn receipts_in(node: usize, data: &Value) -> Option<Vec<Receipt>> {
    let time = |value: &Value| match value {
        Value::Null => Some(None),
        text => micros(text.as_str()?).map(Some),
    };
    let mut receipts = Vec::new();
    for conversation in data["conversations"]["nodes"].as_array()? {
        for message in conversation["messages"]["nodes"].as_array()? {
            for receipt in message["receipts"]["nodes"].as_array()? {
                receipts.push(Receipt {
                    node,
                    message: message["id"].as_str()?.to_owned(),
                    sent_at: micros(message["sentAt"].as_str()?)?,
                    delivered_at: time(&receipt["deliveredAt"])?,
                    read_at: time(&receipt["readAt"])?,
                });
            }
        }
    }
    Some(receipts)
}
