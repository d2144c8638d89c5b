//! A herald that serves on a port of its own, in this process.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use herald::accounts::{Keys, Scope, Scopes};
use herald::config::{ServeArgs, Switch};
use herald::log::{Database, DatabaseOptions};
use herald::{App, Parts};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::database::TestDatabase;
use super::{Reply, Socket, User, request};

/// How a test wants its herald.
pub(crate) struct Setup {
    pub(crate) args: ServeArgs,
    pub(crate) parts: Parts,
}

/// A running herald. Stops when dropped.
pub(crate) struct TestApp {
    pub(crate) address: SocketAddr,
    pub(crate) database: TestDatabase,
    args: ServeArgs,
    names: AtomicU32,
    nodes: Mutex<Vec<oneshot::Sender<()>>>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

impl TestApp {
    /// A herald as it is by default, without limits of rate.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A herald that differs from the default.
    pub(crate) async fn with(adapt: impl FnOnce(&mut Setup)) -> Self {
        Self::on(TestDatabase::create().await, adapt).await
    }

    /// A herald on a database that may have something in it.
    pub(crate) async fn on(database: TestDatabase, adapt: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup { args: ServeArgs::default(), parts: Parts::default() };
        setup.args.database.database.clone_from(&database.url);
        setup.args.rate_limit = Switch::Off;
        adapt(&mut setup);
        let Setup { args, parts } = setup;
        let (address, stop, serving) = serve(&args, parts).await;
        Self {
            address,
            database,
            args,
            names: AtomicU32::new(0),
            nodes: Mutex::default(),
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    /// Stops gracefully and waits until everything is done.
    pub(crate) async fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(serving) = self.serving.take() {
            serving.await.unwrap();
        }
    }

    /// Starts again on the same data, on another port.
    pub(crate) async fn restart(&mut self) {
        self.restart_with(|_| {}).await;
    }

    /// The same, differently set up.
    pub(crate) async fn restart_with(&mut self, adapt: impl FnOnce(&mut Setup)) {
        self.stop().await;
        let mut setup = Setup { args: self.args.clone(), parts: Parts::default() };
        adapt(&mut setup);
        let (address, stop, serving) = serve(&setup.args, setup.parts).await;
        self.address = address;
        self.stop = Some(stop);
        self.serving = Some(serving);
    }

    /// Where another herald serves the same database, until the test is over. Of this one it only hears by the feed
    /// and from the log.
    pub(crate) async fn another_node(&self) -> SocketAddr {
        self.another_node_with(|_| {}).await
    }

    /// Another node where there can be one: two heralds cannot share an SQLite file, so there it is this one.
    pub(crate) async fn elsewhere(&self) -> SocketAddr {
        if self.database.file().is_some() { self.address } else { self.another_node().await }
    }

    /// The same, differently set up.
    pub(crate) async fn another_node_with(&self, adapt: impl FnOnce(&mut Setup)) -> SocketAddr {
        let mut setup = Setup { args: self.args.clone(), parts: Parts::default() };
        adapt(&mut setup);
        let (address, stop, _) = serve(&setup.args, setup.parts).await;
        self.nodes.lock().unwrap().push(stop);
        address
    }

    /// Somebody new, whose handle begins with `name`.
    pub(crate) async fn user(&self, name: &str) -> User {
        let handle = format!("{name}-{}", self.names.fetch_add(1, Ordering::Relaxed));
        User::register(self.address, &handle).await
    }

    /// A service that has a key with these scopes. It is nobody in particular.
    pub(crate) async fn service(&self, name: &str, scopes: &[Scope]) -> User {
        let database = Database::open_beside(&self.args.database.options(None)).await.unwrap();
        let key = Keys::new(database.clone()).add(name, &Scopes::new(scopes)).await.unwrap();
        database.close().await;
        User {
            address: self.address,
            handle: name.to_owned(),
            id: String::new(),
            token: key.to_string(),
            connection: None,
            acts_as: None,
        }
    }

    /// How a command opens its database.
    pub(crate) fn database_options(&self) -> DatabaseOptions {
        self.args.database.options(None)
    }

    /// Revokes the key of a service.
    pub(crate) async fn revoke(&self, name: &str) {
        let database = Database::open_beside(&self.args.database.options(None)).await.unwrap();
        Keys::new(database.clone()).revoke(name).await.unwrap();
        database.close().await;
    }

    /// Two who talk: them, and their conversation.
    pub(crate) async fn pair(&self) -> (User, User, String) {
        let (ada, bob) = (self.user("ada").await, self.user("bob").await);
        let conversation = ada.start(&[&bob]).await;
        (ada, bob, conversation)
    }

    /// Nobody's request, as JSON.
    pub(crate) async fn post(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables }).to_string();
        self.request("POST", "/graphql", &[("content-type", "application/json")], body.as_bytes())
            .await
            .json()
    }

    /// Any request.
    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        request(self.address, method, path, headers, body).await
    }

    /// A socket on which nothing has been said yet.
    pub(crate) async fn socket(&self) -> Socket {
        Socket::connect(self.address, &[]).await.expect("a socket")
    }
}

async fn serve(args: &ServeArgs, parts: Parts) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = App::open(args, parts).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(app.run(listener, async {
        // This ends when the test stops herald, or when the test is over.
        let _ = stopped.await;
    }));
    (address, stop, serving)
}
