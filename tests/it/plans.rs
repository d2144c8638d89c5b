//! The hot queries use indexes, so they stay fast for tables of any size.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use herald::accounts::Scope;
use herald::log::Observer;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use serde_json::json;

use crate::support::{FAILS, OK, Receiver, SteppedClock, TestApp, User, until};
use crate::webhook_failures::calls;

/// What may be read from end to end: tables of one row or a few, and what a statement makes up itself.
const SMALL: [&str; 8] = [
    "log_head",
    "seaql_migrations",
    "webhooks",
    "CONSTANT ROW",
    "VALUES CLAUSE",
    "(subquery",
    "subselect",
    "wanted",
];

/// Does everything that people do all the time, in a group and in a pair: what is asked of the database for it.
pub(crate) async fn statements(app: &TestApp) {
    let (ada, bob, pair) = app.pair().await;
    let (cleo, dan) = (app.user("cleo").await, app.user("dan").await);
    let group = ada.start(&[&bob, &cleo]).await;
    let start = ada.cursor().await;
    for _ in 0..2 {
        let again = "mutation($handle: String!) { startConversation(input: {
            participantHandles: [$handle], idempotencyKey: \"key\", distinct: true
        }) { cursor } }";
        ada.data(again, json!({ "handle": cleo.handle })).await;
    }
    for conversation in [&pair, &group] {
        let sent = ada.send(conversation, "hello").await;
        bob.mark_delivered(&sent).await;
        bob.mark_read(&sent).await;
        for page in ["first: 10", "last: 10"] {
            look(&ada, conversation, page).await;
        }
        ada.data("query($id: ID!) { node(id: $id) { id } message(id: $id) { id } }", json!({ "id": sent }))
            .await;
    }
    ada.add(&group, &[&dan]).await;
    cleo.send(&group, "from cleo").await;
    cleo.leave(&group).await;
    let missed = ada.send(&group, "missed").await;
    ada.add(&group, &[&cleo]).await;
    // Marks on a message that cleo may not see, and on one that she may.
    let here = cleo.cursor().await;
    bob.mark_read(&missed).await;
    look(&cleo, &group, "last: 10").await;
    follow_status(&cleo, &here).await;
    ada.send(&group, "hello again").await;
    cleo.leave(&group).await;
    follow_status(&cleo, &here).await;
    ada.data("query($handle: String!) { user(handle: $handle) { id } }", json!({ "handle": bob.handle }))
        .await;
    bob.sign_in_again().await;
    serve(app, &ada, &bob, &pair).await;
    ada.data("{ unread { messages conversations } }", json!({})).await;
    let all = "mutation($id: ID!) { markRead(input: { conversationId: $id }) { cursor } }";
    dan.data(all, json!({ "id": group })).await;
    let own = "mutation($id: ID!) { updateOwnParticipation(input: { conversationId: $id, metadata: 1 }) { cursor } }";
    dan.data(own, json!({ "id": group })).await;
    let update =
        "mutation($id: ID!) { updateConversation(input: { conversationId: $id, metadata: 1 }) { cursor } }";
    ada.data(update, json!({ "id": group })).await;
    let redact = "mutation($id: ID!) { redactMessage(input: { messageId: $id }) { cursor } }";
    ada.data(redact, json!({ "id": missed })).await;
    let remove = "mutation($id: ID!, $handles: [String!]!) {
        removeParticipants(input: { conversationId: $id, handles: $handles }) { cursor } }";
    ada.data(remove, json!({ "id": group, "handles": [dan.handle] })).await;
    // The owner leaves, and sees what was kept then.
    let last = cleo.start(&[&dan]).await;
    let before = cleo.cursor().await;
    cleo.leave(&last).await;
    let mut socket = cleo.socket("tablet").await;
    let described =
        "subscription($after: Cursor) { events(after: $after) { conversation { title metadata myRole } } }";
    socket.follow_after("s", described, &before).await;
    socket.next("s").await;
    // Subscriptions that are live, and from a cursor: to everything, and to one conversation.
    for conversation in [None, Some(&group)] {
        for kind in ["events", "messageSent", "statusChanged"] {
            let query = format!(
                "subscription($after: Cursor, $id: ID) {{ {kind}(after: $after, conversationId: $id) {{ cursor }} }}"
            );
            let mut socket = ada.socket("desk").await;
            socket.subscribe("s", &query, json!({ "after": start, "id": conversation })).await;
            socket.next("s").await;
        }
    }
}

/// Does what services do.
async fn serve(app: &TestApp, ada: &User, bob: &User, conversation: &str) {
    let service = app.service("crm", &[Scope::Provision, Scope::Send, Scope::Read]).await;
    let upsert = "mutation { upsertUsers(input: { users: [{ externalId: \"42\" }] }) { created } }";
    for _ in 0..2 {
        service.data(upsert, json!({})).await;
    }
    for user in [&format!("handle:{}", ada.handle), "external:42", &ada.id] {
        service.acting_as(user).data("{ viewer { externalId } }", json!({})).await;
    }
    let report = "mutation($message: ID!, $user: ID!) { reportUndeliverable(input: {
        messageId: $message, userId: $user, reason: \"gone\"
    }) { message { receipts { nodes { undeliverable { reason } } } } } }";
    let sent = ada.send(conversation, "lost").await;
    service.data(report, json!({ "message": sent, "user": bob.id })).await;
    app.revoke("crm").await;
}

/// Has a webhook fail, be tried again, and be told of somebody who was not reached.
async fn call_webhook(app: &TestApp, receiver: &mut Receiver, clock: &SteppedClock) {
    let (ada, _, conversation) = app.pair().await;
    receiver.behave(|_| FAILS);
    ada.send(&conversation, "fails").await;
    until(async || !calls(app).await.is_empty()).await;
    receiver.behave(|_| OK);
    clock.advance(Duration::from_secs(40));
    while receiver.next().await.kind() != "message.undelivered" {}
}

/// Follows the statuses from a cursor on, and all that they lead to.
async fn follow_status(user: &User, after: &str) {
    let query = "subscription($after: Cursor) { statusChanged(after: $after) {
        message { status receipts { nodes { readAt } } unread: receipts(notYet: READ) { nodes { status } } } messages { body }
        conversation { participants { nodes { readThrough { id } } } }
    } }";
    let mut socket = user.socket("phone").await;
    socket.follow_after("s", query, after).await;
    socket.next("s").await;
}

async fn look(user: &User, conversation: &str, page: &str) {
    let query = format!(
        "query($id: ID!) {{
            conversations({page}) {{ nodes {{ id title myRole metadata unreadCount firstUnread {{ id }} own {{ mutedUntil }} lastMessage {{ id status }} }} }}
            conversation(id: $id) {{
                participants({page}) {{ nodes {{ joinedAt user {{ handle }} deliveredThrough {{ id }} readThrough {{ id }} }} }}
                messages({page}) {{ nodes {{
                    body status sender {{ handle }}
                    receipts({page}) {{ nodes {{ status deliveredAt readAt undeliverable {{ at }} recipient {{ handle }} }} }}
                    undelivered: receipts({page}, notYet: DELIVERED) {{ nodes {{ status }} }}
                    unread: receipts({page}, notYet: READ) {{ nodes {{ status }} }}
                }} }}
            }}
        }}"
    );
    user.data(&query, json!({ "id": conversation })).await;
}

/// The steps of the plan by which the database would execute a statement.
async fn plan(database: &DatabaseConnection, sql: &str) -> Vec<String> {
    let backend = database.get_database_backend();
    if backend == DbBackend::Sqlite {
        let mut steps = Vec::new();
        // One call may hold several statements.
        for sql in sql.split("; ") {
            let explain = Statement::from_string(backend, format!("EXPLAIN QUERY PLAN {sql}"));
            let rows = database.query_all_raw(explain).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
            steps.extend(rows.iter().map(|row| row.try_get::<String>("", "detail").unwrap()));
        }
        return steps;
    }
    // This asks for a generic plan. If it still reads a whole table, no index fits.
    let parameters = (1..10_000).take_while(|n| sql.contains(&format!("${n}"))).count();
    let values = vec!["NULL"; parameters].join(", ");
    let execute = if parameters == 0 { "plan".to_owned() } else { format!("plan({values})") };
    for setting in ["SET enable_seqscan = off", "SET plan_cache_mode = force_generic_plan"] {
        database.execute_unprepared(setting).await.unwrap();
    }
    // When Postgres cannot infer the types of the parameters, they are ids, or an id and a key.
    let mut prepared = database.execute_unprepared(&format!("PREPARE plan AS {sql}")).await;
    for types in [["uuid", "uuid"], ["uuid", "text"]] {
        if prepared.is_err() {
            let types = types.into_iter().cycle().take(parameters).collect::<Vec<_>>().join(", ");
            prepared = database.execute_unprepared(&format!("PREPARE plan({types}) AS {sql}")).await;
        }
    }
    prepared.unwrap_or_else(|error| panic!("{error}: {sql}"));
    let explain = Statement::from_string(backend, format!("EXPLAIN EXECUTE {execute}"));
    let rows = database.query_all_raw(explain).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
    database.execute_unprepared("DEALLOCATE plan").await.unwrap();
    rows.iter().map(|row| row.try_get("", "QUERY PLAN").unwrap()).collect()
}

/// Whether a step reads a whole table, or a whole index.
fn is_scan(step: &str) -> bool {
    let step = step.trim_start_matches([' ', '-', '>']);
    let table = step.strip_prefix("SCAN ").or_else(|| step.strip_prefix("Seq Scan on "));
    table.is_some_and(|table| !SMALL.iter().any(|small| table.contains(small)))
}

#[tokio::test]
async fn no_hot_query_reads_a_table_from_end_to_end() {
    let seen: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let observer = || {
        let seen = Arc::clone(&seen);
        Some(Observer(Arc::new(move |sql: &str| {
            seen.lock().unwrap().insert(sql.to_owned());
        })))
    };
    let (mut receiver, clock) = (Receiver::start().await, SteppedClock::new());
    let mut app = TestApp::with(|setup| {
        receiver.adapt(setup);
        clock.adapt(setup);
        setup.args.webhooks.undelivered_after = vec![30];
        setup.parts.observer = observer();
    })
    .await;
    statements(&app).await;
    call_webhook(&app, &mut receiver, &clock).await;
    // A start looks at what happened since the last one.
    app.restart_with(|setup| setup.parts.observer = observer()).await;
    let mut options = sea_orm::ConnectOptions::new(&app.database.url);
    options.max_connections(1);
    let database = Database::connect(options).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    let mut planned = 0;
    let mut scanning = Vec::new();
    for sql in seen {
        let verb = sql.split_whitespace().next().unwrap_or_default().to_uppercase();
        // This statement only asks whether a column exists, and reads no row.
        let reads_nothing = sql.contains("LIMIT 0)");
        if !["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&verb.as_str()) || reads_nothing {
            continue;
        }
        let plan = plan(&database, &sql).await;
        let scans: Vec<_> = plan.iter().filter(|step| is_scan(step)).collect();
        if !scans.is_empty() {
            scanning.push(format!("{sql}\n{plan:#?}"));
        }
        planned += 1;
    }
    assert!(scanning.is_empty(), "{}", scanning.join("\n"));
    assert!(planned > 20, "only {planned} statements were seen");
    database.close().await.unwrap();
}
