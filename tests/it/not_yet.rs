//! Receipts of those alone whom a message has not reached: who they are, page by page, and that nobody learns by them what
//! somebody keeps to themselves.

use serde_json::{Value, json};

use crate::sharing::share;
use crate::support::{TestApp, User};

/// The handles of some receipts.
fn handles(receipts: &Value) -> Vec<String> {
    let nodes = receipts["nodes"].as_array().unwrap().iter();
    nodes.map(|receipt| receipt["recipient"]["handle"].as_str().unwrap().to_owned()).collect()
}

/// Whom a message has not reached, as the viewer sees it: who has yet to receive it, and who has yet to read it.
async fn lacking(viewer: &User, message: &str) -> [Vec<String>; 2] {
    let query = "query($id: ID!) { message(id: $id) {
        unsent: receipts(notYet: SENT) { nodes { recipient { handle } } pageInfo { hasNextPage } }
        undelivered: receipts(notYet: DELIVERED) { nodes { recipient { handle } } }
        unread: receipts(notYet: READ) { nodes { recipient { handle } } }
        all: receipts(notYet: null) { nodes { recipient { handle } } } plain: receipts { nodes { recipient { handle } } }
    } }";
    let message = viewer.data(query, json!({ "id": message })).await["message"].take();
    assert_eq!(message["unsent"], json!({ "nodes": [], "pageInfo": { "hasNextPage": false } }));
    assert_eq!(message["all"], message["plain"]);
    ["undelivered", "unread"].map(|field| handles(&message[field]))
}

/// The handles of these users, in the order in which herald lists those who joined together.
fn of(users: &[&User]) -> Vec<String> {
    let mut users = users.to_vec();
    users.sort_by_key(|user| user.id.clone());
    users.into_iter().map(|user| user.handle.clone()).collect()
}

#[tokio::test]
async fn only_those_are_shown_who_have_not_come_so_far_page_by_page() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let mut others = Vec::new();
    for n in 0..6 {
        others.push(app.user(&format!("user{n}")).await);
    }
    let room = ada.start(&others.iter().collect::<Vec<_>>()).await;
    let message = ada.send(&room, "one").await;
    let [first, second, rest @ ..] = &others[..] else { unreachable!() };
    assert_eq!(lacking(&ada, &message).await[0].len(), 6);
    first.mark_read(&message).await;
    second.mark_delivered(&message).await;
    let rest: Vec<&User> = rest.iter().collect();
    let unread: Vec<&User> = rest.iter().copied().chain([second]).collect();
    assert_eq!(lacking(&ada, &message).await, [of(&rest), of(&unread)]);

    // By threes from the beginning, by twos from the end.
    let page =
        "query($id: ID!, $first: Int, $after: String, $last: Int, $before: String) { message(id: $id) {
        receipts(first: $first, after: $after, last: $last, before: $before, notYet: READ) {
            nodes { recipient { handle } status }
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        }
    } }";
    for (size, cursor, end, more, pages) in [
        ("first", "after", "endCursor", "hasNextPage", 2),
        ("last", "before", "startCursor", "hasPreviousPage", 3),
    ] {
        let mut at = Value::Null;
        let mut found = Vec::new();
        for n in 1..=pages {
            let variables = json!({ "id": message, size: if size == "first" { 3 } else { 2 }, cursor: at });
            let receipts = ada.data(page, variables).await["message"]["receipts"].take();
            assert_eq!(receipts["pageInfo"][more], n < pages, "{size}: {receipts}");
            assert!(receipts["nodes"].as_array().unwrap().iter().all(|receipt| receipt["status"] != "READ"));
            let handles = handles(&receipts);
            found = if size == "first" { [found, handles].concat() } else { [handles, found].concat() };
            at = receipts["pageInfo"][end].clone();
        }
        assert_eq!(found, of(&unread), "{size}");
    }
    // A cursor of all receipts is a place among those that are not yet.
    let all = "query($id: ID!) { message(id: $id) { receipts { pageInfo { endCursor } } } }";
    let end =
        ada.data(all, json!({ "id": message })).await["message"]["receipts"]["pageInfo"]["endCursor"].take();
    let variables = json!({ "id": message, "after": end });
    assert_eq!(handles(&ada.data(page, variables).await["message"]["receipts"]), Vec::<String>::new());
}

#[tokio::test]
async fn whoever_does_not_share_is_not_among_them_whether_they_received_it_or_not() {
    let app = TestApp::start().await;
    let (ada, bob, carol, dora) =
        (app.user("ada").await, app.user("bob").await, app.user("carol").await, app.user("dora").await);
    let room = ada.start(&[&bob, &carol, &dora]).await;
    share(&bob, false, false).await;
    share(&carol, true, false).await;
    let message = ada.send(&room, "one").await;
    let untouched = [of(&[&carol, &dora]), of(&[&carol, &dora])];
    assert_eq!(lacking(&ada, &message).await, untouched);
    bob.mark_read(&message).await;
    assert_eq!(lacking(&ada, &message).await, untouched);
    // Whoever shares only what they receive never seems to have read it, as in `status`.
    carol.mark_delivered(&message).await;
    let received = [of(&[&dora]), of(&[&carol, &dora])];
    assert_eq!(lacking(&ada, &message).await, received);
    carol.mark_read(&message).await;
    dora.mark_delivered(&message).await;
    assert_eq!(lacking(&ada, &message).await, [of(&[]), of(&[&carol, &dora])]);
    dora.mark_read(&message).await;
    assert_eq!(lacking(&ada, &message).await, [of(&[]), of(&[&carol])]);
    // What was told stays told; and what was sent before somebody shares again is not among what they lack.
    share(&dora, false, false).await;
    assert_eq!(lacking(&ada, &message).await, [of(&[]), of(&[&carol])]);
    let second = ada.send(&room, "two").await;
    share(&dora, true, true).await;
    assert_eq!(lacking(&ada, &second).await, [of(&[&carol]), of(&[&carol])]);
    // That a message is redacted changes nothing of it.
    let redact = "mutation($id: ID!) { redactMessage(input: { messageId: $id }) { cursor } }";
    ada.data(redact, json!({ "id": second })).await;
    assert_eq!(lacking(&ada, &second).await, [of(&[&carol]), of(&[&carol])]);
    // Nor that somebody whom it has not reached leaves.
    carol.leave(&room).await;
    assert_eq!(lacking(&ada, &second).await, [of(&[&carol]), of(&[&carol])]);
}

#[tokio::test]
async fn whoever_hides_learns_nothing_by_it_where_receipts_are_reciprocal() {
    let app = TestApp::with(|setup| setup.args.reciprocal_receipts = true).await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let room = ada.start(&[&bob, &carol]).await;
    let message = ada.send(&room, "one").await;
    bob.mark_read(&message).await;
    share(&carol, false, false).await;
    assert_eq!(lacking(&ada, &message).await, [of(&[]), of(&[])]);
    assert_eq!(lacking(&carol, &message).await, [of(&[]), of(&[])]);
    share(&ada, true, false).await;
    // Of those who share, nobody seems to have read it.
    assert_eq!(lacking(&ada, &message).await, [of(&[]), of(&[&bob])]);
    let second = ada.send(&room, "two").await;
    assert_eq!(lacking(&ada, &second).await, [of(&[&bob]), of(&[&bob])]);
    share(&ada, false, false).await;
    for message in [&message, &second] {
        assert_eq!(lacking(&ada, message).await, [of(&[]), of(&[])]);
    }
    // Nor live, where others are told the same event.
    let follow = "subscription($after: Cursor) { statusChanged(after: $after) {
        message { receipts(notYet: READ) { nodes { recipient { handle } } } }
    } }";
    share(&ada, true, false).await;
    let mut adas = ada.socket("desk").await;
    adas.follow("e", follow).await;
    bob.mark_read(&second).await;
    let told = adas.next("e").await["statusChanged"]["message"]["receipts"].take();
    assert_eq!(handles(&told), of(&[&bob]));
}

#[tokio::test]
async fn whoever_left_sees_who_had_not_come_so_far_then() {
    let app = TestApp::start().await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let room = ada.start(&[&bob, &carol]).await;
    let start = carol.cursor().await;
    let message = ada.send(&room, "one").await;
    bob.mark_delivered(&message).await;
    carol.leave(&room).await;
    bob.mark_read(&message).await;
    let left =
        "subscription($after: Cursor) { events(after: $after) { ... on ParticipantLeft { conversation {
        messages(last: 9) { nodes {
            undelivered: receipts(notYet: DELIVERED) { nodes { recipient { handle } } }
            unread: receipts(notYet: READ) { nodes { recipient { handle } } }
        } }
    } } } }";
    let mut socket = carol.socket("desk").await;
    socket.follow_after("e", left, &start).await;
    let mut conversation = Value::Null;
    while conversation.is_null() {
        conversation = socket.next("e").await["events"]["conversation"].take();
    }
    let message_then = &conversation["messages"]["nodes"][0];
    assert_eq!(handles(&message_then["undelivered"]), of(&[&carol]));
    assert_eq!(handles(&message_then["unread"]), of(&[&bob, &carol]));
    assert_eq!(lacking(&ada, &message).await, [of(&[&carol]), of(&[&carol])]);
}
