//! Users whom another login system signs in, with its tokens.

use herald::accounts::Scope;
use herald::config::{Access, Switch};
use serde_json::{Value, json};

use crate::support::{LoginSystem, Open, SignedBy, TestApp, User, code, now};

const VIEWER: &str = "{ viewer { id handle displayName } }";

/// A herald that believes a login system.
async fn herald() -> (TestApp, LoginSystem) {
    let login_system = LoginSystem::new();
    let app = TestApp::with(|setup| login_system.adapt(setup)).await;
    (app, login_system)
}

/// The user of this token.
async fn user(app: &TestApp, token: &str) -> User {
    let nobody = User {
        address: app.address,
        handle: String::new(),
        id: String::new(),
        token: token.to_owned(),
        connection: None,
        acts_as: None,
    };
    let data = nobody.data(VIEWER, json!({})).await;
    let text = |field: &str| data["viewer"][field].as_str().unwrap().to_owned();
    User { id: text("id"), handle: text("handle"), ..nobody }
}

#[tokio::test]
async fn the_first_token_makes_the_user_and_later_ones_find_them() {
    let (app, login_system) = herald().await;
    let ada = user(&app, &login_system.token("Ada.Lovelace")).await;
    assert_eq!(ada.handle, "ada-lovelace");
    let data = ada.data(VIEWER, json!({})).await;
    assert_eq!(data["viewer"]["displayName"], "Ada.Lovelace of the company");
    let again = user(&app, &login_system.token("Ada.Lovelace")).await;
    assert_eq!(again.id, ada.id);
    let other_case = user(&app, &login_system.token("ada.lovelace")).await;
    assert_ne!(other_case.id, ada.id, "a subject is case-sensitive");
    assert_eq!(other_case.handle, "ada-lovelace-2");
}

#[tokio::test]
async fn a_handle_that_somebody_registered_is_not_given_to_another() {
    let (app, login_system) = herald().await;
    let local = User::register(app.address, "grace").await;
    let arrived = user(&app, &login_system.token("grace")).await;
    assert_ne!(arrived.id, local.id);
    assert_eq!(arrived.handle, "grace-2");
    let conversation = arrived.start(&[&local]).await;
    let message = arrived.send(&conversation, "from the company").await;
    local.mark_read(&message).await;
}

#[tokio::test]
async fn many_first_requests_at_once_make_one_user() {
    let (app, login_system) = herald().await;
    let tokens: Vec<String> = (0..20).map(|_| login_system.token("ada")).collect();
    let users = futures_util::future::join_all(tokens.iter().map(|token| user(&app, token))).await;
    assert!(users.iter().all(|user| user.id == users[0].id));
}

#[tokio::test]
async fn a_token_that_is_not_believed_is_refused_with_the_reason_on_every_transport() {
    let (app, login_system) = herald().await;
    let claims = |change: Value| {
        let mut claims = LoginSystem::claims("ada");
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    };
    let header = |change: Value| {
        let mut header = login_system.header();
        for (name, value) in change.as_object().unwrap() {
            header[name] = value.clone();
        }
        header
    };
    let signed = |change: Value| login_system.sign(&claims(change));
    let plain = claims(json!({}));
    let key = SignedBy::Key;
    let valid = login_system.token("ada");
    let cases = [
        (signed(json!({ "exp": now() - 1 })), "has expired"),
        (signed(json!({ "exp": now() - 3_600 })), "has expired"),
        (signed(json!({ "exp": "soon" })), "`exp`"),
        (signed(json!({ "exp": null })), "`exp`"),
        (signed(json!({ "nbf": now() + 3_600 })), "does not hold yet"),
        (signed(json!({ "nbf": "soon" })), "`nbf`"),
        (signed(json!({ "iss": "https://elsewhere.example.com/" })), "another issuer"),
        (signed(json!({ "iss": null })), "`iss`"),
        (signed(json!({ "aud": "elsewhere" })), "another audience"),
        (signed(json!({ "aud": [] })), "another audience"),
        (signed(json!({ "aud": null })), "`aud`"),
        (signed(json!({ "sub": null })), "`sub`"),
        (signed(json!({ "sub": 7 })), "`sub`"),
        (signed(json!({ "sub": "" })), "`sub`"),
        (signed(json!({ "sub": "x".repeat(256) })), "`sub`"),
        (signed(json!({ "more": "x".repeat(20_000) })), "longer than"),
        (login_system.write(&header(json!({ "kid": "unknown" })), &plain, &key), "not in the key set"),
        (login_system.write(&header(json!({ "kid": "for-encryption" })), &plain, &key), "not in the key set"),
        (login_system.write(&header(json!({ "alg": "ES384" })), &plain, &key), "algorithm"),
        (login_system.write(&header(json!({ "alg": "RS256" })), &plain, &key), "algorithm"),
        (login_system.write(&header(json!({ "crit": ["b64"], "b64": false })), &plain, &key), "no JWT"),
        (
            login_system.write(&json!({ "alg": "none" }), &plain, &SignedBy::Bytes(Vec::new())),
            "no JWT that herald can read",
        ),
        (
            login_system.write(&header(json!({ "alg": "HS256" })), &plain, &SignedBy::Bytes(vec![7; 32])),
            "algorithm",
        ),
        (
            login_system.write(
                &json!({ "alg": "HS256", "kid": "shared" }),
                &plain,
                &SignedBy::Bytes(vec![7; 32]),
            ),
            "algorithm",
        ),
        (login_system.write(&header(json!({})), &plain, &SignedBy::Bytes(vec![7; 64])), "signature is wrong"),
        (login_system.write(&header(json!({})), &plain, &SignedBy::Bytes(Vec::new())), "signature is wrong"),
        (valid[..valid.len() - 2].to_owned(), "signature is wrong"),
        ("a.b.c".into(), "no JWT"),
        ("..".into(), "no JWT"),
    ];
    for (token, reason) in cases {
        let authorization = format!("Bearer {token}");
        let query = br#"{"query":"{ viewer { id } }"}"#;
        for (method, path, body) in
            [("POST", "/graphql", &query[..]), ("GET", "/graphql?query=%7Bcursor%7D", b"")]
        {
            let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
            let reply = app.request(method, path, &headers, body).await;
            let answer = reply.json();
            assert_eq!((reply.status, code(&answer)), (401, "UNAUTHENTICATED"), "{reason}: {answer}");
            let message = answer["errors"][0]["message"].as_str().unwrap();
            assert!(message.contains(reason), "{message}: not {reason}");
        }
        let mut socket = app.socket().await;
        socket
            .send(json!({ "type": "connection_init", "payload": { "authorization": authorization } }))
            .await;
        let closed = socket.closed().await;
        assert_eq!(closed.code, 4403, "{reason}");
        assert!(closed.reason.contains(reason), "{}: not {reason}", closed.reason);
    }
}

#[tokio::test]
async fn a_cookie_is_no_place_for_a_jwt() {
    let (app, login_system) = herald().await;
    let cookie = format!("herald_session={}", login_system.token("ada"));
    let headers = [("cookie", cookie.as_str()), ("content-type", "application/json")];
    let reply = app.request("POST", "/graphql", &headers, br#"{"query":"{ viewer { id } }"}"#).await;
    assert_eq!(reply.json(), json!({ "data": { "viewer": null } }));
}

#[tokio::test]
async fn sockets_and_streams_end_with_the_token() {
    let (app, login_system) = herald().await;
    let mut claims = LoginSystem::claims("ada");
    claims["exp"] = json!(now() + 2);
    let ada = user(&app, &login_system.sign(&claims)).await;
    let mut socket = ada.socket("a").await;
    let headers = [("accept", "text/event-stream"), ("content-type", "application/json")];
    let body = json!({ "query": "subscription { events { cursor } }" }).to_string();
    let mut stream = Open::request(&ada, "POST", "/graphql", &headers, &body).await;
    assert_eq!(stream.refused().await, "UNAUTHENTICATED");
    assert_eq!(socket.closed().await.code, 4403);
    let reply = ada.post(VIEWER, json!({})).await;
    assert!(reply["errors"][0]["message"].as_str().unwrap().contains("has expired"), "{reply}");
    let renewed = user(&app, &login_system.token("ada")).await;
    assert_eq!(renewed.id, ada.id);
}

#[tokio::test]
async fn own_events_stay_left_out_when_the_token_is_renewed() {
    let (app, login_system) = herald().await;
    let bob = app.user("bob").await;
    let ada = user(&app, &login_system.token("ada")).await;
    let conversation = ada.start(&[&bob]).await;
    let mut socket = ada.socket("phone").await;
    socket
        .follow("s", "subscription($after: Cursor) { messageSent(after: $after) { message { body } } }")
        .await;
    // The same session at the login system, with a new token.
    let renewed = user(&app, &login_system.token("ada")).await.on("phone");
    assert_ne!(renewed.token, ada.token);
    renewed.send(&conversation, "my own").await;
    let mut claims = LoginSystem::claims("ada");
    claims["sid"] = json!("another device");
    let elsewhere = user(&app, &login_system.sign(&claims)).await.on("phone");
    elsewhere.send(&conversation, "from my other device").await;
    let next = socket.next("s").await;
    assert_eq!(next["messageSent"]["message"]["body"], "from my other device");
}

#[tokio::test]
async fn keys_are_read_again_when_a_token_names_another_and_kept_when_they_are_away() {
    let (app, login_system) = herald().await;
    let old = login_system.token("ada");
    let ada = user(&app, &old).await;
    login_system.rotate();
    let renewed = user(&app, &login_system.token("ada")).await;
    assert_eq!(renewed.id, ada.id);
    login_system.go_away();
    let bob = user(&app, &login_system.token("bob")).await;
    assert_ne!(bob.id, ada.id);
}

#[tokio::test]
async fn what_a_key_has_signed_ends_when_the_key_is_withdrawn() {
    let (app, login_system) = herald().await;
    let ada = user(&app, &login_system.token("ada")).await;
    let mut socket = ada.socket("desk").await;
    login_system.rotate();
    // The key set is read again, because this token names another key.
    user(&app, &login_system.token("bob")).await;
    assert_eq!(socket.closed().await.code, 4403);
    let refused = ada.post(VIEWER, json!({})).await;
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("not in the key set"), "{refused}");
}

#[tokio::test]
async fn what_a_key_has_signed_goes_on_while_the_key_is_published_beside_others() {
    let (app, login_system) = herald().await;
    let ada = user(&app, &login_system.token("ada")).await;
    let mut socket = ada.socket("desk").await;
    socket.follow("s", "subscription { messageSent { message { body } } }").await;
    let mut both = login_system.key_set();
    login_system.rotate();
    let added = login_system.key_set()["keys"].take();
    both["keys"].as_array_mut().unwrap().extend(added.as_array().unwrap().iter().cloned());
    login_system.publish(&both);
    let bob = user(&app, &login_system.token("bob")).await;
    let conversation = bob.start(&[&ada]).await;
    bob.send(&conversation, "with the new key").await;
    assert_eq!(socket.next("s").await["messageSent"]["message"]["body"], "with the new key");
    ada.data(VIEWER, json!({})).await;
}

#[tokio::test]
async fn a_key_set_without_keys_withdraws_them_all() {
    let (app, login_system) = herald().await;
    let ada = user(&app, &login_system.token("ada")).await;
    let mut socket = ada.socket("desk").await;
    login_system.publish(&json!({ "keys": [] }));
    login_system.rotate_unpublished();
    let stranger = User { token: login_system.token("bob"), ..ada.clone() };
    assert_eq!(stranger.refused(VIEWER, json!({})).await, "UNAUTHENTICATED");
    assert_eq!(socket.closed().await.code, 4403);
    assert_eq!(ada.refused(VIEWER, json!({})).await, "UNAUTHENTICATED");
}

#[tokio::test]
async fn keys_are_read_again_for_a_token_that_names_none_and_fits_none() {
    let (app, login_system) = herald().await;
    user(&app, &login_system.token("ada")).await;
    login_system.rotate();
    let header = json!({ "typ": "at+jwt", "alg": "ES256" });
    let token = login_system.write(&header, &LoginSystem::claims("bob"), &SignedBy::Key);
    user(&app, &token).await;
}

#[tokio::test]
async fn passwords_and_registration_can_be_switched_off() {
    let login_system = LoginSystem::new();
    let register = "mutation($i: RegisterInput!) { register(input: $i) { token } }";
    let input = json!({ "i": { "handle": "eve", "displayName": "Eve", "password": "correct horse" } });
    let closed = TestApp::with(|setup| setup.args.identity.registration = Access::Closed).await;
    let refused = closed.post(register, input.clone()).await;
    assert_eq!(code(&refused), "FORBIDDEN");
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("Registration is closed"));
    let app = TestApp::with(|setup| {
        login_system.adapt(setup);
        setup.args.identity.password_login = Switch::Off;
    })
    .await;
    let login = "mutation($i: LoginInput!) { login(input: $i) { token } }";
    for (mutation, input) in
        [(register, input), (login, json!({ "i": { "handle": "eve", "password": "correct horse" } }))]
    {
        let refused = app.post(mutation, input).await;
        assert_eq!(code(&refused), "FORBIDDEN");
        assert!(refused["errors"][0]["message"].as_str().unwrap().contains("login system"), "{refused}");
    }
    let ada = user(&app, &login_system.token("ada")).await;
    let refused = ada.post("mutation { logout { ended } }", json!({})).await;
    assert_eq!(code(&refused), "FORBIDDEN");
}

#[tokio::test]
async fn without_a_login_system_a_jwt_is_refused_with_what_to_do() {
    let (app, login_system) = (TestApp::start().await, LoginSystem::new());
    let authorization = format!("Bearer {}", login_system.token("ada"));
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let reply = app.request("POST", "/graphql", &headers, br#"{"query":"{ cursor }"}"#).await;
    assert_eq!(reply.status, 401);
    assert!(reply.json()["errors"][0]["message"].as_str().unwrap().contains("--jwt-jwks"));
}

#[tokio::test]
async fn the_playground_is_told_how_users_sign_in_and_may_talk_to_the_login_system() {
    let app = TestApp::start().await;
    let reply = app.request("GET", "/sign-in", &[], b"").await;
    assert_eq!(reply.json(), json!({ "passwordLogin": true, "registration": "open", "oidc": null }));
    let login_system = LoginSystem::new();
    let app = TestApp::with(|setup| {
        login_system.adapt(setup);
        let identity = &mut setup.args.identity;
        identity.oidc_issuer = Some("https://login.example.com:8443/realms/a".into());
        identity.oidc_client_id = Some("playground".into());
        identity.password_login = Switch::Off;
        identity.registration = Access::Closed;
    })
    .await;
    let reply = app.request("GET", "/sign-in", &[], b"").await;
    let oidc = json!({ "issuer": "https://login.example.com:8443/realms/a", "clientId": "playground",
        "scope": "openid profile offline_access", "resource": "herald" });
    let sign_in = json!({ "passwordLogin": false, "registration": "closed", "oidc": oidc });
    assert_eq!(reply.json(), sign_in);
    let page = app.request("GET", "/", &[], b"").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.ends_with("connect-src 'self' https://login.example.com:8443"), "{policy}");
}

#[tokio::test]
async fn a_service_shuts_out_a_user_of_another_login_and_lets_them_in_again() {
    let (app, login_system) = herald().await;
    let token = login_system.token("ada");
    let ada = user(&app, &token).await;
    let service = app.service("crm", &[Scope::Provision]).await;
    let set_disabled = async |disabled: bool| {
        let mutation =
            "mutation($i: UserDisabledInput!) { setUserDisabled(input: $i) { user { externalId } } }";
        let input = json!({ "i": { "userId": ada.id, "disabled": disabled } });
        let data = service.data(mutation, input).await;
        assert_eq!(data["setUserDisabled"]["user"]["externalId"], "ada");
    };
    let mut socket = ada.socket("desk").await;
    set_disabled(true).await;
    assert_eq!(socket.closed().await.code, 4403);
    // Also a token that herald has not seen before.
    for token in [&token, &login_system.token("ada")] {
        let ada = User { token: token.clone(), ..ada.clone() };
        assert_eq!(ada.refused(VIEWER, json!({})).await, "ACCOUNT_DISABLED");
    }
    set_disabled(false).await;
    ada.data(VIEWER, json!({})).await;
    // The service finds the user whom the login system made, and makes no other.
    let upsert = "mutation { upsertUsers(input: { users: [{ externalId: \"ada\", displayName: \"Ada\" }] }) {
        created users { id displayName } } }";
    let upserted = service.data(upsert, json!({})).await["upsertUsers"].take();
    assert_eq!(upserted, json!({ "created": 0, "users": [{ "id": ada.id, "displayName": "Ada" }] }));
}
