//! The schema's shape, and the two steps of the specification that async-graphql 7.2 leaves out: variables are
//! coerced before anything is executed (section 6.1.2), and a field that fails becomes null, or takes its parent
//! along where it may not be null (section 6.4.4). <https://spec.graphql.org/October2021/>

use std::collections::HashMap;

use async_graphql::parser::types::{
    BaseType, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet, Type,
    TypeKind, TypeSystemDefinition, VariableDefinition,
};
use async_graphql::{Name, PathSegment, Response, Value, Variables, parser};

/// What is known of one type.
#[derive(Debug)]
enum Kind {
    Scalar,
    Enum(Vec<Name>),
    Input(Vec<(Name, Type, bool)>),
    Output(HashMap<Name, Type>),
}

/// Every type of the schema.
#[derive(Debug)]
pub(super) struct Shape(HashMap<Name, Kind>);

impl Shape {
    /// The shape of the schema that this SDL defines.
    ///
    /// # Panics
    /// When it is no SDL: it was printed from the schema itself.
    pub(super) fn new(sdl: &str) -> Self {
        let document = parser::parse_schema(sdl).expect("the schema prints valid SDL");
        let mut types: HashMap<Name, Kind> =
            ["Int", "Float", "String", "Boolean", "ID"].map(|name| (Name::new(name), Kind::Scalar)).into();
        for definition in document.definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let fields = |fields: Vec<async_graphql::Positioned<parser::types::FieldDefinition>>| {
                Kind::Output(fields.into_iter().map(|f| (f.node.name.node, f.node.ty.node)).collect())
            };
            let kind = match definition.node.kind {
                TypeKind::Scalar => Kind::Scalar,
                TypeKind::Object(object) => fields(object.fields),
                TypeKind::Interface(interface) => fields(interface.fields),
                TypeKind::Union(_) => continue,
                TypeKind::Enum(values) => {
                    Kind::Enum(values.values.into_iter().map(|v| v.node.value.node).collect())
                }
                TypeKind::InputObject(input) => Kind::Input(
                    input
                        .fields
                        .into_iter()
                        .map(|f| (f.node.name.node, f.node.ty.node, f.node.default_value.is_some()))
                        .collect(),
                ),
            };
            types.insert(definition.node.name.node, kind);
        }
        Self(types)
    }

    /// Checks that a variable's type is one that values can be given for.
    pub(super) fn check_definition(&self, definition: &VariableDefinition) -> Result<(), String> {
        let name = innermost(&definition.var_type.node);
        match self.0.get(name) {
            Some(Kind::Scalar | Kind::Enum(_) | Kind::Input(_)) => Ok(()),
            _ => Err(format!("Variable `${}` has the unknown type `{name}`.", definition.name.node)),
        }
    }

    /// Checks that the variables fit their definitions.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub(super) fn check_variables(
        &self,
        operation: &OperationDefinition,
        variables: &Variables,
    ) -> Result<(), String> {
        for definition in &operation.variable_definitions {
            let definition = &definition.node;
            let (name, ty) = (&definition.name.node, &definition.var_type.node);
            match variables.get(name) {
                Some(value) => self
                    .check(value, ty)
                    .map_err(|reason| format!("Variable `${name}` of type `{ty}` {reason}."))?,
                None if ty.nullable || definition.default_value.is_some() => {}
                None => return Err(format!("Variable `${name}` of type `{ty}` is missing.")),
            }
        }
        Ok(())
    }

    /// Values with which operations can be validated when nobody has given any: one of the right type for each
    /// variable that must have one.
    pub(super) fn examples<'a>(
        &self,
        operations: impl Iterator<Item = &'a OperationDefinition>,
    ) -> Variables {
        let mut variables = Variables::default();
        for definition in operations.flat_map(|operation| &operation.variable_definitions) {
            let (name, ty) = (&definition.node.name.node, &definition.node.var_type.node);
            if !ty.nullable && definition.node.default_value.is_none() {
                variables.insert(name.clone(), self.example(ty));
            }
        }
        variables
    }

    fn example(&self, ty: &Type) -> Value {
        let BaseType::Named(name) = &ty.base else { return Value::List(Vec::new()) };
        match self.0.get(name) {
            Some(Kind::Enum(values)) => {
                values.first().map_or(Value::Null, |value| Value::Enum(value.clone()))
            }
            Some(Kind::Input(fields)) => {
                let needed = fields.iter().filter(|(_, ty, has_default)| !ty.nullable && !has_default);
                Value::Object(needed.map(|(name, ty, _)| (name.clone(), self.example(ty))).collect())
            }
            _ => match name.as_str() {
                "Int" | "Float" => Value::from(0),
                "Boolean" => Value::from(false),
                _ => Value::from(""),
            },
        }
    }

    fn check(&self, value: &Value, ty: &Type) -> Result<(), String> {
        match (&ty.base, value) {
            (_, Value::Null) if ty.nullable => Ok(()),
            (_, Value::Null) => Err("must not be null".into()),
            (BaseType::List(inner), Value::List(values)) => {
                values.iter().try_for_each(|value| self.check(value, inner))
            }
            // A single value stands for the list of it.
            (BaseType::List(inner), value) => self.check(value, inner),
            (BaseType::Named(name), value) => self.check_named(value, name),
        }
    }

    fn check_named(&self, value: &Value, name: &Name) -> Result<(), String> {
        let is_of_it = match (self.0.get(name), value) {
            (Some(Kind::Input(fields)), Value::Object(given)) => return self.check_input(given, fields),
            (Some(Kind::Enum(values)), Value::Enum(value)) => values.contains(value),
            (Some(Kind::Enum(values)), Value::String(value)) => values.iter().any(|v| v == value.as_str()),
            (Some(Kind::Scalar), value) => match name.as_str() {
                "Int" => {
                    matches!(value, Value::Number(n) if n.as_i64().is_some_and(|n| i32::try_from(n).is_ok()))
                }
                "Float" => matches!(value, Value::Number(_)),
                "Boolean" => matches!(value, Value::Boolean(_)),
                "ID" => matches!(value, Value::String(_)) || matches!(value, Value::Number(n) if n.is_i64()),
                // `String`, and herald's own scalars, which are all written as strings.
                _ => matches!(value, Value::String(_)),
            },
            _ => false,
        };
        if is_of_it { Ok(()) } else { Err(format!("needs a value of type `{name}`")) }
    }

    fn check_input(
        &self,
        given: &indexmap::IndexMap<Name, Value>,
        fields: &[(Name, Type, bool)],
    ) -> Result<(), String> {
        if let Some(unknown) = given.keys().find(|name| !fields.iter().any(|(known, ..)| known == *name)) {
            return Err(format!("has no field `{unknown}`"));
        }
        for (name, ty, has_default) in fields {
            match given.get(name) {
                Some(value) => {
                    self.check(value, ty).map_err(|reason| format!("has a field `{name}` that {reason}"))?;
                }
                None if ty.nullable || *has_default => {}
                None => return Err(format!("needs a field `{name}`")),
            }
        }
        Ok(())
    }

    /// Puts null where a field failed, or where something that may not be null is missing.
    pub(super) fn complete(
        &self,
        document: &ExecutableDocument,
        operation: &OperationDefinition,
        response: &mut Response,
    ) {
        let root = match operation.ty {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            OperationType::Subscription => "Subscription",
        };
        let root = Type { base: BaseType::Named(Name::new(root)), nullable: true };
        let paths: Vec<_> =
            response.errors.iter().map(|error| error.path.as_slice()).filter(|p| !p.is_empty()).collect();
        for path in paths {
            let sets = [&operation.selection_set.node];
            Completion { shape: self, document }.fail(&mut response.data, &root, &sets, path);
        }
    }
}

struct Completion<'a> {
    shape: &'a Shape,
    document: &'a ExecutableDocument,
}

impl<'a> Completion<'a> {
    /// Notes that what is at `path` under `value` failed. Returns whether `value` is therefore null although it
    /// may not be, so that its parent goes with it.
    fn fail(&self, value: &mut Value, ty: &Type, sets: &[&'a SelectionSet], path: &[PathSegment]) -> bool {
        let is_lost = match (path, &ty.base) {
            ([], _) => true,
            ([PathSegment::Index(index), rest @ ..], BaseType::List(inner)) => match value {
                Value::List(items) => {
                    items.get_mut(*index).is_some_and(|item| self.fail(item, inner, sets, rest))
                }
                _ => false,
            },
            ([PathSegment::Field(key), rest @ ..], BaseType::Named(name)) => {
                let mut found = None;
                let mut inner = Vec::new();
                for set in sets {
                    self.find(set, name, key, &mut found, &mut inner);
                }
                let Some(field_type) = found else { return false };
                if *value == Value::Null {
                    *value = Value::Object(indexmap::IndexMap::new());
                }
                let Value::Object(fields) = value else { return false };
                let field = fields.entry(Name::new(key)).or_insert(Value::Null);
                self.fail(field, field_type, &inner, rest)
            }
            _ => false,
        };
        if is_lost {
            *value = Value::Null;
        }
        is_lost && !ty.nullable
    }

    /// The type of the field that answers under `key`, and what is selected of it.
    fn find(
        &self,
        set: &'a SelectionSet,
        parent: &Name,
        key: &str,
        found: &mut Option<&'a Type>,
        inner: &mut Vec<&'a SelectionSet>,
    ) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    if field.node.response_key().node == key
                        && let Some(Kind::Output(fields)) = self.shape.0.get(parent)
                        && let Some(ty) = fields.get(&field.node.name.node)
                    {
                        *found = Some(ty);
                        inner.push(&field.node.selection_set.node);
                    }
                }
                Selection::InlineFragment(inline) => {
                    let on = inline.node.type_condition.as_ref().map(|condition| &condition.node.on.node);
                    self.find(&inline.node.selection_set.node, on.unwrap_or(parent), key, found, inner);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.node.fragment_name.node) {
                        let on = &fragment.node.type_condition.node.on.node;
                        self.find(&fragment.node.selection_set.node, on, key, found, inner);
                    }
                }
            }
        }
    }
}

fn innermost(ty: &Type) -> &Name {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(inner) => innermost(inner),
    }
}
