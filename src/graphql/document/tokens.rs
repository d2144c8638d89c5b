//! Cutting a document into tokens, to see how large it is before anything is made of it.

use std::collections::HashMap;

/// What can be told of a text without parsing it (<https://spec.graphql.org/October2021/#sec-Language.Source-Text>).
#[derive(Debug, Default)]
pub(super) struct Tokens {
    pub(super) count: usize,
    pub(super) depth: usize,
    /// How often each variable is named.
    pub(super) variables: HashMap<String, usize>,
}

impl Tokens {
    pub(super) fn count(text: &str) -> Self {
        let mut tokens = Self::default();
        let mut open = 0_usize;
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let length = match c {
                '\u{feff}' | '\t' | '\n' | '\r' | ' ' | ',' => {
                    rest = &rest[c.len_utf8()..];
                    continue;
                }
                '#' => {
                    rest = rest.split_once(['\n', '\r']).map_or("", |(_, rest)| rest);
                    continue;
                }
                '"' => string(rest),
                '$' => {
                    let name = word(&rest[1..]);
                    *tokens.variables.entry(rest[1..=name].to_owned()).or_default() += 1;
                    1 + name
                }
                '{' | '[' | '(' => {
                    open += 1;
                    tokens.depth = tokens.depth.max(open);
                    1
                }
                '}' | ']' | ')' => {
                    open = open.saturating_sub(1);
                    1
                }
                '.' if rest.starts_with("...") => 3,
                '-' | '0'..='9' => number(rest),
                '_' | 'a'..='z' | 'A'..='Z' => word(rest),
                c => c.len_utf8(),
            };
            tokens.count += 1;
            rest = &rest[length..];
        }
        tokens
    }
}

/// The length of the number at the beginning of `text`.
fn number(text: &str) -> usize {
    text.find(|c: char| !(matches!(c, '-' | '+' | '.') || c.is_ascii_alphanumeric())).unwrap_or(text.len())
}

/// The length of the name at the beginning of `text`.
fn word(text: &str) -> usize {
    text.find(|c: char| !(c == '_' || c.is_ascii_alphanumeric())).unwrap_or(text.len())
}

/// The length of the string at the beginning of `text`, or of the rest when it does not end.
fn string(text: &str) -> usize {
    let (quote, start) = if text.starts_with("\"\"\"") { ("\"\"\"", 3) } else { ("\"", 1) };
    let mut at = start;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find(quote)) {
        let end = at + found;
        let escapes = text[start..end].bytes().rev().take_while(|b| *b == b'\\').count();
        // In a block string `\"""` is the only escape; elsewhere a backslash can be escaped itself.
        let is_escaped = if start == 3 { escapes > 0 } else { escapes % 2 == 1 };
        if !is_escaped {
            return end + quote.len();
        }
        at = end + quote.len();
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_counted_as_the_specification_cuts_them() {
        for (text, count, depth) in [
            ("{ a }", 3, 1),
            ("query($x: [Int!]) { a(x: $x) # } }\n}", 17, 2),
            (r#"{ a(s: "}\"}", t: """ " \""" } """) }"#, 11, 2),
            ("{ a(n: -1.5) ... on B { c } }", 14, 2),
        ] {
            let tokens = Tokens::count(text);
            assert_eq!((tokens.count, tokens.depth), (count, depth), "{text}");
        }
        assert_eq!(Tokens::count("query($x: Int) { a(x: $x) }").variables["x"], 2);
    }
}
