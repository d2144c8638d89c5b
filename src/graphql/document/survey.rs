//! Counts the parts of a document before it is validated.

use std::collections::{HashMap, HashSet};

use apollo_compiler::ast::{
    Argument, Definition, Directive, Document, Field, OperationDefinition, Selection, Value,
    VariableDefinition,
};
use apollo_compiler::{Name, Node};

/// Selections that validation may have to visit in all. It visits each fragment once for each operation that reaches
/// the fragment, and takes some 3 µs for each selection.
pub(super) const MAX_REACHED_FIELDS: usize = 20_000;

/// The counts of a document. Each fragment counts once.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) aliases: usize,
    pub(super) directives: usize,
    /// Names inside brackets.
    pub(super) names: usize,
    /// The variables in the arguments of directives.
    pub(super) conditions: HashSet<String>,
    /// Whether the lists in arguments of fields have different lengths.
    pub(super) has_different_lists: bool,
    /// The length of the first list.
    list_length: Option<usize>,
    /// A field that one input object has twice. apollo-compiler 1.33 does not refuse it
    /// (<https://spec.graphql.org/September2025/#sec-Input-Object-Field-Uniqueness>).
    pub(super) repeated_field: Option<Name>,
    /// For each fragment, the number of its selections and the fragments that it spreads.
    fragments: HashMap<Name, (usize, Vec<Name>)>,
}

impl Survey {
    /// The counts of this document.
    pub(super) fn of(document: &Document) -> Self {
        let mut survey = Self::default();
        for definition in &document.definitions {
            survey.definition(definition);
        }
        survey
    }

    fn definition(&mut self, definition: &Definition) {
        match definition {
            Definition::OperationDefinition(operation) => {
                self.directives(&operation.directives, false);
                for variable in &operation.variables {
                    self.variable(variable);
                }
                self.selections(&operation.selection_set, &mut (0, Vec::new()));
            }
            Definition::FragmentDefinition(fragment) => {
                self.directives(&fragment.directives, false);
                let mut found = (0, Vec::new());
                self.selections(&fragment.selection_set, &mut found);
                self.fragments.insert(fragment.name.clone(), found);
            }
            // Validation refuses definitions of types.
            _ => {}
        }
    }

    fn variable(&mut self, variable: &VariableDefinition) {
        // The variable and its type.
        self.names += 2;
        self.directives(&variable.directives, true);
        if let Some(value) = &variable.default_value {
            self.value(value);
        }
    }

    fn selections(&mut self, selections: &[Selection], found: &mut (usize, Vec<Name>)) {
        for selection in selections {
            found.0 += 1;
            match selection {
                Selection::Field(field) => {
                    self.field(field);
                    self.selections(&field.selection_set, found);
                }
                Selection::FragmentSpread(spread) => {
                    self.names += 1;
                    self.directives(&spread.directives, true);
                    found.1.push(spread.fragment_name.clone());
                }
                Selection::InlineFragment(inline) => {
                    // The keyword `on` is a name, too.
                    self.names += 2 * usize::from(inline.type_condition.is_some());
                    self.directives(&inline.directives, true);
                    self.selections(&inline.selection_set, found);
                }
            }
        }
    }

    fn field(&mut self, field: &Field) {
        let aliases = usize::from(field.alias.is_some());
        self.aliases += aliases;
        self.names += 1 + aliases;
        self.directives(&field.directives, true);
        self.arguments(&field.arguments);
        for argument in &field.arguments {
            self.lists(&argument.value);
        }
    }

    /// Counts directives. `is_inside` says whether they are inside brackets.
    fn directives(&mut self, directives: &[Node<Directive>], is_inside: bool) {
        self.directives += directives.len();
        self.names += directives.len() * usize::from(is_inside);
        for directive in directives {
            self.arguments(&directive.arguments);
            for argument in &directive.arguments {
                if let Value::Variable(name) = &*argument.value {
                    self.conditions.insert(name.to_string());
                }
            }
        }
    }

    fn arguments(&mut self, arguments: &[Node<Argument>]) {
        for argument in arguments {
            self.names += 1;
            self.value(&argument.value);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::List(values) => {
                for value in values {
                    self.value(value);
                }
            }
            Value::Object(fields) => {
                let mut names = HashSet::new();
                for (name, value) in fields {
                    if !names.insert(name) {
                        self.repeated_field.get_or_insert_with(|| name.clone());
                    }
                    self.names += 1;
                    self.value(value);
                }
            }
            Value::Variable(_) | Value::Enum(_) | Value::Boolean(_) | Value::Null => self.names += 1,
            Value::String(_) | Value::Int(_) | Value::Float(_) => {}
        }
    }

    fn lists(&mut self, value: &Value) {
        match value {
            Value::List(values) => {
                let length = *self.list_length.get_or_insert(values.len());
                self.has_different_lists |= length != values.len();
                for value in values {
                    self.lists(value);
                }
            }
            Value::Object(fields) => {
                for (_, value) in fields {
                    self.lists(value);
                }
            }
            _ => {}
        }
    }

    /// How many selections the operations reach in all. It stops counting beyond [`MAX_REACHED_FIELDS`].
    pub(super) fn reach(&mut self, document: &Document) -> usize {
        let mut reach = 0;
        for definition in &document.definitions {
            if let Definition::OperationDefinition(operation) = definition {
                reach += self.reach_of(operation, MAX_REACHED_FIELDS - reach);
                if reach > MAX_REACHED_FIELDS {
                    break;
                }
            }
        }
        reach
    }

    fn reach_of(&mut self, operation: &OperationDefinition, max: usize) -> usize {
        let mut found = (0, Vec::new());
        // This counts aliases and directives again. They have already been compared with their limits.
        self.selections(&operation.selection_set, &mut found);
        let (mut reach, mut waiting) = found;
        let mut seen = HashSet::new();
        while let Some(name) = waiting.pop() {
            if reach > max {
                break;
            }
            if let Some((selections, spreads)) = self.fragments.get(&name)
                && seen.insert(name)
            {
                reach += selections;
                waiting.extend(spreads.iter().cloned());
            }
        }
        reach
    }
}
