//! `log(after:)` and `GET /log`: a service follows everything, in order, resumable.

use std::time::Duration;

use herald::accounts::{Keys, Scope, Scopes};
use herald::log::{Database, DatabaseOptions};
use serde_json::{Value, json};

use crate::crash::Process;
use crate::support::{End, Follower, Open, Socket, TestApp, Transport, User, code, request};

const LOG: &str = "subscription($after: Cursor, $checkpoints: Boolean = false) {
    log(after: $after, checkpoints: $checkpoints) {
        __typename cursor previous at
        ... on MessageSent { conversation { id title participants { nodes { user { handle } } } } message { body status } }
        ... on StatusChanged { status recipient { handle } message { body } messages { body } }
        ... on ConversationStarted { startedBy { handle } }
        ... on ParticipantLeft { user { handle } }
        ... on Checkpoint { caughtUp }
    }
}";

/// Opens `GET /log`.
async fn cloud_events(service: &User, query: &str, headers: &[(&str, &str)]) -> Open {
    Open::request(service, "GET", &format!("/log{query}"), headers, "").await
}

/// Makes a key that may follow.
async fn service_key(url: &str) -> String {
    let database = Database::open_beside(&DatabaseOptions {
        url: url.to_owned(),
        readers: 1,
        patience: Duration::from_secs(5),
        observer: None,
    })
    .await
    .unwrap();
    let key = Keys::new(database.clone()).add("archive", &Scopes::new(&[Scope::Read])).await.unwrap();
    database.close().await;
    key.to_string()
}

/// The id and the CloudEvent of the next event.
async fn cloud_event(open: &mut Open) -> (String, Value) {
    loop {
        let block = open.block().await.expect("an event");
        let line = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        assert_eq!(line("event: "), None, "{block}");
        if let Some(data) = line("data: ") {
            let event: Value = serde_json::from_str(data).unwrap();
            let id = line("id: ").unwrap();
            assert_eq!(event["id"], id, "the id is the cursor");
            return (id.to_owned(), event);
        }
    }
}

/// Two pairs, who talk apart from each other. Returns what a service is told of it, in short.
async fn live(app: &TestApp) -> Vec<String> {
    let (ada, bob, first) = app.pair().await;
    let (cleo, dan, second) = app.pair().await;
    let one = ada.send(&first, "one").await;
    let two = cleo.on("desk").send(&second, "two").await;
    bob.mark_read(&one).await;
    dan.mark_delivered(&two).await;
    dan.leave(&second).await;
    ["started", "started", "one", "two", "READ one", "DELIVERED two", "left"].map(str::to_owned).to_vec()
}

/// An event in short.
fn short(event: &Value) -> String {
    let body = event["message"]["body"].as_str().unwrap_or_default();
    match event["__typename"].as_str().unwrap() {
        "ConversationStarted" => "started".to_owned(),
        "MessageSent" => body.to_owned(),
        "StatusChanged" => format!("{} {body}", event["status"].as_str().unwrap()),
        "ParticipantLeft" => "left".to_owned(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_service_is_told_everything_in_order_live_and_on_replay_over_every_transport() {
    let app = TestApp::start().await;
    let service = app.service("archive", &[Scope::Read]).await;
    for transport in Transport::ALL {
        let start = service.cursor().await;
        let variables = json!({ "after": start });
        let mut live_follower = Follower::subscribe(transport, &service, "one", LOG, variables.clone()).await;
        let expected = live(&app).await;
        let mut replayed = Follower::subscribe(transport, &service, "one", LOG, variables).await;
        for follower in [&mut live_follower, &mut replayed] {
            let mut last = json!(start);
            for expected in &expected {
                let event = follower.next().await["log"].take();
                assert_eq!(short(&event), *expected, "{transport:?}");
                assert_eq!(event["previous"], last);
                last = event["cursor"].clone();
                if event["__typename"] == "MessageSent" {
                    assert!(event["conversation"]["participants"]["nodes"][0]["user"]["handle"].is_string());
                }
                if event["__typename"] == "StatusChanged" {
                    assert_eq!(event["messages"].as_array().unwrap().len(), 1, "{event}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_service_resumes_after_any_event_and_from_the_log_too() {
    // The hub keeps nothing, so the log has to be read.
    for recent_bytes in [0, 16 << 20] {
        let app = TestApp::with(|setup| setup.args.limits.recent_bytes = recent_bytes).await;
        let service = app.service("archive", &[Scope::Read]).await;
        let mut after = service.cursor().await;
        let expected = live(&app).await;
        for expected in &expected {
            let variables = json!({ "after": after });
            let mut follower =
                Follower::subscribe(Transport::WebSocket, &service, "one", LOG, variables).await;
            let event = follower.next().await["log"].take();
            assert_eq!(short(&event), *expected);
            after = event["cursor"].as_str().unwrap().to_owned();
        }
    }
}

#[tokio::test]
async fn the_log_is_for_services_whose_key_has_the_scope() {
    let app = TestApp::start().await;
    let (ada, provisioner) =
        (app.user("ada").await, app.service("crm", &[Scope::Provision, Scope::Send]).await);
    for caller in [&ada, &provisioner] {
        let mut socket: Socket = caller.socket("one").await;
        socket.subscribe("1", LOG, json!({})).await;
        assert_eq!(socket.refused("1").await, "FORBIDDEN");
        let refused = cloud_events(caller, "", &[]).await;
        assert_eq!(refused.head.status, 403);
        let (body, end) = refused.ended().await;
        assert_eq!((code(&serde_json::from_str(&body).unwrap()), end), ("FORBIDDEN", End::Complete));
    }
    // The log is not what somebody sees, so nobody is acted for.
    let acting = app.service("reader", &[Scope::Read]).await.acting_as(&ada.id);
    let mut socket: Socket = acting.socket("one").await;
    socket.subscribe("1", LOG, json!({})).await;
    assert_eq!(socket.refused("1").await, "BAD_INPUT");
    let authorization = format!("Bearer {}", acting.token);
    let headers = [("authorization", &*authorization), ("x-act-as", &*ada.id)];
    let refused = request(app.address, "GET", "/log", &headers, b"").await;
    assert_eq!((refused.status, code(&refused.json())), (400, "BAD_INPUT"));
    let nobody = User { token: String::new(), ..ada.clone() };
    let unknown = User { token: format!("hsk_{}", "A".repeat(43)), ..ada };
    for caller in [nobody, unknown] {
        assert_eq!(cloud_events(&caller, "", &[]).await.head.status, 401);
    }
}

#[tokio::test]
async fn a_revoked_key_ends_what_it_follows() {
    let app = TestApp::start().await;
    let service = app.service("archive", &[Scope::Read]).await;
    let mut open = cloud_events(&service, "", &[]).await;
    open.block().await.unwrap();
    app.revoke("archive").await;
    let refused = open.event().await;
    assert_eq!(refused.name, "error");
    assert_eq!(code(&serde_json::from_str(&refused.data).unwrap()), "UNAUTHENTICATED");
}

#[tokio::test]
async fn cloud_events_say_what_happened_to_whom() {
    let app = TestApp::start().await;
    let service = app.service("archive", &[Scope::Read]).await;
    let (ada, bob, conversation) = app.pair().await;
    let mut open = cloud_events(&service, "", &[("accept", "text/event-stream")]).await;
    assert_eq!(open.head.header("content-type"), Some("text/event-stream"));
    let opening = open.block().await.unwrap();
    assert!(opening.contains(&format!("\nid: {}\n", service.cursor().await)), "{opening}");

    let message = ada.send(&conversation, "Hello, \"Bob\"\n\u{2028}").await;
    let (_, sent) = cloud_event(&mut open).await;
    assert_eq!(sent["specversion"], "1.0");
    assert_eq!(sent["type"], "herald.message.sent");
    assert_eq!((&sent["source"], &sent["subject"]), (&json!("/log"), &json!(conversation)));
    assert_eq!(sent["datacontenttype"], "application/json");
    assert_eq!(sent["data"]["message"]["body"], "Hello, \"Bob\"\n\u{2028}");
    assert_eq!(sent["data"]["message"]["sender"]["handle"], ada.handle.as_str());
    assert_eq!(sent["data"]["message"]["recipientCount"], 1);
    assert_eq!(sent["time"], sent["data"]["message"]["sentAt"], "the time of the event");

    bob.mark_read(&message).await;
    let (_, read) = cloud_event(&mut open).await;
    assert_eq!((&read["type"], &read["data"]["status"]), (&json!("herald.status.changed"), &json!("READ")));
    assert_eq!(read["data"]["recipient"]["id"], bob.id.as_str());
    let covered = &read["data"]["messages"][0];
    assert_eq!((&covered["id"], &covered["readCount"]), (&json!(message), &json!(1)));
    assert_eq!(covered.get("body"), None);

    bob.leave(&conversation).await;
    let (_, left) = cloud_event(&mut open).await;
    assert_eq!(
        (&left["type"], &left["data"]["user"]["id"]),
        (&json!("herald.participant.left"), &json!(bob.id))
    );
    let started = ada.start(&[&bob]).await;
    let (_, event) = cloud_event(&mut open).await;
    assert_eq!((&event["type"], &event["subject"]), (&json!("herald.conversation.started"), &json!(started)));
    let people = event["data"]["conversation"]["participants"]["nodes"].as_array().unwrap().len();
    assert_eq!(people, 2);
}

#[tokio::test]
async fn cloud_events_resume_after_an_id_and_refuse_what_is_none() {
    let app = TestApp::start().await;
    let service = app.service("archive", &[Scope::Read]).await;
    let (ada, _bob, conversation) = app.pair().await;
    let start = service.cursor().await;
    for body in ["one", "two", "three"] {
        ada.send(&conversation, body).await;
    }
    let said = |event: &Value| event["data"]["message"]["body"].as_str().unwrap().to_owned();
    let mut open = cloud_events(&service, &format!("?after={start}"), &[]).await;
    let (id, first) = cloud_event(&mut open).await;
    assert_eq!(said(&first), "one");
    // The header counts before the URL, which an `EventSource` never changes.
    let mut open = cloud_events(&service, &format!("?after={start}"), &[("last-event-id", &id)]).await;
    for body in ["two", "three"] {
        assert_eq!(said(&cloud_event(&mut open).await.1), body);
    }
    ada.send(&conversation, "four").await;
    assert_eq!(said(&cloud_event(&mut open).await.1), "four");

    let refused = cloud_events(&service, "?after=mangled", &[]).await;
    assert_eq!(refused.head.status, 400);
    let (body, _) = refused.ended().await;
    assert_eq!(code(&serde_json::from_str(&body).unwrap()), "CURSOR_INVALID");
    let elsewhere = TestApp::start().await;
    let foreign = elsewhere.service("archive", &[Scope::Read]).await.cursor().await;
    assert_eq!(cloud_events(&service, &format!("?after={foreign}"), &[]).await.head.status, 410);
    assert_eq!(cloud_events(&service, "", &[("accept", "application/json")]).await.head.status, 406);
    assert_eq!(cloud_events(&service, "", &[("accept", "text/html, */*;q=0.1")]).await.head.status, 200);
    let post = app.request("POST", "/log", &[], b"").await;
    assert_eq!(post.status, 405);
}

#[tokio::test]
async fn a_service_that_is_slow_goes_back_to_replay_and_misses_nothing() {
    let app = TestApp::with(|setup| setup.args.limits.subscriber_queue = 1).await;
    let service = app.service("archive", &[Scope::Read]).await;
    let (ada, _bob, conversation) = app.pair().await;
    let mut open = cloud_events(&service, "", &[]).await;
    let body = "x".repeat(9_000);
    for n in 0..200 {
        ada.send(&conversation, &format!("{n} {body}")).await;
    }
    for n in 0..200 {
        let (_, event) = cloud_event(&mut open).await;
        assert!(event["data"]["message"]["body"].as_str().unwrap().starts_with(&format!("{n} ")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_subscription_follows_the_deliveries_of_all_users_over_a_kill() {
    let database = crate::support::TestDatabase::create().await;
    let process = Process::start(&database.url).await;
    let key = service_key(&database.url).await;
    let here = |user: &User, process: &Process| User { address: process.address, ..user.clone() };
    let ada = User::register(process.address, "ada").await;
    let service = User { token: key, ..ada.clone() };
    let mut talks = Vec::new();
    for n in 0..3 {
        let other = User::register(process.address, &format!("other-{n}")).await;
        talks.push((ada.start(&[&other]).await, other));
    }
    let start = service.cursor().await;
    let mut open = cloud_events(&service, &format!("?after={start}"), &[]).await;
    let deliver = async |process: &Process, round: usize| {
        for (conversation, other) in &talks {
            let sent = here(&ada, process).send(conversation, &format!("{round}")).await;
            here(other, process).mark_delivered(&sent).await;
        }
    };
    deliver(&process, 1).await;
    let mut told = Vec::new();
    let mut last = String::new();
    for _ in 0..4 {
        let (id, event) = cloud_event(&mut open).await;
        told.push(event["type"].clone());
        last = id;
    }
    process.kill().await;
    let process = Process::start(&database.url).await;
    deliver(&process, 2).await;
    let mut open = cloud_events(&here(&service, &process), "", &[("last-event-id", &last)]).await;
    for _ in 0..8 {
        told.push(cloud_event(&mut open).await.1["type"].clone());
    }
    let expected = ["herald.message.sent", "herald.status.changed"].repeat(6);
    assert_eq!(told, expected);
}
