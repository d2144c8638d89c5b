//! Corrects texts that apollo-parser 0.8 does not read as the specification says. It uses the parser's own lexer, so
//! both agree where a token begins and ends.

use apollo_parser::{Lexer, Token, TokenKind};

/// The document with spaces in the place of two kinds of tokens that mean nothing and that the parser refuses. One is
/// commas (<https://spec.graphql.org/September2025/#sec-Insignificant-Commas>). The other is descriptions of
/// operations, fragments and variables (<https://spec.graphql.org/September2025/#sec-Descriptions>). Every other token
/// keeps its place. `None` when the document has neither, or when the lexer cannot read it within `max_tokens`.
pub(super) fn without_ignored(text: &str, max_tokens: usize) -> Option<String> {
    let (tokens, errors) = Lexer::new(text).with_limit(max_tokens).lex();
    if !errors.is_empty() {
        return None;
    }
    let significant: Vec<_> = tokens.iter().filter(|token| is_significant(token)).collect();
    let mut blanks: Vec<_> = tokens.iter().filter(|token| token.kind() == TokenKind::Comma).collect();
    let mut brackets = Brackets::default();
    let mut before = None;
    for pair in significant.windows(2) {
        let [token, next] = pair else { continue };
        brackets.pass(token);
        if token.kind() == TokenKind::StringValue && is_description(&brackets, before, next) {
            blanks.push(token);
        }
        before = Some(token.kind());
    }
    if blanks.is_empty() {
        return None;
    }
    let mut bytes = text.as_bytes().to_vec();
    for token in blanks {
        for byte in &mut bytes[token.index()..token.index() + token.data().len()] {
            if !matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// How many names are inside brackets.
pub(super) fn names_inside(text: &str, max_tokens: usize) -> usize {
    let (tokens, _) = Lexer::new(text).with_limit(max_tokens).lex();
    let mut brackets = Brackets::default();
    let mut names = 0;
    for token in &tokens {
        brackets.pass(token);
        names += usize::from(token.kind() == TokenKind::Name && brackets.is_inside());
    }
    names
}

/// The first number that is too large for every type, if there is one.
pub(super) fn overflowing_number(text: &str, max_tokens: usize) -> Option<&str> {
    let (tokens, _) = Lexer::new(text).with_limit(max_tokens).lex();
    let is_number = |token: &Token<'_>| matches!(token.kind(), TokenKind::Int | TokenKind::Float);
    let overflows = |token: &Token<'_>| token.data().parse().is_ok_and(f64::is_infinite);
    let first = tokens.into_iter().find(|token| is_number(token) && overflows(token))?;
    text.get(first.index()..first.index() + first.data().len())
}

fn is_significant(token: &Token<'_>) -> bool {
    !matches!(token.kind(), TokenKind::Whitespace | TokenKind::Comment | TokenKind::Comma)
}

/// Whether a string is the description of what follows it. A default value comes after `=`, or inside brackets of its
/// own.
fn is_description(brackets: &Brackets, before: Option<TokenKind>, next: &Token<'_>) -> bool {
    if !brackets.is_inside() {
        return matches!(next.data(), "query" | "mutation" | "subscription" | "fragment");
    }
    brackets.is_in_variables() && next.kind() == TokenKind::Dollar && before != Some(TokenKind::Eq)
}

/// The brackets that are open at a token.
#[derive(Default)]
struct Brackets {
    open: Vec<TokenKind>,
}

impl Brackets {
    fn pass(&mut self, token: &Token<'_>) {
        match token.kind() {
            kind @ (TokenKind::LCurly | TokenKind::LParen | TokenKind::LBracket) => self.open.push(kind),
            TokenKind::RCurly | TokenKind::RParen | TokenKind::RBracket => {
                self.open.pop();
            }
            _ => {}
        }
    }

    fn is_inside(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether the only open bracket can be the one around an operation's variables.
    fn is_in_variables(&self) -> bool {
        self.open == [TokenKind::LParen]
    }
}
