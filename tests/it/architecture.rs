//! The modules of the tree, and the one direction in which they may import each other.

use std::path::{Path, PathBuf};

/// From the inside out: a room may import those before it, and itself.
const ROOMS: [&str; 10] =
    ["messaging", "feed", "log", "hub", "error", "rates", "accounts", "graphql", "webhook", "transport"];

/// What stands beside the rooms, for everyone.
const BESIDE: [&str; 11] = [
    "config",
    "clock",
    "http_client",
    "metrics",
    "network",
    "postgres",
    "random",
    "start_error",
    "trace",
    "trouble",
    "vitals",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// Every source, with the room that it is in.
fn rooms() -> Vec<(PathBuf, String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let named = sources(&src).into_iter().map(|path| {
        let inside = path.strip_prefix(&src).unwrap().with_extension("");
        let room = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        (path, room, text)
    });
    // The program itself, and what connects the modules.
    named.filter(|(_, room, _)| !["commands", "lib", "main"].contains(&room.as_str())).collect()
}

#[test]
fn imports_run_one_way() {
    let rank = |room: &str| ROOMS.iter().position(|known| *known == room);
    let mut seen = 0;
    for (path, room, text) in rooms() {
        if BESIDE.contains(&room.as_str()) {
            continue;
        }
        let own = rank(&room).unwrap_or_else(|| panic!("{} is in no room", path.display()));
        for import in text.split("crate::").skip(1) {
            let name: String = import.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if let Some(other) = rank(&name) {
                assert!(other <= own, "{} imports {name} against the order", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "only {seen} imports were seen");
}

#[test]
fn the_rules_know_nothing_of_the_world_and_only_the_log_knows_sql() {
    for (path, room, text) in rooms() {
        let forbidden: &[&str] = match room.as_str() {
            "messaging" => &[
                "sea_orm",
                "async_graphql",
                "tokio",
                "axum",
                "std::fs",
                "std::net",
                "std::time",
                "std::io",
                "std::env",
                "crate::clock",
                "crate::random",
            ],
            "log" => &["async_graphql", "axum"],
            // LISTEN and NOTIFY, but no tables.
            "feed" => &["async_graphql", "axum", "entities::", "::entities", "sea_orm", "std::env"],
            // This is the only place that reads the environment.
            "config" => &["sea_orm", "entities::", "::entities"],
            // The `_entities` of a federation are others.
            _ => &["sea_orm", "entities::", "::entities", "std::env"],
        };
        for name in forbidden {
            assert!(!text.contains(name), "{} names {name}", path.display());
        }
    }
}

// A later herald may add columns. Postgres then refuses what an earlier one has prepared, unless it names its columns.
#[test]
fn statements_name_the_columns_of_tables() {
    for (path, _, text) in rooms().into_iter().filter(|(_, room, _)| room == "log") {
        for (number, line) in text.lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            assert!(is_comment || !line.contains(".*"), "{}:{}: {line}", path.display(), number + 1);
        }
    }
}
