//! Documents: parsed once, held to the limits before anything is made of them, and remembered.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned, Response, ServerError, parser};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::response::{BAD_REQUEST, LIMIT_EXCEEDED, PARSE_FAILED, VALIDATION_FAILED, refusal};
use super::shape::Shape;
use crate::config::Limits;

mod hash;
mod tokens;

pub(super) use hash::Hash;
use tokens::Tokens;

/// Documents that are remembered: about so many, of so many bytes of text in all.
const REMEMBERED: (usize, u64) = (1_000, 4 * 1024 * 1024);

/// How deep brackets of any kind may nest: deeper than any limit on depth, and shallow enough for a parser
/// that recurses.
const BRACKETS: usize = 64;

/// The arguments of a subscription that steer what it follows, and not how an event looks.
const STEERING: [&str; 2] = ["after", "conversationId"];

/// A parsed document that is within the limits.
#[derive(Debug)]
pub(crate) struct Document {
    /// Of the text as it was sent.
    pub(super) hash: Hash,
    pub(super) parsed: ExecutableDocument,
    /// Whether it was found to fit the schema.
    is_valid: AtomicBool,
    /// Bytes of text.
    size: usize,
    /// Whether a field named `cursor` is selected anywhere, so that the head of the log has to be read first.
    pub(super) asks_cursor: bool,
    /// Whether the schema itself is asked for.
    pub(super) asks_schema: bool,
    /// The variables that do nothing but steer.
    pub(super) steering: HashSet<String>,
}

impl Document {
    /// Whether the document is known to fit the schema, so that validation need not look at it again.
    pub(super) fn is_valid(&self) -> bool {
        self.is_valid.load(Ordering::Relaxed)
    }

    /// Notes that validation found nothing wrong.
    pub(super) fn set_valid(&self) {
        self.is_valid.store(true, Ordering::Relaxed);
    }

    /// The operation that is to be executed; `None` when the name does not tell one.
    pub(super) fn operation(&self, operation_name: Option<&str>) -> Option<&Positioned<OperationDefinition>> {
        match (&self.parsed.operations, operation_name) {
            (DocumentOperations::Single(operation), None) => Some(operation),
            (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name),
            (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => {
                operations.values().next()
            }
            (DocumentOperations::Single(_), Some(_)) | (DocumentOperations::Multiple(_), None) => None,
        }
    }
}

/// The documents that can be executed: those that were used lately, or a set that was given once and for all.
pub(super) struct Documents {
    limits: Limits,
    shape: Arc<Shape>,
    recent: Cache<Hash, Arc<Document>, Size>,
    trusted: Option<HashMap<Hash, Arc<Document>>>,
}

/// Weighs a document by its text.
#[derive(Clone)]
struct Size;

impl Weighter<Hash, Arc<Document>> for Size {
    fn weight(&self, _: &Hash, document: &Arc<Document>) -> u64 {
        document.size as u64
    }
}

impl Documents {
    pub(super) fn new(limits: Limits, shape: Arc<Shape>) -> Self {
        let recent = Cache::with_weighter(REMEMBERED.0, REMEMBERED.1, Size);
        Self { limits, shape, recent, trusted: None }
    }

    /// From now on only these documents are executed.
    ///
    /// # Errors
    /// The hash of the one that is not acceptable, and the response that says why.
    pub(super) fn trust<'a>(
        &mut self,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), (Hash, Box<Response>)> {
        let mut trusted = HashMap::new();
        for text in texts {
            let hash = Hash::of(text);
            let document = self.read(hash, text).map_err(|refusal| (hash, refusal))?;
            trusted.insert(hash, Arc::new(document));
        }
        self.trusted = Some(trusted);
        Ok(())
    }

    /// The documents that were given once and for all.
    pub(super) fn trusted(&self) -> impl Iterator<Item = &Arc<Document>> {
        self.trusted.iter().flat_map(HashMap::values)
    }

    /// The document with this text, this hash, or both.
    ///
    /// # Errors
    /// The response that says what is wrong with it, or that its text is needed.
    pub(super) fn find(
        &self,
        text: Option<&str>,
        named: Option<Hash>,
    ) -> Result<Arc<Document>, Box<Response>> {
        let refuse = |code: &str, message: &str| Err(Box::new(refusal(code, message)));
        let hash = match (text.map(Hash::of), named) {
            (Some(hash), Some(named)) if hash != named => {
                return refuse(BAD_REQUEST, "The hash is not the SHA-256 of `query`.");
            }
            (Some(hash), _) | (None, Some(hash)) => hash,
            (None, None) => return refuse(BAD_REQUEST, "The request has no `query`."),
        };
        if let Some(trusted) = &self.trusted {
            return trusted.get(&hash).cloned().ok_or_else(|| {
                let message = "This server executes only the documents that it was given.";
                Box::new(refusal("DOCUMENT_NOT_TRUSTED", message))
            });
        }
        if let Some(document) = self.recent.get(&hash) {
            return Ok(document);
        }
        let Some(text) = text else {
            // Clients know it by this very message, and send the text along with the hash then.
            return refuse("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound");
        };
        let document = Arc::new(self.read(hash, text)?);
        self.recent.insert(hash, Arc::clone(&document));
        Ok(document)
    }

    fn read(&self, hash: Hash, text: &str) -> Result<Document, Box<Response>> {
        let limits = &self.limits;
        within("bytes long", text.len(), limits.max_document_bytes)?;
        let tokens = Tokens::count(text);
        within("tokens long", tokens.count, limits.max_tokens)?;
        within("brackets deep", tokens.depth, BRACKETS)?;
        let parsed = parser::parse_query(text).map_err(|error| Box::new(unparsable(error.into())))?;
        let mut survey = Survey { document: &parsed, fragments: HashMap::new(), found: Found::default() };
        for (_, operation) in parsed.operations.iter() {
            let reach = survey.selection_set(&operation.node.selection_set.node)?;
            within("levels deep", reach.depth, limits.max_depth)?;
            within("selections in all", reach.selections, limits.max_complexity)?;
            survey.found.directives += operation.node.directives.len();
            for definition in &operation.node.variable_definitions {
                let checked = self.shape.check_definition(&definition.node);
                checked.map_err(|reason| Box::new(refusal(VALIDATION_FAILED, reason)))?;
            }
        }
        for fragment in parsed.fragments.values() {
            // Fragments that nothing uses are looked at all the same: validation does so too.
            survey.selection_set(&fragment.node.selection_set.node)?;
        }
        let found = survey.found;
        within("aliases in all", found.aliases, limits.max_aliases)?;
        within("directives in all", found.directives, limits.max_directives)?;
        let steering = steering(&parsed, &tokens.variables);
        Ok(Document {
            hash,
            is_valid: AtomicBool::new(false),
            size: text.len(),
            asks_cursor: found.asks_cursor,
            asks_schema: found.asks_schema,
            steering,
            parsed,
        })
    }
}

/// Says in a line what the parser draws.
fn unparsable(error: ServerError) -> Response {
    let reason = error.message.rsplit("= ").next().unwrap_or_default().replace('_', " ");
    let place = error.locations.first().copied().unwrap_or_default();
    let message =
        format!("The document cannot be parsed at line {}, column {}: {reason}.", place.line, place.column);
    let mut response = refusal(PARSE_FAILED, message);
    response.errors[0].locations = error.locations;
    response
}

fn within(what: &str, found: usize, most: usize) -> Result<(), Box<Response>> {
    if found <= most {
        return Ok(());
    }
    let message = format!("The document is {found} {what}; at most {most} are allowed.");
    Err(Box::new(refusal(LIMIT_EXCEEDED, message)))
}

/// The variables that are used for nothing but the steering arguments of a subscription's field: declared
/// once, used once, there.
fn steering(document: &ExecutableDocument, uses: &HashMap<String, usize>) -> HashSet<String> {
    let is_subscription =
        |operation: &&Positioned<OperationDefinition>| operation.node.ty == OperationType::Subscription;
    let operations = document.operations.iter().map(|(_, operation)| operation);
    let arguments = operations
        .filter(is_subscription)
        .flat_map(|operation| &operation.node.selection_set.node.items)
        .filter_map(|selection| match &selection.node {
            Selection::Field(field) => Some(&field.node.arguments),
            _ => None,
        })
        .flatten();
    arguments
        .filter(|(name, _)| STEERING.contains(&name.node.as_str()))
        // A value that is a variable is written `$name`; a string would be written with its quotes.
        .filter_map(|(_, value)| value.node.to_string().strip_prefix('$').map(ToOwned::to_owned))
        .filter(|name| uses.get(name) == Some(&2))
        .collect()
}

/// What a selection set comes to once its fragments are spread.
#[derive(Debug, Clone, Copy, Default)]
struct Reach {
    depth: usize,
    selections: usize,
}

#[derive(Debug, Default)]
struct Found {
    aliases: usize,
    directives: usize,
    asks_cursor: bool,
    asks_schema: bool,
}

/// A walk over a document that looks at every fragment once, however often it is spread: a short document
/// can spread to more fields than there are atoms.
struct Survey<'a> {
    document: &'a ExecutableDocument,
    /// `None` while a fragment is being looked at, which is how a cycle is noticed.
    fragments: HashMap<&'a Name, Option<Reach>>,
    found: Found,
}

impl<'a> Survey<'a> {
    fn selection_set(&mut self, set: &'a SelectionSet) -> Result<Reach, Box<Response>> {
        let mut reach = Reach::default();
        for selection in &set.items {
            let inner = match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    self.found.aliases += usize::from(field.alias.is_some());
                    self.found.directives += field.directives.len();
                    self.found.asks_cursor |= field.name.node == "cursor";
                    self.found.asks_schema |= field.name.node == "__schema" || field.name.node == "__type";
                    let inner = self.selection_set(&field.selection_set.node)?;
                    Reach { depth: inner.depth + 1, ..inner }
                }
                Selection::InlineFragment(inline) => {
                    self.found.directives += inline.node.directives.len();
                    self.selection_set(&inline.node.selection_set.node)?
                }
                Selection::FragmentSpread(spread) => {
                    self.found.directives += spread.node.directives.len();
                    self.fragment(&spread.node.fragment_name.node)?
                }
            };
            reach.depth = reach.depth.max(inner.depth);
            // Spreads count too: validation walks them, whether or not they come to a field.
            reach.selections = reach.selections.saturating_add(inner.selections).saturating_add(1);
        }
        Ok(reach)
    }

    fn fragment(&mut self, name: &'a Name) -> Result<Reach, Box<Response>> {
        match self.fragments.get(name) {
            Some(Some(reach)) => return Ok(*reach),
            Some(None) => {
                let message = format!("Fragment `{name}` spreads itself.");
                return Err(Box::new(refusal(VALIDATION_FAILED, message)));
            }
            None => {}
        }
        // An unknown fragment is for validation to report.
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(Reach::default()) };
        self.fragments.insert(name, None);
        let reach = self.selection_set(&fragment.node.selection_set.node)?;
        self.fragments.insert(name, Some(reach));
        Ok(reach)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::response::code;

    fn documents() -> Documents {
        Documents::new(
            crate::config::ServeArgs::default().limits,
            Arc::new(Shape::new(&crate::graphql::sdl())),
        )
    }

    fn refused(text: &str) -> String {
        let response = documents().find(Some(text), None).expect_err("the document is refused");
        code(&response.errors[0]).unwrap().to_owned()
    }

    #[test]
    fn a_document_that_explodes_when_spread_is_refused_quickly() {
        use std::fmt::Write;
        let mut text = String::from("{ ...f0 }");
        for i in 0..100 {
            write!(text, " fragment f{i} on Query {{ ...f{0} ...f{0} }}", i + 1).unwrap();
        }
        text.push_str(" fragment f100 on Query { cursor }");
        assert_eq!(refused(&text), LIMIT_EXCEEDED);
    }

    #[test]
    fn every_limit_refuses_with_its_code() {
        assert_eq!(refused(&format!("{{ {} }}", "a ".repeat(5_000))), LIMIT_EXCEEDED);
        assert_eq!(refused(&"#".repeat(40_000)), LIMIT_EXCEEDED);
        assert_eq!(refused(&format!("{{ a(x: {}1{}) }}", "[".repeat(999), "]".repeat(999))), LIMIT_EXCEEDED);
        assert_eq!(refused(&format!("{}a{}", "{ a ".repeat(30), "}".repeat(30))), LIMIT_EXCEEDED);
        let aliases: Vec<String> = (0..60).map(|i| format!("a{i}: cursor")).collect();
        assert_eq!(refused(&format!("{{ {} }}", aliases.join(" "))), LIMIT_EXCEEDED);
        assert_eq!(refused(&format!("{{ a {} }}", "@skip(if: true) ".repeat(60))), LIMIT_EXCEEDED);
        assert_eq!(refused("{ ...f } fragment f on Query { ...f }"), VALIDATION_FAILED);
        assert_eq!(refused("{"), PARSE_FAILED);
    }

    #[test]
    fn what_cannot_be_parsed_is_said_in_a_line() {
        let response = documents().find(Some("{\n  cursor"), None).expect_err("it does not end");
        let error = &response.errors[0];
        let line = "The document cannot be parsed at line 2, column 9: expected selection set, ";
        assert!(error.message.starts_with(line) && !error.message.contains('\n'), "{}", error.message);
        assert_eq!(error.locations.len(), 1);
    }

    #[test]
    fn a_document_that_comes_again_is_not_read_again() {
        let documents = documents();
        let first = documents.find(Some("{ cursor }"), None).unwrap();
        let again = documents.find(Some("{ cursor }"), Some(Hash::of("{ cursor }"))).unwrap();
        let by_name = documents.find(None, Some(Hash::of("{ cursor }"))).unwrap();
        assert!(Arc::ptr_eq(&first, &again) && Arc::ptr_eq(&first, &by_name));
        assert!(!first.is_valid());
        first.set_valid();
        assert!(by_name.is_valid());
    }

    #[test]
    fn only_variables_that_steer_and_nothing_else_are_steering() {
        let steering = |text: &str| documents().find(Some(text), None).unwrap().steering.clone();
        assert!(steering("subscription($a: Cursor) { events(after: $a) { cursor } }").contains("a"));
        assert!(steering("subscription($a: Cursor) { events(after: $a) { cursor x(a: $a) } }").is_empty());
        assert!(steering("query($a: String) { conversations(after: $a) { nodes { id } } }").is_empty());
    }
}
