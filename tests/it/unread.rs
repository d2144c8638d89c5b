//! What is unread: the first of it, and how much it is. And what people keep for themselves of a conversation.

use sea_orm::{ConnectionTrait, Database, DbBackend};
use serde_json::{Value, json};

use crate::support::{TestApp, User, code};

async fn unread(user: &User, cap: Value) -> Value {
    let query = "query($cap: Int) { unread(cap: $cap) { messages conversations } }";
    user.data(query, json!({ "cap": cap })).await["unread"].take()
}

async fn first(user: &User, conversation: &str) -> Value {
    let query = "query($id: ID!) { conversation(id: $id) { firstUnread { body } unreadCount } }";
    user.data(query, json!({ "id": conversation })).await["conversation"].take()
}

#[tokio::test]
async fn the_first_unread_message_is_the_oldest_one_from_others() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    assert_eq!(first(&bob, &room).await, json!({ "firstUnread": null, "unreadCount": 0 }));
    bob.send(&room, "my own").await;
    let one = ada.send(&room, "one").await;
    bob.send(&room, "my own, too").await;
    ada.send(&room, "two").await;
    assert_eq!(first(&bob, &room).await, json!({ "firstUnread": { "body": "one" }, "unreadCount": 2 }));
    bob.mark_delivered(&one).await;
    bob.mark_read(&one).await;
    assert_eq!(first(&bob, &room).await["firstUnread"]["body"], "two");
    bob.leave(&room).await;
    ada.send(&room, "missed").await;
    ada.add(&room, &[&bob]).await;
    ada.send(&room, "three").await;
    assert_eq!(first(&bob, &room).await, json!({ "firstUnread": { "body": "two" }, "unreadCount": 2 }));
    let all = "mutation($id: ID!) { markRead(input: { conversationId: $id }) { cursor } }";
    bob.data(all, json!({ "id": room })).await;
    assert_eq!(first(&bob, &room).await, json!({ "firstUnread": null, "unreadCount": 0 }));
}

#[tokio::test]
async fn totals_count_what_is_unread_where_one_takes_part_and_stop_at_the_cap() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    assert_eq!(unread(&bob, Value::Null).await, json!({ "messages": 0, "conversations": 0 }));
    let mut rooms = Vec::new();
    for count in [3, 2, 0, 1] {
        let room = ada.start(&[&bob]).await;
        for _ in 0..count {
            ada.send(&room, "hello").await;
        }
        bob.send(&room, "my own").await;
        rooms.push(room);
    }
    let totals =
        |messages: u32, conversations: u32| json!({ "messages": messages, "conversations": conversations });
    let data = bob.data("{ unread { messages conversations } }", json!({})).await;
    assert_eq!(data["unread"], totals(6, 3));
    assert_eq!(unread(&bob, json!(4)).await, totals(4, 3));
    assert_eq!(unread(&bob, json!(2)).await, totals(2, 2));
    // What was unread during an earlier stay counts as long as one is back, as it does in the conversation.
    bob.leave(&rooms[0]).await;
    assert_eq!(unread(&bob, json!(999)).await, totals(3, 2));
    ada.add(&rooms[0], &[&bob]).await;
    ada.send(&rooms[0], "again").await;
    assert_eq!(unread(&bob, json!(999)).await, totals(7, 3));
    assert_eq!(unread(&ada, json!(999)).await, totals(4, 4));
    for wrong in [0, -1, 10_000] {
        let query = "query($cap: Int) { unread(cap: $cap) { messages } }";
        assert_eq!(bob.refused(query, json!({ "cap": wrong })).await, "BAD_INPUT");
    }
    assert_eq!(code(&app.post("{ unread { messages } }", json!({})).await), "UNAUTHENTICATED");
}

/// Stores 9,999 messages and so many more as if bob had sent them, and one of ada's after these.
async fn store_many(app: &TestApp, more: u32) {
    let database = Database::connect(&app.database.url).await.unwrap();
    let is_postgres = database.get_database_backend() == DbBackend::Postgres;
    let id = if is_postgres { "gen_random_uuid()" } else { "randomblob(16)" };
    let columns = "position, id, conversation_id, sender_id, body, sent_at_micros";
    let messages = |user: &str, from: u32, through: u32| {
        format!(
            "WITH RECURSIVE n (k) AS (SELECT {from} UNION ALL SELECT k + 1 FROM n WHERE k < {through})
            INSERT INTO messages ({columns}) SELECT 1000 + k, {id}, c.id, u.id, 'stored', 1000 + k
            FROM n, conversations c, users u WHERE u.handle LIKE '{user}-%'"
        )
    };
    let last = 10_000 + more;
    for statement in [messages("bob", 1, last - 1), messages("ada", last, last)] {
        database.execute_unprepared(&statement).await.unwrap();
    }
    database.close().await.unwrap();
}

// Somebody who marks nothing may have sent any number of messages. Nobody waits until all of these were looked at.
#[tokio::test]
async fn looking_past_what_one_sent_oneself_ends_after_10_000_messages() {
    for (more, expected) in [
        (0, json!({ "firstUnread": { "body": "stored" }, "unreadCount": 1 })),
        (1, json!({ "firstUnread": null, "unreadCount": 0 })),
    ] {
        let app = TestApp::start().await;
        let (_, bob, room) = app.pair().await;
        store_many(&app, more).await;
        assert_eq!(first(&bob, &room).await, expected, "{more}");
    }
}

async fn keep(user: &User, conversation: &str, mut change: Value) -> Value {
    change["conversationId"] = json!(conversation);
    let keep = "mutation($input: OwnParticipationInput!) { updateOwnParticipation(input: $input) {
        cursor conversation { own { mutedUntil metadata } } } }";
    user.post(keep, json!({ "input": change })).await
}

#[tokio::test]
async fn what_people_keep_for_themselves_is_told_to_nobody_and_stays() {
    let mut app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let query = "query($id: ID!) { conversation(id: $id) { own { mutedUntil metadata } } }";
    let own = async |user: &User| user.data(query, json!({ "id": room })).await["conversation"]["own"].take();
    let nothing = json!({ "mutedUntil": null, "metadata": null });
    assert_eq!(own(&bob).await, nothing);
    let cursor = ada.cursor().await;
    let until = "2036-01-01T00:00:00.000001Z";
    let changes = [
        (json!({ "mutedUntil": until }), json!({ "mutedUntil": until, "metadata": null })),
        (
            json!({ "metadata": { "pinned": true } }),
            json!({ "mutedUntil": until, "metadata": { "pinned": true } }),
        ),
        (json!({}), json!({ "mutedUntil": until, "metadata": { "pinned": true } })),
        (json!({ "mutedUntil": null }), json!({ "mutedUntil": null, "metadata": { "pinned": true } })),
    ];
    for (change, expected) in changes {
        let kept = keep(&bob, &room, change).await;
        assert_eq!(kept["data"]["updateOwnParticipation"]["conversation"]["own"], expected, "{kept}");
        assert_eq!(own(&bob).await, expected);
    }
    assert_eq!(ada.cursor().await, cursor, "it is no event");
    assert_eq!(own(&ada).await, nothing);
    bob.leave(&room).await;
    let refused = keep(&bob, &room, json!({ "metadata": 1 })).await;
    assert_eq!(code(&refused), "NOT_FOUND");
    app.restart().await;
    let (ada, bob) = (ada.at(app.address), bob.at(app.address));
    ada.add(&room, &[&bob]).await;
    assert_eq!(own(&bob).await["metadata"], json!({ "pinned": true }));
    assert_eq!(code(&keep(&ada, "cnv_1", json!({})).await), "NOT_FOUND");
    assert_eq!(code(&keep(&bob, &room, json!({ "metadata": "x".repeat(5_000) })).await), "BAD_INPUT");
}
