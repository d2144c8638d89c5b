//! Coerces the values that a request gives for the variables of an operation to their types
//! (<https://spec.graphql.org/September2025/#CoerceVariableValues()>).

use apollo_compiler::ast::Type;
use apollo_compiler::executable::Operation;
use apollo_compiler::schema::{EnumType, ExtendedType, InputObjectType};
use async_graphql::{Name, Number, Value, Variables};
use async_graphql_value::indexmap::IndexMap;
use serde_json::{Map, Value as Json};

use super::Schema;
use super::values::Values;

/// The largest integer up to which a double holds every integer. So a number below it means the same to every client.
const MAX_EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

/// Coerces the values. A value that the operation does not declare is dropped.
///
/// # Errors
/// The first value that does not fit its type, as a sentence.
pub(super) fn coerce(
    schema: &Schema,
    operation: &Operation,
    mut given: Map<String, Json>,
) -> Result<Variables, String> {
    let mut coerced = Variables::default();
    let mut values = Values { schema, defaulted: Vec::new() };
    for definition in &operation.variables {
        let (name, ty) = (&definition.name, &*definition.ty);
        let value = match (given.remove(name.as_str()), &definition.default_value) {
            (Some(value), _) => value_of(schema, value, ty)
                .map_err(|reason| format!("Variable `${name}` of type `{ty}` {reason}."))?,
            (None, Some(default)) => values.constant(default, ty),
            (None, None) if ty.is_non_null() => {
                return Err(format!("Variable `${name}` of type `{ty}` is missing."));
            }
            // A variable that is absent is not the same as a variable that is null.
            (None, None) => continue,
        };
        coerced.insert(Name::new(name), value);
    }
    Ok(coerced)
}

fn value_of(schema: &Schema, value: Json, ty: &Type) -> Result<Value, String> {
    if value.is_null() {
        return if ty.is_non_null() { Err("must not be null".into()) } else { Ok(Value::Null) };
    }
    if ty.is_list() {
        let item = ty.item_type();
        return match value {
            Json::Array(values) => values.into_iter().map(|value| value_of(schema, value, item)).collect(),
            // A single value stands for a list of one element.
            single => Ok(Value::List(vec![value_of(schema, single, item)?])),
        };
    }
    let name = ty.inner_named_type().as_str();
    let coerced = match (schema.named(ty), value) {
        (Some(ExtendedType::InputObject(input)), Json::Object(given)) => {
            return input_of(schema, given, input);
        }
        (Some(ExtendedType::Enum(ty)), Json::String(value)) => enum_of(value, ty),
        (Some(ExtendedType::Scalar(_)), value) => scalar_of(value, name),
        _ => None,
    };
    coerced.ok_or_else(|| format!("must be a value of type `{name}`"))
}

fn enum_of(value: String, ty: &EnumType) -> Option<Value> {
    ty.values.contains_key(value.as_str()).then(|| Value::Enum(Name::new(value)))
}

fn scalar_of(value: Json, name: &str) -> Option<Value> {
    match (name, value) {
        ("Int", Json::Number(number)) => {
            let integer = number.as_i64().or_else(|| integer_of(&number))?;
            i32::try_from(integer).ok().map(Value::from)
        }
        ("Float", Json::Number(number)) => Some(Value::Number(number)),
        ("Boolean", Json::Bool(value)) => Some(Value::Boolean(value)),
        ("ID", Json::Number(number)) => {
            let fraction = number.as_f64().filter(|_| number.is_f64()).map(f64::fract);
            match (integer_of(&number), fraction) {
                (Some(integer), _) => Some(Value::String(integer.to_string())),
                // An integer beyond 64 bits. The JSON reader has kept what a double holds of it.
                (None, Some(0.0)) => Some(Value::String(number.as_f64()?.to_string())),
                (None, Some(_)) => None,
                (None, None) => Some(Value::String(number.to_string())),
            }
        }
        ("JSON" | "_Any", value) => Value::from_json(value).ok(),
        // The other scalars are texts: `ID`, `String` and herald's own.
        ("Int" | "Float" | "Boolean", _) => None,
        (_, Json::String(text)) => Some(Value::String(text)),
        _ => None,
    }
}

/// The integer that a number with a fraction or an exponent stands for, such as `1.0`; `None` when it is not an
/// integer.
fn integer_of(number: &Number) -> Option<i64> {
    let value = number.as_f64().filter(|_| number.is_f64())?;
    let is_integer = value.fract() == 0.0 && value.abs() <= MAX_EXACT_INTEGER;
    // This is exact, because the value is an integer and small enough.
    #[expect(clippy::cast_possible_truncation)]
    is_integer.then_some(value as i64)
}

fn input_of(schema: &Schema, mut given: Map<String, Json>, input: &InputObjectType) -> Result<Value, String> {
    if let Some(unknown) = given.keys().find(|name| !input.fields.contains_key(name.as_str())) {
        let unknown: String = unknown.chars().take(40).collect();
        return Err(format!("has no field `{unknown}`"));
    }
    let mut coerced = IndexMap::new();
    let mut values = Values { schema, defaulted: Vec::new() };
    for (name, field) in &input.fields {
        let value = match (given.remove(name.as_str()), &field.default_value) {
            (Some(value), _) => value_of(schema, value, &field.ty)
                .map_err(|reason| format!("has a field `{name}` that {reason}"))?,
            (None, Some(default)) => values.constant(default, &field.ty),
            (None, None) if field.ty.is_non_null() => return Err(format!("needs a field `{name}`")),
            (None, None) => continue,
        };
        coerced.insert(Name::new(name), value);
    }
    Ok(Value::Object(coerced))
}
