//! A database for one test, which is removed after it.

use std::path::PathBuf;

use sea_orm::{ConnectionTrait, Database};

/// Everything that herald stores, from those tables that others refer to, to those that refer to them.
pub(crate) const TABLES: [&str; 15] = [
    "users",
    "blocks",
    "sessions",
    "service_keys",
    "conversations",
    "participants",
    "messages",
    "events",
    "starts",
    "log_head",
    "session_ends",
    "own_participations",
    "webhooks",
    "webhook_rules",
    "webhook_calls",
];

/// Where a test keeps its data.
pub(crate) struct TestDatabase {
    pub(crate) url: String,
    folder: Option<PathBuf>,
}

impl TestDatabase {
    pub(crate) async fn create() -> Self {
        let name = format!("herald_test_{}", herald::random::id().simple());
        match std::env::var("HERALD_TEST_POSTGRES") {
            Ok(server) => {
                let admin = Database::connect(&server).await.expect("the Postgres of HERALD_TEST_POSTGRES");
                admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
                admin.close().await.unwrap();
                let (server, _) = server.rsplit_once('/').expect("a URL with a database");
                Self { url: format!("{server}/{name}"), folder: None }
            }
            Err(_) => {
                let folder = std::env::temp_dir().join(&name);
                std::fs::create_dir(&folder).unwrap();
                let file = folder.join("herald.db");
                Self { url: format!("sqlite://{}?mode=rwc", file.display()), folder: Some(folder) }
            }
        }
    }
}

impl TestDatabase {
    /// The file that it is in; a Postgres database has none.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join("herald.db"))
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // A Postgres database is not removed, because the whole server is only for the tests.
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
