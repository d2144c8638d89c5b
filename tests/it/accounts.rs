//! Accounts: registration, sign-in, how long a session lives, and how often somebody may try.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use herald::clock::Clock;
use herald::config::{ServeArgs, Switch};
use herald::messaging::Timestamp;
use serde_json::{Value, json};

use crate::support::{Reply, TestApp, code};

const REGISTER: &str = "mutation($input: RegisterInput!) {
    register(input: $input) { token user { handle displayName } }
}";
const LOGIN: &str = "mutation($input: LoginInput!) { login(input: $input) { token user { handle } } }";
const LOGOUT: &str = "mutation { logout { ended } }";
const VIEWER: &str = "{ viewer { handle } }";
const SENT: &str = "subscription($after: Cursor) { messageSent(after: $after) { message { body } } }";

/// The password of those who register here by hand.
const SECRET: &str = "a long walk on the beach";

/// The bytes of a password that nobody types.
const MEGABYTE: usize = 1024 * 1024;

fn newcomer(handle: &str, display_name: &str, password: &str) -> Value {
    json!({ "input": { "handle": handle, "displayName": display_name, "password": password } })
}

fn credentials(handle: &str, password: &str) -> Value {
    json!({ "input": { "handle": handle, "password": password } })
}

/// A herald that limits how often one may try.
async fn limited(adapt: impl FnOnce(&mut ServeArgs)) -> TestApp {
    TestApp::with(|setup| {
        setup.args.rate_limit = Switch::On;
        adapt(&mut setup.args);
    })
    .await
}

/// A request with these headers, and no others that say who sends it.
async fn ask(app: &TestApp, headers: &[(&str, &str)], query: &str, variables: Value) -> Reply {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let headers: Vec<_> = [("content-type", "application/json")].iter().chain(headers).copied().collect();
    app.request("POST", "/graphql", &headers, body.as_bytes()).await
}

/// The handle of whoever is signed in by these headers.
async fn viewer(app: &TestApp, headers: &[(&str, &str)]) -> Value {
    let reply = ask(app, headers, VIEWER, json!({})).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["data"]["viewer"]["handle"].take()
}

/// The field that a response complains of.
fn bad_field(response: &Value) -> &str {
    assert_eq!(code(response), "BAD_INPUT", "{response}");
    response["errors"][0]["extensions"]["field"].as_str().unwrap()
}

/// Somebody who registered with [`SECRET`]; the answer.
async fn enrol(app: &TestApp, handle: &str) -> Reply {
    let reply = ask(app, &[], REGISTER, newcomer(handle, handle, SECRET)).await;
    assert_eq!(reply.json()["data"]["register"]["user"]["handle"], handle);
    reply
}

/// The cookie that a browser keeps of an answer.
fn kept(reply: &Reply) -> String {
    reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

/// What the browser is told to do with the cookie.
fn attributes(reply: &Reply) -> Vec<&str> {
    reply.header("set-cookie").unwrap().split("; ").skip(1).collect()
}

/// Signs the `ada` of [`enrol`] in.
async fn login(app: &TestApp, headers: &[(&str, &str)]) -> Reply {
    let reply = ask(app, headers, LOGIN, credentials("ada", SECRET)).await;
    assert_eq!(reply.json()["data"]["login"]["user"]["handle"], "ada");
    reply
}

/// The shortest time in which a sign-in was answered: the work it takes, whatever else the machine did.
async fn fastest_login(app: &TestApp, handle: &str, password: &str) -> Duration {
    let mut fastest = Duration::MAX;
    for _ in 0..7 {
        let began = Instant::now();
        let reply = ask(app, &[], LOGIN, credentials(handle, password)).await;
        fastest = fastest.min(began.elapsed());
        assert_eq!(code(&reply.json()), "INVALID_CREDENTIALS");
    }
    fastest
}

#[tokio::test]
async fn whoever_registers_is_signed_in() {
    let app = TestApp::start().await;
    let reply = ask(&app, &[], REGISTER, newcomer("ada", "Ada 👩‍💻 Lovelace", SECRET)).await.json();
    let session = &reply["data"]["register"];
    assert_eq!(session["user"], json!({ "handle": "ada", "displayName": "Ada 👩‍💻 Lovelace" }));

    let bearer = format!("Bearer {}", session["token"].as_str().unwrap());
    assert_eq!(viewer(&app, &[("authorization", &bearer)]).await, "ada");
}

#[tokio::test]
async fn a_handle_is_three_to_thirty_two_of_a_few_letters() {
    let app = TestApp::start().await;
    let too_long = "a".repeat(33);
    let bad = ["", "ab", &too_long, "Ada", "ada lovelace", "ädä", "ada.l", "ada\n", "ada\0", "@ada"];
    for handle in bad {
        let refused = app.post(REGISTER, newcomer(handle, "Ada", SECRET)).await;
        assert_eq!(bad_field(&refused), "handle", "{handle:?}");
    }
    for handle in ["abc", "0_-", &"z".repeat(32)] {
        enrol(&app, handle).await;
    }
}

#[tokio::test]
async fn a_password_has_eight_characters_and_not_a_million() {
    let app = TestApp::with(|setup| setup.args.limits.max_body_bytes = 2 * MEGABYTE).await;
    for password in ["", "1234567", "🐎🐎🐎🐎🐎🐎🐎", &"x".repeat(MEGABYTE)] {
        let refused = app.post(REGISTER, newcomer("ada", "Ada", password)).await;
        assert_eq!(bad_field(&refused), "password", "{} bytes", password.len());
    }
    let reply = app.post(REGISTER, newcomer("ada", "Ada", "12345678")).await;
    assert!(reply.get("errors").is_none(), "{reply}");
    let refused = app.post(LOGIN, credentials("ada", &"x".repeat(MEGABYTE))).await;
    assert_eq!(code(&refused), "INVALID_CREDENTIALS");
}

#[tokio::test]
async fn a_display_name_is_one_line_of_text() {
    let app = TestApp::start().await;
    for name in
        ["", " ", "Ada\0", "Ada\nLovelace", "A\u{7}da", "\u{1b}[31mAda", "A\u{9f}da", &"é".repeat(101)]
    {
        let refused = app.post(REGISTER, newcomer("ada", name, SECRET)).await;
        assert_eq!(bad_field(&refused), "displayName", "{name:?}");
    }
    let longest = "é".repeat(100);
    let reply = app.post(REGISTER, newcomer("ada", &longest, SECRET)).await;
    assert_eq!(reply["data"]["register"]["user"]["displayName"], longest);
}

#[tokio::test]
async fn a_handle_that_is_taken_stays_with_whoever_has_it() {
    let app = TestApp::start().await;
    enrol(&app, "ada").await;
    let refused = app.post(REGISTER, newcomer("ada", "Another Ada", "another password")).await;
    assert_eq!(code(&refused), "HANDLE_TAKEN");

    let signed_in = app.post(LOGIN, credentials("ada", SECRET)).await;
    assert_eq!(signed_in["data"]["login"]["user"]["handle"], "ada");
    let refused = app.post(LOGIN, credentials("ada", "another password")).await;
    assert_eq!(code(&refused), "INVALID_CREDENTIALS");
}

#[tokio::test]
async fn of_those_who_register_one_handle_at_once_one_wins() {
    let app = TestApp::start().await;
    let passwords = ["first password", "second password", "third password", "fourth password"];
    let replies =
        join_all(passwords.iter().map(|password| app.post(REGISTER, newcomer("ada", "Ada", password)))).await;

    let (won, lost): (Vec<_>, Vec<_>) =
        passwords.iter().zip(&replies).partition(|(_, reply)| reply.get("errors").is_none());
    assert_eq!(won.len(), 1, "{replies:?}");
    for (_, reply) in lost {
        assert_eq!(code(reply), "HANDLE_TAKEN");
    }
    let signed_in = app.post(LOGIN, credentials("ada", won[0].0)).await;
    assert_eq!(signed_in["data"]["login"]["user"]["handle"], "ada");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_handle_get_the_same_answer() {
    let app = TestApp::start().await;
    enrol(&app, "ada").await;
    let wrong = ask(&app, &[], LOGIN, credentials("ada", "not the password")).await;
    assert_eq!(code(&wrong.json()), "INVALID_CREDENTIALS");
    assert_eq!(wrong.header("set-cookie"), None);
    let too_long = "x".repeat(1_000);
    for (handle, password) in
        [("bob", SECRET), ("", SECRET), ("Ada", SECRET), ("ada", ""), ("bob", too_long.as_str())]
    {
        let other = ask(&app, &[], LOGIN, credentials(handle, password)).await;
        assert_eq!((other.status, &other.body), (wrong.status, &wrong.body), "{handle:?}");
    }
}

#[tokio::test]
async fn every_wrong_guess_takes_the_work_of_one_hash_except_those_too_long_to_be_hashed() {
    let app = TestApp::start().await;
    enrol(&app, "ada").await;
    let wrong = fastest_login(&app, "ada", "not the password").await;
    let unknown = fastest_login(&app, "bob", "not the password").await;
    assert!(unknown * 2 > wrong && wrong * 2 > unknown, "{wrong:?} for a user, {unknown:?} for nobody");
    let too_long = fastest_login(&app, "ada", &"x".repeat(1_000)).await;
    assert!(too_long < wrong, "{too_long:?} to refuse it, {wrong:?} to hash another");
}

#[tokio::test]
async fn a_token_that_was_never_given_out_is_refused() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let (head, tail) = ada.token.split_at(1);
    let tampered = format!("Bearer {}{tail}", if head == "A" { "B" } else { "A" });
    let cut = format!("Bearer {}", &ada.token[..ada.token.len() - 1]);
    let longer = format!("Bearer {}AAAA", ada.token);
    let garbage = ["Bearer", "Bearer garbage", "Bearer tökén", "Basic YWRhOnNlY3JldA=="];
    for authorization in [&*tampered, &cut, &longer].into_iter().chain(garbage) {
        let reply = ask(&app, &[("authorization", authorization)], VIEWER, json!({})).await;
        assert_eq!((reply.status, code(&reply.json())), (401, "UNAUTHENTICATED"), "{authorization}");
        assert_eq!(reply.json().get("data"), None);
    }
}

#[tokio::test]
async fn nobody_is_told_that_they_are_nobody_and_nothing_else() {
    let app = TestApp::start().await;
    assert_eq!(app.post(VIEWER, json!({})).await, json!({ "data": { "viewer": null } }));
    for query in [
        "{ conversations { nodes { id } } }",
        r#"{ user(handle: "ada") { id } }"#,
        r#"{ node(id: "usr_00000000000000000000000000000000") { id } }"#,
        r#"mutation { startConversation(input: { participantHandles: ["ada"] }) { cursor } }"#,
        LOGOUT,
    ] {
        assert_eq!(code(&app.post(query, json!({})).await), "UNAUTHENTICATED", "{query}");
    }
}

#[tokio::test]
async fn signing_out_ends_the_session_with_its_sockets_and_no_other() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let elsewhere = ada.sign_in_again().await;
    let mut phone = ada.socket("phone").await;
    let mut tablet = ada.socket("tablet").await;
    let mut laptop = elsewhere.socket("laptop").await;
    for socket in [&mut phone, &mut tablet, &mut laptop] {
        socket.follow("m", SENT).await;
    }
    assert_eq!(ada.data(LOGOUT, json!({})).await, json!({ "logout": { "ended": true } }));
    assert_eq!(phone.closed().await.code, 4403);
    assert_eq!(tablet.closed().await.code, 4403);
    assert_eq!(ada.refused(VIEWER, json!({})).await, "UNAUTHENTICATED");

    bob.send(&conversation, "still there?").await;
    assert_eq!(laptop.next("m").await["messageSent"]["message"]["body"], "still there?");
    // A socket can end its own session, too.
    laptop.subscribe("o", LOGOUT, json!({})).await;
    assert_eq!(laptop.closed().await.code, 4403);
    assert_eq!(elsewhere.refused(VIEWER, json!({})).await, "UNAUTHENTICATED");
}

#[tokio::test]
async fn guessing_one_handles_password_is_slowed_down() {
    let app = limited(|args| args.limits.sign_ins_per_handle = 3).await;
    enrol(&app, "ada").await;
    enrol(&app, "bob").await;
    for _ in 0..3 {
        assert_eq!(code(&app.post(LOGIN, credentials("ada", "a guess")).await), "INVALID_CREDENTIALS");
    }
    // Now the right password gets the same answer as a wrong one.
    for password in ["a guess", SECRET] {
        let refused = app.post(LOGIN, credentials("ada", password)).await;
        assert_eq!(code(&refused), "RATE_LIMITED");
        assert!(refused["errors"][0]["extensions"]["retryAfter"].as_u64().unwrap() > 0, "{refused}");
    }
    let other = app.post(LOGIN, credentials("bob", SECRET)).await;
    assert_eq!(other["data"]["login"]["user"]["handle"], "bob");
}

#[tokio::test]
async fn guesses_in_one_document_count_one_by_one() {
    let app = limited(|args| args.limits.sign_ins_per_handle = 3).await;
    enrol(&app, "ada").await;
    let login = |alias: &str, password: &str| {
        format!("{alias}: login(input: {{ handle: \"ada\", password: \"{password}\" }}) {{ token }} ")
    };
    let guesses: String = (0..5).map(|n| login(&format!("guess{n}"), &format!("guess {n}"))).collect();
    let document = format!("mutation {{ {guesses} {} }}", login("right", SECRET));

    let mut codes = Vec::new();
    for _ in 0..4 {
        let response = app.post(&document, json!({})).await;
        assert!(response["data"]["right"].is_null(), "guessed: {response}");
        let errors = response["errors"].as_array().unwrap();
        codes.extend(errors.iter().map(|error| error["extensions"]["code"].as_str().unwrap().to_owned()));
    }
    assert_eq!(codes.iter().filter(|code| *code == "INVALID_CREDENTIALS").count(), 3, "{codes:?}");
    assert_eq!(codes.last().unwrap(), "RATE_LIMITED");
}

#[tokio::test]
async fn an_address_registers_so_often_and_cannot_pretend_to_be_another() {
    let app = limited(|args| args.limits.sign_ins_per_minute = 1).await;
    enrol(&app, "ada").await;
    enrol(&app, "bob").await;
    assert_eq!(code(&app.post(REGISTER, newcomer("carol", "Carol", SECRET)).await), "RATE_LIMITED");
    let elsewhere = [("x-forwarded-for", "203.0.113.9")];
    let refused = ask(&app, &elsewhere, REGISTER, newcomer("carol", "Carol", SECRET)).await;
    assert_eq!(code(&refused.json()), "RATE_LIMITED");
}

#[tokio::test]
async fn a_password_is_tried_no_more_often_by_registering_with_a_key_than_by_signing_in() {
    let app = limited(|args| args.limits.sign_ins_per_handle = 3).await;
    let mut codes = Vec::new();
    for n in 0..5 {
        let mut variables = newcomer("ada", "Ada", &format!("password {n}"));
        variables["input"]["idempotencyKey"] = json!("key");
        codes.push(app.post(REGISTER, variables).await);
    }
    let codes: Vec<_> = codes[1..].iter().map(code).collect();
    assert_eq!(codes, ["HANDLE_TAKEN", "HANDLE_TAKEN", "RATE_LIMITED", "RATE_LIMITED"]);
    let refused = app.post(LOGIN, credentials("ada", "password 0")).await;
    assert_eq!(code(&refused), "RATE_LIMITED");
}

#[tokio::test]
async fn behind_a_proxy_addresses_are_told_apart_by_what_the_proxy_says() {
    let app = limited(|args| {
        args.trust_proxy = true;
        args.limits.sign_ins_per_minute = 1;
    })
    .await;
    let register = async |handle: &str, address: &str| {
        let headers = [("x-forwarded-for", address)];
        ask(&app, &headers, REGISTER, newcomer(handle, handle, SECRET)).await.json()
    };
    for handle in ["ada", "bob"] {
        assert!(register(handle, "203.0.113.1").await.get("errors").is_none());
    }
    assert_eq!(code(&register("carol", "203.0.113.1").await), "RATE_LIMITED");
    // The proxy adds the address that it sees at the end. The client itself may have written everything before it.
    assert_eq!(code(&register("carol", "198.51.100.7, 203.0.113.1").await), "RATE_LIMITED");
    for written in ["203.0.113.1:8080", "\"203.0.113.1\"", "203.0.113.1,", "203.0.113.1 , "] {
        assert_eq!(code(&register("carol", written).await), "RATE_LIMITED", "{written}");
    }
    // Some proxies add the address as another line.
    let two = [("x-forwarded-for", "198.51.100.7"), ("x-forwarded-for", "203.0.113.1")];
    let refused = ask(&app, &two, REGISTER, newcomer("carol", "Carol", SECRET)).await;
    assert_eq!(code(&refused.json()), "RATE_LIMITED");
    assert!(register("carol", "203.0.113.2").await.get("errors").is_none());
}

#[tokio::test]
async fn signing_in_sets_a_cookie_that_signs_requests_in() {
    let app = TestApp::start().await;
    enrol(&app, "ada").await;
    let reply = login(&app, &[]).await;
    let cookie = kept(&reply);
    assert!(cookie.starts_with("herald_session="), "{cookie}");
    let (ages, mut others): (Vec<_>, Vec<_>) =
        attributes(&reply).into_iter().partition(|attribute| attribute.starts_with("Max-Age="));
    others.sort_unstable();
    assert_eq!(others, ["HttpOnly", "Path=/", "SameSite=Strict"]);
    let age: u64 = ages[0]["Max-Age=".len()..].parse().unwrap();
    assert!((1..=180 * 24 * 60 * 60).contains(&age), "{age} s");

    let among_others = format!("theme=dark; {cookie}; lang=en");
    for cookie in [&cookie, &among_others] {
        assert_eq!(viewer(&app, &[("cookie", cookie)]).await, "ada");
    }
}

#[tokio::test]
async fn the_cookie_is_kept_to_tls_where_the_client_came_over_tls() {
    let behind = TestApp::with(|setup| setup.args.trust_proxy = true).await;
    enrol(&behind, "ada").await;
    let over = [("x-forwarded-proto", "https")];
    assert!(attributes(&login(&behind, &over).await).contains(&"Secure"));
    let over_http = [("x-forwarded-proto", "http")];
    assert!(!attributes(&login(&behind, &over_http).await).contains(&"Secure"));

    let in_front = TestApp::start().await;
    enrol(&in_front, "ada").await;
    assert!(!attributes(&login(&in_front, &over).await).contains(&"Secure"));
}

#[tokio::test]
async fn a_cookie_whose_session_has_ended_is_nobodys_and_does_not_stand_in_the_way() {
    let app = TestApp::start().await;
    let cookie = kept(&enrol(&app, "ada").await);
    let headers = [("cookie", cookie.as_str())];
    let ended = ask(&app, &headers, LOGOUT, json!({})).await;
    assert_eq!(ended.json(), json!({ "data": { "logout": { "ended": true } } }));
    assert_eq!(kept(&ended), "herald_session=");
    assert!(attributes(&ended).contains(&"Max-Age=0"));

    assert_eq!(viewer(&app, &headers).await, Value::Null);
    let again = kept(&login(&app, &headers).await);
    assert_eq!(viewer(&app, &[("cookie", &again)]).await, "ada");
}

#[tokio::test]
async fn a_cookie_sent_along_from_a_foreign_page_is_refused_and_a_bearer_token_is_not() {
    let app = TestApp::start().await;
    let ada = enrol(&app, "ada").await;
    let cookie = kept(&ada);
    let lookalike = format!("http://{}.evil.example", app.address);
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:1"),
        ("origin", lookalike.as_str()),
        ("sec-fetch-site", "cross-site"),
    ] {
        let reply = ask(&app, &[("cookie", &cookie), (name, value)], LOGOUT, json!({})).await;
        assert_eq!(reply.status, 403, "{name}: {value}");
    }
    let url = "/graphql?query=%7Bviewer%7Bhandle%7D%7D";
    let foreign = [("cookie", cookie.as_str()), ("origin", "https://evil.example")];
    assert_eq!(app.request("GET", url, &foreign, b"").await.status, 403);

    let bearer = format!("Bearer {}", ada.json()["data"]["register"]["token"].as_str().unwrap());
    let foreign = [("authorization", bearer.as_str()), ("origin", "https://elsewhere.example")];
    assert_eq!(viewer(&app, &foreign).await, "ada");
    // None of these ended the session.
    let here = format!("http://{}", app.address);
    assert_eq!(viewer(&app, &[("cookie", &cookie), ("origin", &here)]).await, "ada");
}

#[tokio::test]
async fn a_session_ends_by_itself_in_any_case_and_for_lack_of_use() {
    for (idle, absolute) in [(30, 0), (0, 180)] {
        let app = TestApp::with(|setup| {
            setup.args.limits.session_idle_days = idle;
            setup.args.limits.session_days = absolute;
        })
        .await;
        let ada = app.user("ada").await;
        let response = ada.post("{ viewer { id } }", serde_json::json!({})).await;
        assert_eq!(code(&response), "UNAUTHENTICATED", "{idle} {absolute}");
    }
}

#[tokio::test]
async fn a_session_lasts_while_it_is_used_and_no_longer_than_its_days() {
    const DAY_MICROS: i64 = 86_400_000_000;
    let now = Arc::new(AtomicI64::new(DAY_MICROS));
    let app = TestApp::with(|setup| {
        setup.args.limits.session_idle_days = 30;
        setup.args.limits.session_days = 100;
        let now = Arc::clone(&now);
        setup.parts.clock = Clock::new(move || Timestamp(now.load(Ordering::Relaxed)));
    })
    .await;
    let (used, unused) = (app.user("ada").await, app.user("bob").await);
    for day in 1..=120 {
        now.fetch_add(DAY_MICROS, Ordering::Relaxed);
        let response = used.post("{ viewer { id } }", serde_json::json!({})).await;
        assert_eq!(response.get("errors").is_some(), day >= 100, "on day {day}: {response}");
        if day == 30 {
            let response = unused.post("{ viewer { id } }", serde_json::json!({})).await;
            assert_eq!(code(&response), "UNAUTHENTICATED", "{response}");
        }
    }
}
