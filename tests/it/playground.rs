//! The pages of the playground, as herald serves them. `tests/browser` tests what they do in a browser.

use crate::support::{TestApp, code};

#[tokio::test]
async fn the_pages_are_guarded_and_asked_for_again_each_time() {
    let app = TestApp::start().await;
    for page in ["/", "/graphiql"] {
        let reply = app.request("GET", page, &[], b"").await;
        assert_eq!(reply.status, 200);
        assert!(reply.header("content-type").unwrap().starts_with("text/html"));
        assert!(
            reply.header("content-security-policy").unwrap().starts_with("default-src 'none';"),
            "{page}"
        );
        assert_eq!(reply.header("cache-control"), Some("no-cache"));
        assert_eq!(app.request("POST", page, &[], b"").await.status, 405);
    }
    let nothing = app.request("GET", "/assets/nothing.js", &[], b"").await;
    assert_eq!((nothing.status, code(&nothing.json())), (404, "NOT_FOUND"));
}

#[tokio::test]
async fn without_a_playground_there_is_only_graphql() {
    let app = TestApp::with(|setup| setup.args.no_playground = true).await;
    for page in ["/", "/graphiql", "/assets/index.js"] {
        let reply = app.request("GET", page, &[], b"").await;
        assert_eq!((reply.status, code(&reply.json())), (404, "NOT_FOUND"), "{page}");
    }
    assert_eq!(app.request("GET", "/graphql?query=%7Bcursor%7D", &[], b"").await.status, 200);
}
