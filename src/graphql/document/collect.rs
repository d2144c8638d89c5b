//! Makes the plan of an operation: it spreads fragments, applies conditions, and merges fields with the same key
//! (<https://spec.graphql.org/September2025/#CollectFields()>).

use std::collections::HashSet;

use apollo_compiler::ast::{self, Argument, Directive, FieldDefinition, Type, Value};
use apollo_compiler::collections::IndexMap;
use apollo_compiler::executable::{self, Operation, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Node};
use async_graphql::parser::types as lowered;
use async_graphql::{Name as Key, Positioned};

use super::lowered::{anywhere, on, place, typename};
use super::parse::within;
use super::plan::{Field, Inner, Items, Plan, Rows, Size};
use super::values::Values;
use super::{Document, Schema, introspection};
use crate::config::Limits;
use crate::graphql::response::{LIMIT_EXCEEDED, Response, refusal};

/// Fields that an operation may select after its fragments are spread, counted once for each type that their parent can
/// have. Documents of large apps have some hundreds. More would be cheap to send, and take much memory.
const MAX_FIELDS: usize = 10_000;

/// The plan of an operation when exactly these conditions of the document are true.
///
/// # Errors
/// The response that says which limit it exceeds.
pub(super) fn plan(
    schema: &Schema,
    limits: &Limits,
    document: &Document,
    operation: &Operation,
    conditions: HashSet<&str>,
) -> Result<Plan, Box<Response>> {
    let values = Values { schema, defaulted: Vec::new() };
    let parsed = &document.parsed;
    let mut collector = Collector { schema, limits, document: parsed, conditions, values, fields: 0 };
    let root = operation.object_type();
    let (fields, set) = collector.object(root, &[&operation.selection_set], 1)?;
    let asks_schema = fields.iter().any(|field| matches!(field.inner, Inner::Introspection(_)));
    if asks_schema {
        introspection::check(document, operation)?;
    }
    let is_query = operation.is_query();
    let selects = |name: &str| {
        let is_named = |selection: &Positioned<lowered::Selection>| match &selection.node {
            lowered::Selection::Field(field) => field.node.name.node == name,
            _ => false,
        };
        set.node.items.iter().any(is_named)
    };
    Ok(Plan {
        kind: match operation.operation_type {
            ast::OperationType::Query => lowered::OperationType::Query,
            ast::OperationType::Mutation => lowered::OperationType::Mutation,
            ast::OperationType::Subscription => lowered::OperationType::Subscription,
        },
        has_resolved: fields.iter().any(|field| !matches!(field.inner, Inner::Introspection(_))),
        asks_schema,
        asks_cursor: is_query && selects("cursor"),
        fields: collector.fields,
        root: fields,
        operation: super::lowered::operation(operation, &collector.values.defaulted, set),
        defaulted: collector.values.defaulted,
    })
}

/// The fields of the document that have the same response key.
type Group<'a> = Vec<&'a Node<executable::Field>>;

/// The fields of a plan, with the part of the syntax tree that selects them.
type Collected = (Box<[Field]>, Positioned<lowered::SelectionSet>);

struct Collector<'a> {
    schema: &'a Schema,
    limits: &'a Limits,
    document: &'a executable::ExecutableDocument,
    /// The variables of `@skip` and `@include` that are true.
    conditions: HashSet<&'a str>,
    values: Values<'a>,
    /// How many fields have been collected.
    fields: usize,
}

impl<'a> Collector<'a> {
    /// The fields that several selection sets select of an object of this type, merged.
    fn object(
        &mut self,
        object: &Name,
        sets: &[&'a SelectionSet],
        depth: usize,
    ) -> Result<Collected, Box<Response>> {
        within("levels", depth, self.limits.max_depth)?;
        let mut groups = IndexMap::default();
        let mut spread = HashSet::new();
        for set in sets {
            self.group(object, set, &mut groups, &mut spread);
        }
        let mut fields = Vec::with_capacity(groups.len());
        let mut items = Vec::with_capacity(groups.len());
        for (key, group) in groups {
            self.fields += 1;
            if self.fields > MAX_FIELDS {
                let message = format!(
                    "The operation selects more than {MAX_FIELDS} fields after its fragments are spread."
                );
                return Err(Box::new(refusal(LIMIT_EXCEEDED, message)));
            }
            let (field, item) = self.field(object, key, &group, depth)?;
            items.extend(item);
            fields.push(field);
        }
        if items.is_empty() {
            // The executor answers null for an object without selections.
            items.push(typename());
        }
        Ok((fields.into(), anywhere(lowered::SelectionSet { items })))
    }

    /// Adds the selections of a set to their groups. `spread` has the fragments that were spread already.
    fn group(
        &self,
        object: &Name,
        set: &'a SelectionSet,
        groups: &mut IndexMap<&'a Name, Group<'a>>,
        spread: &mut HashSet<&'a Name>,
    ) {
        for selection in &set.selections {
            if !self.is_included(selection.directives()) {
                continue;
            }
            match selection {
                executable::Selection::Field(field) => {
                    groups.entry(field.response_key()).or_default().push(field);
                }
                executable::Selection::InlineFragment(inline) => {
                    let condition = inline.type_condition.as_ref();
                    if condition.is_none_or(|condition| self.schema.applies(condition, object)) {
                        self.group(object, &inline.selection_set, groups, spread);
                    }
                }
                executable::Selection::FragmentSpread(named) => {
                    let Some(fragment) = self.document.fragments.get(&named.fragment_name) else { continue };
                    if spread.insert(&named.fragment_name)
                        && self.schema.applies(fragment.type_condition(), object)
                    {
                        self.group(object, &fragment.selection_set, groups, spread);
                    }
                }
            }
        }
    }

    fn is_included(&self, directives: &[Node<Directive>]) -> bool {
        let holds = |name: &str| {
            let directive = directives.iter().find(|directive| directive.name == name)?;
            let condition = directive.specified_argument_by_name("if")?;
            Some(match &**condition {
                Value::Boolean(value) => *value,
                Value::Variable(variable) => self.conditions.contains(variable.as_str()),
                _ => false,
            })
        };
        holds("skip") != Some(true) && holds("include") != Some(false)
    }

    fn field(
        &mut self,
        object: &Name,
        key: &Name,
        group: &Group<'a>,
        depth: usize,
    ) -> Result<(Field, Option<Positioned<lowered::Selection>>), Box<Response>> {
        let first = group[0];
        // An object may define a field with a stricter type than its interface.
        let schema = self.schema;
        let definition = schema.field(object, &first.name).map_or(&*first.definition, |found| &***found);
        let sets: Vec<_> = group.iter().map(|field| &field.selection_set).collect();
        let (mut inner, set) = self.inner(&definition.ty, &sets, depth + 1)?;
        let is_meta = matches!(first.name.as_str(), "__schema" | "__type");
        if is_meta && let Inner::Object(fields) = inner {
            inner = Inner::Introspection(fields);
        }
        let rows = self.rows_of(object, definition, first);
        let item = (!is_meta).then(|| self.lowered(key, first, definition, set));
        Ok((Field { key: Key::new(key), ty: definition.ty.clone(), inner, rows }, item))
    }

    fn inner(
        &mut self,
        ty: &Type,
        sets: &[&'a SelectionSet],
        depth: usize,
    ) -> Result<(Inner, Positioned<lowered::SelectionSet>), Box<Response>> {
        let schema = self.schema;
        match schema.named(ty) {
            Some(ExtendedType::Object(object)) => {
                let (fields, set) = self.object(&object.name, sets, depth)?;
                Ok((Inner::Object(fields), set))
            }
            Some(of @ (ExtendedType::Interface(_) | ExtendedType::Union(_))) => {
                let mut types = Vec::new();
                let mut items = vec![typename()];
                for object in schema.possible_types(of) {
                    let (fields, set) = self.object(object, sets, depth)?;
                    items.push(on(object, set));
                    types.push((Key::new(object), fields));
                }
                Ok((Inner::Abstract(types.into()), anywhere(lowered::SelectionSet { items })))
            }
            _ => Ok((Inner::Leaf, anywhere(lowered::SelectionSet::default()))),
        }
    }

    /// How many elements the field's value has.
    fn rows_of(&self, object: &Name, definition: &FieldDefinition, field: &executable::Field) -> Rows {
        if object.starts_with("__") {
            let is_list = definition.ty.is_list();
            return Rows::Fixed(if is_list { self.schema.introspection_rows(&definition.name) } else { 1 });
        }
        let given = |name: &str| field.specified_argument_by_name(name).map(|value| &**value);
        if let Some(size) = definition.argument_by_name("first") {
            let default = size
                .default_value
                .as_ref()
                .and_then(|size| usize::try_from(size.to_i32()?).ok())
                .unwrap_or(self.limits.page_size)
                .min(self.limits.max_page_size);
            let sizes = ["first", "last"].into_iter().filter_map(|name| size_of(given(name)?)).collect();
            return Rows::Page { sizes, default: default as u64 };
        }
        // What `nodes` and `_entities` answer has an element for each element of their argument.
        match given("ids").or_else(|| given("representations")) {
            Some(Value::Variable(name)) => Rows::Items(Items::Variable(Key::new(name))),
            Some(Value::List(ids)) => Rows::Items(Items::Given(ids.len() as u64)),
            _ => Rows::Fixed(1),
        }
    }

    fn lowered(
        &mut self,
        key: &Name,
        field: &Node<executable::Field>,
        definition: &FieldDefinition,
        selection_set: Positioned<lowered::SelectionSet>,
    ) -> Positioned<lowered::Selection> {
        let pos = place(field, &self.document.sources);
        let arguments = field.arguments.iter().map(|argument: &Node<Argument>| {
            let value = self.values.given(
                &argument.value,
                definition.argument_by_name(&argument.name).map(|argument| &**argument),
            );
            (Positioned::new(Key::new(&argument.name), pos), Positioned::new(value, pos))
        });
        let lowered = lowered::Field {
            alias: (*key != field.name).then(|| Positioned::new(Key::new(key), pos)),
            name: Positioned::new(Key::new(&field.name), pos),
            arguments: arguments.collect(),
            directives: Vec::new(),
            selection_set,
        };
        Positioned::new(lowered::Selection::Field(Positioned::new(lowered, pos)), pos)
    }
}

fn size_of(value: &Value) -> Option<Size> {
    match value {
        Value::Variable(name) => Some(Size::Variable(Key::new(name))),
        Value::Int(size) => {
            Some(Size::Given(size.try_to_i32().ok().and_then(|n| u64::try_from(n).ok()).unwrap_or(0)))
        }
        _ => None,
    }
}
