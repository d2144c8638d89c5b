//! The schema of the front end. It is parsed once, from the SDL that the resolvers print.

use apollo_compiler::ast::{FieldDefinition, Type};
use apollo_compiler::collections::HashMap;
use apollo_compiler::schema::{Component, ExtendedType, Implementers};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Schema as Parsed};

use super::one_of;

/// The schema against which documents are validated.
#[derive(Debug)]
pub(in crate::graphql) struct Schema {
    pub(super) parsed: Valid<Parsed>,
    pub(super) implementers: HashMap<Name, Implementers>,
    /// The average lengths of the lists of the introspection system.
    averages: Averages,
}

/// The average number of elements of each list of `__Schema` and `__Type`, rounded up.
#[derive(Debug)]
struct Averages {
    types: u64,
    fields: u64,
    arguments: u64,
    enum_values: u64,
    input_fields: u64,
}

/// The assumed number of elements of lists that are short in every schema: interfaces, possible types, directives and
/// their locations.
const SHORT_LIST: u64 = 8;

impl Schema {
    /// The schema that this SDL defines.
    ///
    /// # Panics
    /// When the SDL is not valid. That cannot happen, because the schema itself prints it.
    pub(in crate::graphql) fn new(sdl: &str) -> Self {
        let mut parsed = Parsed::parse(sdl, "schema.graphql").expect("the schema prints SDL");
        one_of::define(&mut parsed);
        let parsed = parsed.validate().expect("the schema is valid");
        Self { implementers: parsed.implementers_map(), averages: Averages::of(&parsed), parsed }
    }

    /// The definition of a field of an object type; `None` when it has no such field.
    pub(super) fn field(&self, object: &Name, field: &Name) -> Option<&Component<FieldDefinition>> {
        self.parsed.type_field(object, field).ok()
    }

    /// The named type inside a type, without its lists and non-nulls.
    pub(super) fn named(&self, ty: &Type) -> Option<&ExtendedType> {
        self.parsed.types.get(ty.inner_named_type())
    }

    /// The object types that a value of an interface or union type can have.
    pub(super) fn possible_types<'a>(&'a self, ty: &'a ExtendedType) -> Vec<&'a Name> {
        match ty {
            ExtendedType::Interface(interface) => {
                self.implementers.get(&interface.name).into_iter().flat_map(|found| &found.objects).collect()
            }
            ExtendedType::Union(union) => union.members.iter().map(|member| &member.name).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a fragment on `condition` applies to an object of type `object`.
    pub(super) fn applies(&self, condition: &Name, object: &Name) -> bool {
        condition == object || self.parsed.is_subtype(condition, object)
    }

    /// About how many elements a list of the introspection system has.
    pub(super) fn introspection_rows(&self, field: &str) -> u64 {
        match field {
            "types" => self.averages.types,
            "fields" => self.averages.fields,
            "args" => self.averages.arguments,
            "enumValues" => self.averages.enum_values,
            "inputFields" => self.averages.input_fields,
            _ => SHORT_LIST,
        }
    }
}

impl Averages {
    fn of(schema: &Parsed) -> Self {
        let (mut fields, mut arguments, mut values, mut inputs) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for ty in schema.types.values() {
            let defined = match ty {
                ExtendedType::Object(object) => &object.fields,
                ExtendedType::Interface(interface) => &interface.fields,
                ExtendedType::Enum(of) => {
                    values.push(of.values.len());
                    continue;
                }
                ExtendedType::InputObject(input) => {
                    inputs.push(input.fields.len());
                    continue;
                }
                ExtendedType::Scalar(_) | ExtendedType::Union(_) => continue,
            };
            fields.push(defined.len());
            arguments.extend(defined.values().map(|field| field.arguments.len()));
        }
        Self {
            types: schema.types.len() as u64,
            fields: average(&fields),
            arguments: average(&arguments),
            enum_values: average(&values),
            input_fields: average(&inputs),
        }
    }
}

fn average(counts: &[usize]) -> u64 {
    counts.iter().sum::<usize>().div_ceil(counts.len().max(1)) as u64
}
