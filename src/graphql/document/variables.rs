//! The values that a request gives for the variables of an operation, coerced to their types
//! (<https://spec.graphql.org/September2025/#CoerceVariableValues()>).

use apollo_compiler::ast::Type;
use apollo_compiler::executable::Operation;
use apollo_compiler::schema::{EnumType, ExtendedType, InputObjectType};
use async_graphql::{Name, Number, Value, Variables};
use async_graphql_value::indexmap::IndexMap;
use serde_json::{Map, Value as Json};

use super::Schema;
use super::values::Values;

/// The largest whole number of which a double holds every smaller one, so that it means the same to every client.
const MAX_EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

/// Coerces the values; what the operation does not declare is dropped.
///
/// # Errors
/// Which value does not fit, in words.
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
            // There is a difference between a variable that is null and one that is absent.
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
            // A single value stands for the list of it.
            single => Ok(Value::List(vec![value_of(schema, single, item)?])),
        };
    }
    let name = ty.inner_named_type().as_str();
    let coerced = match (schema.named(ty), value) {
        (Some(ExtendedType::InputObject(input)), Json::Object(given)) => {
            return input_of(schema, given, input);
        }
        (Some(ExtendedType::Enum(of)), Json::String(value)) => enum_of(value, of),
        (Some(ExtendedType::Scalar(_)), value) => scalar_of(value, name),
        _ => None,
    };
    coerced.ok_or_else(|| format!("needs a value of type `{name}`"))
}

fn enum_of(value: String, of: &EnumType) -> Option<Value> {
    of.values.contains_key(value.as_str()).then(|| Value::Enum(Name::new(value)))
}

fn scalar_of(value: Json, name: &str) -> Option<Value> {
    match (name, value) {
        ("Int", Json::Number(number)) => {
            let whole = number.as_i64().or_else(|| whole(&number))?;
            i32::try_from(whole).ok().map(Value::from)
        }
        ("Float", Json::Number(number)) => Some(Value::Number(number)),
        ("Boolean", Json::Bool(value)) => Some(Value::Boolean(value)),
        ("ID", Json::Number(number)) => {
            let fraction = number.as_f64().filter(|_| number.is_f64()).map(f64::fract);
            match (whole(&number), fraction) {
                (Some(whole), _) => Some(Value::String(whole.to_string())),
                // A whole number, of which the JSON reader has kept as much as a double holds.
                (None, Some(0.0)) => Some(Value::String(number.as_f64()?.to_string())),
                (None, Some(_)) => None,
                (None, None) => Some(Value::String(number.to_string())),
            }
        }
        // `ID`, `String`, and herald's own scalars, which are all written as texts.
        ("Int" | "Float" | "Boolean", _) => None,
        (_, Json::String(text)) => Some(Value::String(text)),
        _ => None,
    }
}

/// The whole number that a number with a fraction or an exponent is, such as `1.0`.
fn whole(number: &Number) -> Option<i64> {
    let value = number.as_f64().filter(|_| number.is_f64())?;
    let is_whole = value.fract() == 0.0 && value.abs() <= MAX_EXACT_INTEGER;
    // Exact, since it was found to be whole and small enough.
    #[expect(clippy::cast_possible_truncation)]
    is_whole.then_some(value as i64)
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
