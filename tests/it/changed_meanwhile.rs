//! Users who are disabled, or get another password, while a request of theirs is checked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use herald::accounts::Scope;
use herald::log::Observer;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{PASSWORD, TestApp, User, code};

const LOGIN: &str = "mutation($handle: String!, $password: String!) {
    login(input: { handle: $handle, password: $password }) { token } }";
const REGISTER: &str = "mutation($input: RegisterInput!) { register(input: $input) { token } }";
const CHANGE: &str = "mutation($current: String!, $new: String!) {
    changePassword(input: { currentPassword: $current, newPassword: $new }) { token } }";
const DISABLE: &str = "mutation($id: ID!) {
    setUserDisabled(input: { userId: $id, disabled: true }) { user { id } } }";
const SESSIONS: &str = "{ sessions { nodes { id } } }";

/// The read of a user by handle, with which a sign-in begins.
const BY_HANDLE: &str = "\"handle\" IN";

/// The read of a user by id, with which a change of a password begins.
const BY_ID: &str = "FROM users u WHERE u.id IN";

/// The read of a user with which that of a session ends.
const USER_OF_SESSION: &str = "FROM \"users\" WHERE \"users\".\"id\" =";

/// Holds whoever has just run a statement.
struct Gate {
    observer: Observer,
    is_armed: Arc<AtomicBool>,
    reached: Arc<Notify>,
    open: mpsc::Sender<()>,
}

impl Gate {
    /// A herald in which whoever has run a statement with these words is held, once the gate is armed.
    async fn before(words: &'static str) -> (TestApp, Self) {
        let (open, opened) = mpsc::channel();
        let (is_armed, reached) = (Arc::<AtomicBool>::default(), Arc::<Notify>::default());
        let (armed, notified, opened) = (Arc::clone(&is_armed), Arc::clone(&reached), Mutex::new(opened));
        let observer = Observer(Arc::new(move |sql: &str| {
            if sql.contains(words) && armed.swap(false, Ordering::SeqCst) {
                notified.notify_one();
                tokio::task::block_in_place(|| opened.lock().unwrap().recv().unwrap());
            }
        }));
        let gate = Self { observer: observer.clone(), is_armed, reached, open };
        (TestApp::with(|setup| setup.parts.observer = Some(observer)).await, gate)
    }

    /// Sends a request, and does something else while it is held. Returns the answer to the request.
    async fn meanwhile(
        &self,
        user: &User,
        request: (&'static str, Value),
        something: impl Future<Output = ()>,
    ) -> Value {
        self.is_armed.store(true, Ordering::SeqCst);
        let user = user.clone();
        let held = tokio::spawn(async move { user.post(request.0, request.1).await });
        self.reached.notified().await;
        something.await;
        self.open.send(()).unwrap();
        held.await.unwrap()
    }
}

/// Nobody, at the address of this user.
fn nobody(user: &User) -> User {
    User { token: String::new(), ..user.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_under_way_when_the_user_is_disabled_begins_no_session() {
    let (app, gate) = Gate::before(BY_HANDLE).await;
    let service = app.service("crm", &[Scope::Provision]).await;
    let ada = app.user("ada").await;
    let login = (LOGIN, json!({ "handle": ada.handle, "password": PASSWORD }));
    let disable = async { drop(service.data(DISABLE, json!({ "id": ada.id })).await) };
    let answer = gate.meanwhile(&nobody(&ada), login, disable).await;
    assert_eq!(code(&answer), "ACCOUNT_DISABLED", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_registration_under_way_when_the_user_is_disabled_begins_no_session() {
    let (app, gate) = Gate::before(BY_HANDLE).await;
    let service = app.service("crm", &[Scope::Provision]).await;
    let input = json!({ "handle": "ada", "displayName": "Ada", "password": PASSWORD, "idempotencyKey": "k" });
    let registered =
        app.post(&REGISTER.replace("token", "token user { id }"), json!({ "input": input })).await;
    let id = registered["data"]["register"]["user"]["id"].clone();
    let ada = User { token: String::new(), ..service.clone() };
    let disable = async { drop(service.data(DISABLE, json!({ "id": id })).await) };
    let answer = gate.meanwhile(&ada, (REGISTER, json!({ "input": input })), disable).await;
    assert_eq!(code(&answer), "ACCOUNT_DISABLED", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_under_way_when_the_password_is_changed_begins_no_session() {
    let (app, gate) = Gate::before(BY_HANDLE).await;
    let ada = app.user("ada").await;
    let login = (LOGIN, json!({ "handle": ada.handle, "password": PASSWORD }));
    let renewed = Mutex::new(String::new());
    let change = async {
        let data = ada.data(CHANGE, json!({ "current": PASSWORD, "new": "another password" })).await;
        data["changePassword"]["token"].as_str().unwrap().clone_into(&mut renewed.lock().unwrap());
    };
    let answer = gate.meanwhile(&nobody(&ada), login, change).await;
    assert_eq!(code(&answer), "INVALID_CREDENTIALS", "{answer}");
    let renewed = User { token: renewed.into_inner().unwrap(), ..ada };
    let sessions = renewed.data(SESSIONS, json!({})).await;
    assert_eq!(sessions["sessions"]["nodes"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_of_a_password_at_once_the_later_one_is_refused() {
    let (app, gate) = Gate::before(BY_ID).await;
    let ada = app.user("ada").await;
    let change = |new: &str| json!({ "current": PASSWORD, "new": new });
    let first = async { drop(ada.data(CHANGE, change("the first password")).await) };
    let answer = gate.meanwhile(&ada, (CHANGE, change("the second password")), first).await;
    assert_eq!(code(&answer), "INVALID_CREDENTIALS", "{answer}");
    let login = json!({ "handle": ada.handle, "password": "the first password" });
    nobody(&ada).data(LOGIN, login).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_read_when_its_user_is_disabled_does_not_stay() {
    let (mut app, gate) = Gate::before(USER_OF_SESSION).await;
    let service = app.service("crm", &[Scope::Provision]).await;
    let ada = app.user("ada").await;
    // A herald that starts anew has no session in memory.
    app.restart_with(|setup| setup.parts.observer = Some(gate.observer.clone())).await;
    let (ada, service) = (ada.at(app.address), service.at(app.address));
    let disable = async { drop(service.data(DISABLE, json!({ "id": ada.id })).await) };
    let answer = gate.meanwhile(&ada, ("{ cursor }", json!({})), disable).await;
    assert_eq!(code(&answer), "UNAUTHENTICATED", "{answer}");
    assert_eq!(ada.refused("{ cursor }", json!({})).await, "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_change_of_a_password_that_breaks_off_has_done_all_or_nothing() {
    let is_armed = Arc::<AtomicBool>::default();
    let armed = Arc::clone(&is_armed);
    let app = TestApp::with(|setup| {
        setup.parts.observer = Some(Observer(Arc::new(move |sql: &str| {
            let ends_a_session = sql.starts_with("INSERT INTO \"session_ends\"");
            assert!(
                !(ends_a_session && armed.swap(false, Ordering::SeqCst)),
                "a fault that the test planted"
            );
        })));
    })
    .await;
    let ada = app.user("ada").await;
    is_armed.store(true, Ordering::SeqCst);
    let change = json!({ "current": PASSWORD, "new": "another password" });
    let (user, change_again) = (ada.clone(), change.clone());
    // There may be no answer at all.
    let _ = tokio::spawn(async move { user.post(CHANGE, change).await }).await;
    assert!(!is_armed.load(Ordering::SeqCst), "it broke off");
    // The old password and the old session are as they were.
    ada.data(LOGIN, json!({ "handle": ada.handle, "password": PASSWORD })).await;
    ada.data(CHANGE, change_again).await;
    assert_eq!(ada.refused("{ cursor }", json!({})).await, "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_user_who_is_asked_for_twice_is_found_twice() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let options = herald::log::DatabaseOptions {
        url: app.database.url.clone(),
        readers: 1,
        patience: std::time::Duration::from_secs(5),
        observer: None,
    };
    let database = herald::log::Database::open_beside(&options).await.unwrap();
    let id = ada.id.parse().unwrap();
    let found = database.users_by_id(&[id, id]).await;
    assert!(found.iter().all(|row| row.as_ref().unwrap().is_some()), "{found:?}");
    database.close().await;
}
