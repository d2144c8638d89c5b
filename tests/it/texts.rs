//! Which texts are allowed, and that a refusal names the field.

use serde_json::{Value, json};

use crate::support::{TestApp, code};

/// Nothing of these can be seen.
const BLANK: [&str; 10] = [
    "",
    " \u{3000}",
    "\u{200b}\u{200d}\u{feff}",
    "\u{3164}",
    "\u{ffa0}\u{115f}\u{1160}",
    "\u{2800}",
    "\u{301}\u{20e3}",
    "\u{fe0f}\u{e0101}",
    "\u{e0061}\u{e007f}",
    "\u{2067}\u{2069}",
];

/// These are of more than one line, or turn round what is written after them or before.
const UNRULY: [&str; 8] = [
    "a\u{2028}b",
    "a\u{2029}",
    "a\u{85}b",
    "a\nb",
    "\u{202e}a",
    "\u{2066}\u{202e}a\u{202c}",
    "a\u{2069}",
    "\u{202e}a\u{2069}",
];

fn bad_field(response: &Value) -> &str {
    assert_eq!(code(response), "BAD_INPUT", "{response}");
    response["errors"][0]["extensions"]["field"].as_str().unwrap()
}

#[tokio::test]
async fn texts_can_be_seen_and_one_line_keeps_to_itself() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let register = "mutation($text: String!) {
        register(input: { handle: \"newcomer\", displayName: $text, password: \"correct horse\" }) { token }
    }";
    let start = "mutation($text: String!, $bob: [String!]!) {
        startConversation(input: { title: $text, participantHandles: $bob }) { cursor }
    }";
    let say = "mutation($text: String!, $id: ID!) {
        sendMessage(input: { conversationId: $id, body: $text }) { message { body } }
    }";
    let keyed = "mutation($text: String!, $id: ID!) {
        sendMessage(input: { conversationId: $id, body: \"hi\", idempotencyKey: $text }) { cursor }
    }";
    let variables = |text: &str| json!({ "text": text, "bob": [bob.handle], "id": conversation });
    for text in BLANK {
        let refused = ada.post(say, variables(text)).await;
        assert_eq!(bad_field(&refused), "body", "{text:?}");
    }
    for text in BLANK.iter().chain(&UNRULY) {
        for (query, field) in [(register, "displayName"), (start, "title"), (keyed, "idempotencyKey")] {
            assert_eq!(bad_field(&ada.post(query, variables(text)).await), field, "{text:?}");
        }
    }
    for text in ["👩‍👩‍👧‍👦", "שלום", "e\u{301}", "❤\u{fe0f}", "\u{2067}שלום\u{2069} Ada", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"]
    {
        let sent = ada.data(say, variables(text)).await;
        assert_eq!(sent["sendMessage"]["message"]["body"], text);
        ada.data(start, variables(text)).await;
    }
    // A message may have several lines and its own writing directions.
    for text in ["one\ntwo\u{2028}three", "\u{202b}שלום"] {
        ada.data(say, variables(text)).await;
    }
}
