//! Web pages of other origins: what they may do, and the headers that tell browsers.

use clap::Parser;
use herald::config::Cli;
use serde_json::json;
use tokio_tungstenite::tungstenite::Error;

use crate::support::{Open, Reply, Socket, TestApp, User};

const APP: &str = "https://app.example.com";
const OTHER: &str = "https://evil.example";

/// The request that a browser makes before one that a page of another origin wants.
async fn preflight(app: &TestApp, origin: &str) -> Reply {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,x-connection-id"),
    ];
    app.request("OPTIONS", "/graphql", &headers, b"").await
}

/// The origin that is allowed in answer to one.
async fn preflight_of(app: &TestApp, origin: &str) -> Option<String> {
    preflight(app, origin).await.header("access-control-allow-origin").map(ToOwned::to_owned)
}

/// The cookie of a browser in which `user` signs in.
async fn cookie(app: &TestApp, user: &User) -> String {
    let login = "mutation($input: LoginInput!) { login(input: $input) { token } }";
    let input = json!({ "handle": user.handle, "password": "correct horse battery" });
    let body = json!({ "query": login, "variables": { "input": input } }).to_string();
    let reply =
        app.request("POST", "/graphql", &[("content-type", "application/json")], body.as_bytes()).await;
    reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

/// How a request fares that a page of this origin makes with the cookie, over every transport: its status.
async fn statuses(app: &TestApp, cookie: &str, origin: &str) -> Vec<u16> {
    let headers = [("cookie", cookie), ("origin", origin)];
    let query = json!({ "query": "{ viewer { handle } }" }).to_string();
    let json = [&headers[..], &[("content-type", "application/json")]].concat();
    let post = app.request("POST", "/graphql", &json, query.as_bytes()).await.status;
    let get = app.request("GET", "/graphql?query=%7Bcursor%7D", &headers, b"").await.status;
    let nobody = User { token: String::new(), ..app.user("nobody").await };
    let events = "/graphql?query=subscription%7Bevents%7Bcursor%7D%7D";
    let accept = [&headers[..], &[("accept", "text/event-stream")]].concat();
    let stream = Open::request(&nobody, "GET", events, &accept, "").await.head.status;
    let socket = match Socket::connect(app.address, &headers).await {
        Ok(_) => 101,
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
    };
    vec![post, get, stream, socket]
}

#[tokio::test]
async fn no_other_origin_is_let_in_unless_it_is_allowed() {
    let app = TestApp::start().await;
    assert_eq!(preflight(&app, APP).await.status, 405);
    let cookie = cookie(&app, &app.user("ada").await).await;
    assert_eq!(statuses(&app, &cookie, APP).await, [403, 403, 403, 403]);
    let get = async |headers: &[(&str, &str)]| {
        let headers = [&[("cookie", &*cookie)][..], headers].concat();
        app.request("GET", "/graphql?query=%7Bcursor%7D", &headers, b"").await.status
    };
    let own = format!("http://{}", app.address);
    for odd in [[("origin", "\u{ff}")], [("sec-fetch-site", "\u{ff}")], [("sec-fetch-site", "CROSS-SITE")]] {
        assert_eq!(get(&odd).await, 403, "{odd:?}");
    }
    assert_eq!(get(&[("origin", &own), ("origin", APP)]).await, 403);
    for right in [&[][..], &[("sec-fetch-site", "same-origin")], &[("sec-fetch-site", "none")]] {
        assert_eq!(get(right).await, 200, "{right:?}");
    }
    assert_eq!(statuses(&app, &cookie, &format!("http://{}", app.address)).await, [200, 200, 200, 101]);
    let plain = app.request("GET", "/graphql?query=%7Bcursor%7D", &[("origin", APP)], b"").await;
    assert_eq!((plain.status, plain.header("access-control-allow-origin")), (200, None));
}

#[tokio::test]
async fn an_allowed_origin_is_let_in_and_no_other() {
    let app =
        TestApp::with(|setup| setup.args.allow_origin = vec![APP.into(), "http://localhost:5173".into()])
            .await;
    let told = preflight(&app, APP).await;
    assert_eq!(told.status, 200);
    assert_eq!(told.header("access-control-allow-origin"), Some(APP));
    assert_eq!(told.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(told.header("access-control-allow-methods"), Some("GET,POST"));
    assert_eq!(
        told.header("access-control-allow-headers"),
        Some("authorization,content-type,x-connection-id")
    );
    assert_eq!(preflight(&app, OTHER).await.header("access-control-allow-origin"), None);

    // A page may read a refusal, too.
    let headers = [("origin", APP), ("authorization", "Bearer nonsense")];
    let refused = app.request("GET", "/graphql?query=%7Bcursor%7D", &headers, b"").await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, Some(APP)));

    let cookie = cookie(&app, &app.user("ada").await).await;
    assert_eq!(statuses(&app, &cookie, APP).await, [200, 200, 200, 101]);
    let with_port = format!("{APP}:443");
    assert_eq!(statuses(&app, &cookie, &with_port).await, [200, 200, 200, 101]);
    assert_eq!(preflight_of(&app, &with_port).await.as_deref(), Some(with_port.as_str()));
    for foreign in [OTHER, "http://app.example.com", "https://app.example.com.evil.example", "null"] {
        assert_eq!(statuses(&app, &cookie, foreign).await, [403, 403, 403, 403], "{foreign}");
    }
}

#[tokio::test]
async fn every_origin_is_let_in_without_cookies() {
    let app = TestApp::with(|setup| setup.args.allow_origin = vec!["*".into()]).await;
    let told = preflight(&app, OTHER).await;
    assert_eq!(told.header("access-control-allow-origin"), Some("*"));
    assert_eq!(told.header("access-control-allow-credentials"), None);
    let cookie = cookie(&app, &app.user("ada").await).await;
    assert_eq!(statuses(&app, &cookie, OTHER).await, [403, 403, 403, 403]);
    assert_eq!(statuses(&app, &cookie, "*").await, [403, 403, 403, 403]);
}

#[test]
fn what_is_no_origin_is_refused_at_the_start() {
    let allowed = |text: &str| {
        Cli::try_parse_from(["herald", "--allow-origin", text]).map(|cli| cli.serve.allow_origin)
    };
    assert_eq!(
        allowed("https://a.example,http://[::1]:5173").unwrap(),
        ["https://a.example", "http://[::1]:5173"]
    );
    assert_eq!(allowed("*").unwrap(), ["*"]);
    for bad in [
        "app.example.com",
        "https://app.example.com/",
        "https://",
        "https://*.example.com",
        "https://App.example.com",
        "ws://app.example.com",
        "null",
        "",
    ] {
        let error = allowed(bad).unwrap_err().to_string();
        assert!(error.contains("https://app.example.com"), "{bad}: {error}");
    }
}
