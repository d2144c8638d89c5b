//! The page with every flag, which is generated from the command line itself.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, ArgAction, Command, CommandFactory as _};
use herald::config::Cli;

const PAGE: &str = "docs/configuration.md";

/// What the page says before the tables.
const OPENING: &str = "\
# Configuration

<!-- Made from the command line: HERALD_BLESS=1 cargo nextest run -E 'test(configuration::)' -->

Each flag is also an environment variable: `--page-size` is `HERALD_PAGE_SIZE`. The flag counts before the variable. A
switch, which takes no value on the command line, is `true` or `false` in its variable. herald refuses a variable that
is set and empty.

`herald` without a command is `herald serve`. [Operations](operations.md#settings-that-matter) says which settings
matter when. herald refuses a request beyond a limit with an error that [names the limit](errors.md#codes).
";

#[test]
fn the_page_in_the_repository_is_what_the_command_line_takes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = page();
    if std::env::var_os("HERALD_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page,
        "{PAGE} is out of date: run `HERALD_BLESS=1 cargo nextest run -E 'test(configuration::)'`"
    );
}

#[test]
fn every_setting_has_a_variable_and_says_what_it_is() {
    let serve = serve();
    let settings: Vec<&Arg> = serve.get_arguments().filter(|arg| is_told(arg)).collect();
    assert!(settings.len() > 50, "only {} settings were seen", settings.len());
    for setting in settings {
        let flag = setting.get_long().unwrap();
        let variable = format!("HERALD_{}", flag.to_uppercase().replace('-', "_"));
        assert_eq!(setting.get_env().unwrap().to_str(), Some(variable.as_str()), "--{flag}");
        assert!(!text(setting).is_empty(), "--{flag} does not say what it is");
    }
}

/// The whole command line, with what clap adds to it.
fn herald() -> Command {
    let mut herald = Cli::command();
    herald.build();
    herald
}

fn serve() -> Command {
    herald().find_subcommand("serve").unwrap().clone()
}

fn page() -> String {
    let mut page = OPENING.to_owned();
    let serve = serve();
    let arguments: Vec<&Arg> = serve.get_arguments().filter(|arg| is_told(arg)).collect();
    for heading in [None, Some("Limits")] {
        write!(page, "\n## {}\n\n", heading.unwrap_or("Settings")).unwrap();
        table(&mut page, arguments.iter().filter(|arg| arg.get_help_heading() == heading));
    }
    let told = page.matches("\n| `--").count();
    assert_eq!(told, arguments.len(), "a heading of `herald serve --help` is missing here");

    page.push_str("\n## Commands\n");
    commands(&mut page, &herald(), &serve);
    page
}

/// One section for each command below another, with what it takes besides the settings of `serve`.
fn commands(page: &mut String, parent: &Command, serve: &Command) {
    for command in parent.get_subcommands().filter(|command| command.get_name() != "help") {
        if command.has_subcommands() {
            commands(page, command, serve);
            continue;
        }
        let about = command.get_long_about().or(command.get_about()).unwrap();
        write!(page, "\n### `{}`\n\n{}\n", usage(command), wrapped(&closed(&about.to_string()))).unwrap();
        if command.get_name() == "serve" {
            continue;
        }
        let arguments: Vec<&Arg> = command.get_arguments().filter(|arg| is_told(arg)).collect();
        let (shared, own): (Vec<&Arg>, Vec<&Arg>) = arguments
            .into_iter()
            .partition(|arg| serve.get_arguments().any(|known| known.get_id() == arg.get_id()));
        if !own.is_empty() {
            page.push('\n');
            table(page, own.iter());
        }
        if !shared.is_empty() {
            let flags: Vec<String> =
                shared.iter().map(|arg| format!("`--{}`", arg.get_long().unwrap())).collect();
            write!(page, "\n{}\n", wrapped(&format!("It takes {} as `serve` does.", listed(&flags))))
                .unwrap();
        }
    }
}

/// `herald user add HANDLE`.
fn usage(command: &Command) -> String {
    let positional = command.get_positionals().map(|arg| arg.get_id().as_str().to_uppercase());
    let words = command.get_bin_name().unwrap().split(' ').map(ToOwned::to_owned);
    words.chain(positional).collect::<Vec<_>>().join(" ")
}

fn table<'a>(page: &mut String, arguments: impl Iterator<Item = &'a &'a Arg>) {
    page.push_str("| Argument | Default | What it is |\n|---|---|---|\n");
    for argument in arguments {
        writeln!(page, "| {} | {} | {} |", name(argument), default(argument), text(argument)).unwrap();
    }
}

/// Whether it is a setting, and not a question to the command line.
fn is_told(argument: &Arg) -> bool {
    !argument.is_hide_set()
        && !matches!(
            argument.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        )
}

fn name(argument: &Arg) -> String {
    let values = argument.get_value_names().unwrap_or_default();
    // clap names a choice after its flag, which says nothing. What can be chosen is told beside it.
    if argument.get_action().takes_values() && !argument.get_possible_values().is_empty() {
        return format!("`--{} CHOICE`", argument.get_long().unwrap());
    }
    match (argument.get_long(), argument.get_action().takes_values()) {
        (Some(long), true) => format!("`--{long} {}`", values.join(" ")),
        (Some(long), false) => format!("`--{long}`"),
        (None, _) => format!("`{}`", values.join(" ")),
    }
}

fn default(argument: &Arg) -> String {
    if !argument.get_action().takes_values() {
        return "off".to_owned();
    }
    let defaults = argument.get_default_values().iter().map(|value| value.to_str().unwrap());
    let defaults: Vec<String> = defaults.map(|value| format!("`{value}`")).collect();
    if defaults.is_empty() { "none".to_owned() } else { defaults.join(", ") }
}

/// The help, and the values that it may have, as a cell of a table.
fn text(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut text = closed(&help.split_whitespace().collect::<Vec<_>>().join(" "));
    if argument.get_action().takes_values() {
        let values: Vec<String> =
            argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        if !values.is_empty() {
            write!(text, " One of {}.", values.join(", ")).unwrap();
        }
    }
    text.replace('|', "\\|").replace('<', "&lt;")
}

/// With the full stop that clap takes from a docstring of one paragraph.
fn closed(sentence: &str) -> String {
    let sentence = sentence.trim_end_matches('.');
    if sentence.is_empty() { String::new() } else { format!("{sentence}.") }
}

/// `a`, `a and b`, `a, b and c`.
fn listed(parts: &[String]) -> String {
    match parts {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => parts.concat(),
    }
}

/// In lines of at most 120 characters.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().unwrap();
        if line.is_empty() {
            word.clone_into(line);
        } else if line.chars().count() + 1 + word.chars().count() <= 120 {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}
