//! A feed in the hands of a test.

use std::sync::Mutex;
use std::time::Duration;

use herald::feed::{Feed, LogNotification};
use herald::log::{Database, DatabaseOptions};
use herald::messaging::Place;
use tokio::sync::mpsc;

use super::TestApp;

/// A feed that tells nothing but what the test has it tell.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Vec<mpsc::Sender<LogNotification>>>);

impl Feed for Told {
    fn publish(&self, _: LogNotification) {}

    fn listen(&self) -> mpsc::Receiver<LogNotification> {
        let (listener, notifications) = mpsc::channel(16);
        self.0.lock().unwrap().push(listener);
        notifications
    }
}

impl Told {
    /// Tells the node how far the log has come.
    pub(crate) async fn tell(&self, app: &TestApp) -> Place {
        let (url, patience) = (app.database.url.clone(), Duration::from_secs(5));
        let options = DatabaseOptions { url, readers: 1, patience, observer: None };
        let database = Database::open_beside(&options).await.unwrap();
        let head = database.head().await.unwrap();
        database.close().await;
        let listeners = self.0.lock().unwrap().clone();
        for listener in listeners {
            listener.send(LogNotification { head, events: Vec::new(), traces: Vec::new() }).await.unwrap();
        }
        head
    }
}
