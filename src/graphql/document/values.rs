//! Turns values and types of the document into those of async-graphql.

use apollo_compiler::Node;
use apollo_compiler::ast::{InputValueDefinition, Type, Value};
use apollo_compiler::schema::ExtendedType;
use async_graphql::parser::types::{BaseType, Type as LoweredType};
use async_graphql::{Name, Number, Value as Constant};
use async_graphql_value::Value as Lowered;
use async_graphql_value::indexmap::IndexMap;

use super::Schema;
use super::plan::Defaulted;

/// Turns the values of one operation into those of async-graphql.
pub(super) struct Values<'a> {
    pub(super) schema: &'a Schema,
    /// The variables that stand for absent ones with a default, as far as they were needed.
    pub(super) defaulted: Vec<Defaulted>,
}

impl Values<'_> {
    /// The value of an argument or input field.
    pub(super) fn given(&mut self, value: &Value, definition: Option<&InputValueDefinition>) -> Lowered {
        let Some(definition) = definition else { return self.value(value, None) };
        match (value, &definition.default_value) {
            // When the variable is absent, the argument takes its default (section 6.4.1).
            (Value::Variable(name), Some(default)) => {
                Lowered::Variable(self.default(name, default, &definition.ty))
            }
            _ => self.value(value, Some(&definition.ty)),
        }
    }

    /// The name of the variable that stands for this one or, when it is absent, for the default.
    fn default(&mut self, variable: &str, default: &Node<Value>, ty: &Type) -> Name {
        // No document can use this name for a variable.
        let name = Name::new(format!("{variable}\0{default}"));
        if self.defaulted.iter().all(|known| known.name != name) {
            let default = self.constant(default, ty);
            let stands_for = Name::new(variable);
            self.defaulted.push(Defaulted { name: name.clone(), stands_for, default });
        }
        name
    }

    /// A value that contains no variables.
    pub(super) fn constant(&mut self, value: &Value, ty: &Type) -> Constant {
        // Validation ensures that it contains none.
        let lowered = self.value(value, Some(ty));
        lowered.into_const().unwrap_or_default()
    }

    fn value(&mut self, value: &Value, ty: Option<&Type>) -> Lowered {
        match value {
            Value::Null => Lowered::Null,
            Value::Variable(name) => Lowered::Variable(Name::new(name)),
            Value::Boolean(value) => Lowered::Boolean(*value),
            Value::Enum(name) => Lowered::Enum(Name::new(name)),
            Value::String(text) => Lowered::String(text.clone()),
            // A document may write an id as a number of any size. It becomes a text.
            Value::Int(number) if ty.is_some_and(|ty| ty.inner_named_type() == "ID") => {
                Lowered::String(number.as_str().to_owned())
            }
            Value::Int(number) => number_of(number.as_str()),
            Value::Float(number) => number_of(number.as_str()),
            Value::List(values) => {
                let inner = ty.filter(|ty| ty.is_list()).map(Type::item_type);
                Lowered::List(values.iter().map(|value| self.value(value, inner)).collect())
            }
            Value::Object(fields) => {
                let schema = self.schema;
                let input = ty.and_then(|ty| match schema.named(ty) {
                    Some(ExtendedType::InputObject(input)) => Some(input),
                    _ => None,
                });
                let lowered = fields.iter().map(|(name, value)| {
                    let definition = input.and_then(|input| input.fields.get(name)).map(|field| &***field);
                    (Name::new(name), self.given(value, definition))
                });
                Lowered::Object(lowered.collect::<IndexMap<_, _>>())
            }
        }
    }
}

/// The number in a text. A number that is too large for every type becomes null; no document with one is valid.
fn number_of(text: &str) -> Lowered {
    // The text is read as an integer first, so that `-0` is 0 and not a floating-point number.
    let whole = text.parse::<i64>().map(Number::from);
    whole.or_else(|_| text.parse()).map_or(Lowered::Null, Lowered::Number)
}

/// The same type as async-graphql has it.
pub(super) fn lowered_type(ty: &Type) -> LoweredType {
    let base = match ty {
        Type::Named(name) | Type::NonNullNamed(name) => BaseType::Named(Name::new(name)),
        Type::List(inner) | Type::NonNullList(inner) => BaseType::List(Box::new(lowered_type(inner))),
    };
    LoweredType { base, nullable: !ty.is_non_null() }
}
