//! Builds the playground, which a release build embeds. Where npm is missing or fails, herald is built without it,
//! and says so where the playground would be.

use std::path::Path;
use std::process::Command;

/// What the playground is made of.
const SOURCES: [&str; 10] = [
    "playground/codegen.ts",
    "playground/graphiql",
    "playground/graphiql.html",
    "playground/index.html",
    "playground/package-lock.json",
    "playground/package.json",
    "playground/scripts",
    "playground/src",
    "playground/vite.config.ts",
    "schema.graphql",
];

fn main() -> std::io::Result<()> {
    for source in SOURCES {
        println!("cargo:rerun-if-changed={source}");
    }
    // An empty folder is no playground, but the code that embeds it wants one.
    std::fs::create_dir_all("playground/dist")?;
    // A debug build is made often, and reads the folder when it runs: `npm run build` in `playground` fills it.
    if std::env::var("PROFILE").as_deref() == Ok("release")
        && let Err(reason) = build()
    {
        println!("cargo:warning=herald is built without its playground: {reason}");
        // It is not there, so cargo comes back each time, until npm is there.
        println!("cargo:rerun-if-changed=playground/dist/index.html");
        std::fs::remove_dir_all("playground/dist")?;
        std::fs::create_dir("playground/dist")?;
    }
    Ok(())
}

fn build() -> Result<(), String> {
    npm(&["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])?;
    npm(&["run", "build"])
}

fn npm(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("npm")
        .args(arguments)
        .current_dir(Path::new("playground"))
        .output()
        .map_err(|error| format!("npm does not start ({error}): it comes with Node.js 20 or later"))?;
    if output.status.success() {
        return Ok(());
    }
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    let last = told.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(format!("`npm {}` failed: {last}", arguments.join(" ")))
}
