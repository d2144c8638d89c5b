//! What apollo-parser 0.8 reads differently from the specification, mended with its own lexer. So there is one opinion of
//! where a token begins and ends.

use apollo_parser::{Lexer, Token, TokenKind};

/// The document with white space in the place of what the parser does not know: commas, which mean nothing wherever they
/// stand (<https://spec.graphql.org/September2025/#sec-Insignificant-Commas>), and descriptions of operations, fragments
/// and variables (<https://spec.graphql.org/September2025/#sec-Descriptions>). `None` when there is neither, or when the
/// document has no tokens to speak of. Every other token stays where it is.
pub(super) fn without_what_means_nothing(text: &str, most: usize) -> Option<String> {
    let (tokens, errors) = Lexer::new(text).with_limit(most).lex();
    if !errors.is_empty() {
        return None;
    }
    let significant: Vec<_> = tokens.iter().filter(|token| is_significant(token)).collect();
    let mut blanks: Vec<_> = tokens.iter().filter(|token| token.kind() == TokenKind::Comma).collect();
    let mut depth = Depth::default();
    let mut before = None;
    for pair in significant.windows(2) {
        let [token, next] = pair else { continue };
        depth.pass(token);
        if token.kind() == TokenKind::StringValue && is_description(&depth, before, next) {
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

/// How many names stand inside brackets.
pub(super) fn names_inside(text: &str, most: usize) -> usize {
    let (tokens, _) = Lexer::new(text).with_limit(most).lex();
    let mut depth = Depth::default();
    let mut names = 0;
    for token in &tokens {
        depth.pass(token);
        names += usize::from(token.kind() == TokenKind::Name && depth.is_inside());
    }
    names
}

fn is_significant(token: &Token<'_>) -> bool {
    !matches!(token.kind(), TokenKind::Whitespace | TokenKind::Comment | TokenKind::Comma)
}

/// Whether a string describes what follows it. A default value stands behind `=`, or inside brackets of its own.
fn is_description(depth: &Depth, before: Option<TokenKind>, next: &Token<'_>) -> bool {
    if !depth.is_inside() {
        return matches!(next.data(), "query" | "mutation" | "subscription" | "fragment");
    }
    depth.is_in_variables() && next.kind() == TokenKind::Dollar && before != Some(TokenKind::Eq)
}

/// The brackets that are open at a token.
#[derive(Default)]
struct Depth {
    open: Vec<TokenKind>,
}

impl Depth {
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

    /// Whether the innermost bracket can be that of an operation's variables.
    fn is_in_variables(&self) -> bool {
        self.open == [TokenKind::LParen]
    }
}
