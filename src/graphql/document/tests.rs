use std::fmt::Write;

use serde_json::json;

use super::*;
use crate::graphql::response::{LIMIT_EXCEEDED, PARSE_FAILED};

fn new_documents() -> Documents {
    let schema = Schema::new(&crate::graphql::sdl());
    Documents::new(crate::config::ServeArgs::default().limits, Arc::new(schema))
}

fn plan(text: &str) -> Result<Arc<Plan>, Box<Response>> {
    let documents = new_documents();
    let document = documents.find(Some(text), None, |_| Ok(()))?;
    documents.plan(&document, None, &Variables::default())
}

fn code(text: &str) -> String {
    let refusal = plan(text).err().unwrap_or_else(|| panic!("{text} is refused"));
    refusal.codes().next().unwrap().to_owned()
}

/// The selections that the executor is given, written without white space.
fn executed(text: &str) -> String {
    fn write(out: &mut String, set: &async_graphql::parser::types::SelectionSet) {
        use async_graphql::parser::types::Selection;
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) if field.node.response_key().node == TYPENAME => out.push('#'),
                Selection::Field(field) => {
                    let separator = if out.is_empty() || out.ends_with('{') { "" } else { " " };
                    write!(out, "{separator}{}", field.node.response_key().node).unwrap();
                    for (name, value) in &field.node.arguments {
                        write!(out, "({}:{})", name.node, value.node).unwrap();
                    }
                    if !field.node.selection_set.node.items.is_empty() {
                        out.push('{');
                        write(out, &field.node.selection_set.node);
                        out.push('}');
                    }
                }
                Selection::InlineFragment(inline) => {
                    write!(out, "...{}{{", inline.node.type_condition.as_ref().unwrap().node.on.node)
                        .unwrap();
                    write(out, &inline.node.selection_set.node);
                    out.push('}');
                }
                Selection::FragmentSpread(_) => panic!("every fragment is spread"),
            }
        }
    }
    let mut out = String::new();
    write(&mut out, &plan(text).unwrap().operation.node.selection_set.node);
    out
}

#[test]
fn fields_are_merged_in_the_order_in_which_they_are_first_selected() {
    assert_eq!(
        executed(
            "{ viewer { id } ...F viewer { handle } } fragment F on Query { cursor viewer { id displayName } }"
        ),
        "viewer{id displayName handle} cursor"
    );
    assert_eq!(
        executed("{ node(id: 1) { id ... on User { handle id } ... on Node { __typename } } }"),
        "node(id:\"1\"){#...Conversation{id __typename}...Message{id __typename}...User{id handle __typename}}"
    );
}

#[test]
fn conditions_are_applied_and_an_object_of_which_nothing_is_left_is_still_asked_for() {
    assert_eq!(executed("{ viewer { handle @skip(if: true) } }"), "viewer{#}");
    assert_eq!(executed("{ viewer @include(if: false) { id } cursor }"), "cursor");
    assert_eq!(executed("{ ...F @skip(if: true) cursor } fragment F on Query { viewer { id } }"), "cursor");
    let documents = new_documents();
    let text = "query($a: Boolean!) { cursor @skip(if: $a) viewer @include(if: $a) { id } }";
    let document = documents.find(Some(text), None, |_| Ok(())).unwrap();
    for (given, keys) in [(true, ["viewer"]), (false, ["cursor"])] {
        let operation = document.operation(None).unwrap();
        let given = json!({"a": given}).as_object().unwrap().clone();
        let variables = documents.variables(operation, given).unwrap();
        let plan = documents.plan(&document, None, &variables).unwrap();
        let found: Vec<_> = plan.root.iter().map(|field| field.key.as_str()).collect();
        assert_eq!(found, keys);
    }
}

#[test]
fn a_document_that_explodes_when_spread_is_executed_once_or_refused() {
    let mut text = String::from("{ ...f0 }");
    for i in 0..60 {
        write!(text, " fragment f{i} on Query {{ ...f{0} ...f{0} }}", i + 1).unwrap();
    }
    text.push_str(" fragment f60 on Query { cursor }");
    assert_eq!(executed(&text), "cursor");

    let mut text = String::from("{ conversation(id: 1) { ...f0 } }");
    for i in 0..16 {
        let next = i + 1;
        write!(text, " fragment f{i} on Conversation {{ ").unwrap();
        for alias in ["a", "b"] {
            write!(text, "{alias}: lastMessage {{ conversation {{ ...f{next} }} }} ").unwrap();
        }
        text.push('}');
    }
    text.push_str(" fragment f16 on Conversation { id }");
    assert_eq!(code(&text), LIMIT_EXCEEDED);
}

#[test]
fn every_limit_refuses_with_its_code() {
    assert_eq!(code(&format!("{{ {} }}", "cursor ".repeat(5_000))), LIMIT_EXCEEDED);
    assert_eq!(code(&"#".repeat(40_000)), LIMIT_EXCEEDED);
    assert_eq!(code(&format!("{{ a(x: {}1{}) }}", "[".repeat(999), "]".repeat(999))), LIMIT_EXCEEDED);
    assert_eq!(code(&format!("{{ a(x: {}1{}) }}", "{a:".repeat(999), "}".repeat(999))), LIMIT_EXCEEDED);
    assert_eq!(
        code(&format!("query($x: {}Int{}) {{ a }}", "[".repeat(999), "]".repeat(999))),
        LIMIT_EXCEEDED
    );
    assert_eq!(code(&format!("{}a{}", "{ a ".repeat(99), "}".repeat(99))), LIMIT_EXCEEDED);
    let deep = "lastMessage { conversation { ".repeat(12);
    assert_eq!(
        code(&format!("{{ conversation(id: 1) {{ {deep} id {} }} }}", "} }".repeat(12))),
        LIMIT_EXCEEDED
    );
    let aliases: Vec<String> = (0..60).map(|i| format!("a{i}: cursor")).collect();
    assert_eq!(code(&format!("{{ {} }}", aliases.join(" "))), LIMIT_EXCEEDED);
    assert_eq!(code(&format!("{{ a {} }}", "@skip(if: true) ".repeat(60))), LIMIT_EXCEEDED);
    assert_eq!(code("{ ...f } fragment f on Query { ...f }"), VALIDATION_FAILED);
    assert_eq!(code("{"), PARSE_FAILED);
    let operations: Vec<_> = (0..200).map(|i| format!("query q{i} {{ ...f0 }}")).collect();
    let fragments: Vec<_> =
        (0..90).map(|i| format!("fragment f{i} on Query {{ ...f{0} ...f{0} }}", i + 1)).collect();
    let (operations, fragments) = (operations.join(" "), fragments.join(" "));
    assert_eq!(code(&format!("{operations} {fragments} fragment f90 on Query {{ cursor }}")), LIMIT_EXCEEDED);
}

#[test]
fn an_unterminated_block_string_is_read_as_what_it_is() {
    for nested in ["[", "{a:"] {
        let text = format!("{{a(b:[\"\"\"x\"{}", nested.repeat(1_700));
        assert!([PARSE_FAILED, LIMIT_EXCEEDED].contains(&code(&text).as_str()));
    }
}

#[test]
fn introspection_that_multiplies_is_refused() {
    let bomb =
        "{ __schema { types { possibleTypes { interfaces { possibleTypes { interfaces { name } } } } } } }";
    assert_eq!(code(bomb), LIMIT_EXCEEDED);
    let through_fragments = "{ __schema { types { ...A } } } fragment A on __Type { fields { type { ...B } } } \
         fragment B on __Type { interfaces { possibleTypes { name } } }";
    assert_eq!(code(through_fragments), LIMIT_EXCEEDED);
}

#[test]
fn what_cannot_be_parsed_is_said_in_a_line() {
    let refusal = plan("{\n  cursor").expect_err("it does not end");
    let message = refusal.messages().next().unwrap();
    assert_eq!(refusal.messages().count(), 1);
    let line = "The document cannot be parsed at line 2, column ";
    assert!(message.starts_with(line) && !message.contains('\n'), "{message}");
}

#[test]
fn at_most_a_hundred_errors_are_told() {
    let refusal = plan(&format!("{{ {} }}", "x ".repeat(3_000))).expect_err("nothing is named x");
    assert_eq!(refusal.messages().count(), 100);
}

#[test]
fn a_document_that_comes_again_is_not_read_again() {
    let documents = new_documents();
    let first = documents.find(Some("{ cursor }"), None, |_| Ok(())).unwrap();
    let again =
        documents.find(Some("{ cursor }"), Some(Hash::of("{ cursor }")), |_| panic!("it is known")).unwrap();
    let by_name = documents.find(None, Some(Hash::of("{ cursor }")), |_| panic!("it is known")).unwrap();
    assert!(Arc::ptr_eq(&first, &again) && Arc::ptr_eq(&first, &by_name));
    let plan = |document| documents.plan(document, None, &Variables::default()).unwrap();
    assert!(Arc::ptr_eq(&plan(&first), &plan(&again)));
}

fn fingerprint(text: &str, variables: &serde_json::Value) -> [u8; 16] {
    let documents = new_documents();
    let document = documents.find(Some(text), None, |_| Ok(())).unwrap();
    let operation = document.operation(None).unwrap();
    let variables = documents.variables(operation, variables.as_object().unwrap().clone()).unwrap();
    documents.plan(&document, None, &variables).unwrap().fingerprint(&variables)
}

#[test]
fn subscriptions_that_look_the_same_have_the_same_fingerprint() {
    let plain = fingerprint("subscription { events { cursor at } }", &json!({}));
    for (same, variables) in [
        ("subscription($a: Cursor) { events(after: $a) { cursor at } }", json!({"a": "x"})),
        (
            "subscription($c: ID) { events(conversationId: $c) { cursor ...F at } } fragment F on Event { cursor }",
            json!({"c": 1}),
        ),
    ] {
        assert!(fingerprint(same, &variables) == plain, "{same}");
    }
    for other in [
        "subscription { events { at cursor } }",
        "subscription { messageSent { cursor at } }",
        "subscription { x: events { cursor at } }",
        "subscription { events { cursor at __typename } }",
    ] {
        assert!(fingerprint(other, &json!({})) != plain, "{other}");
    }
    let sized = "subscription($n: Int) { statusChanged { messages(first: $n) { id } } }";
    assert!(fingerprint(sized, &json!({"n": 1})) != fingerprint(sized, &json!({"n": 2})));
}

#[test]
fn variables_are_coerced_as_the_specification_says() {
    let documents = new_documents();
    let coerce = |declared: &str, given: serde_json::Value| {
        let text =
            format!("query({declared}) {{ cursor @skip(if: true) node(id: 1) @skip(if: true) {{ id }} }}");
        // The variables are not used, which validation refuses: only their coercion is looked at.
        let parsed = ExecutableDocument::parse(&documents.schema.parsed, text, "test").unwrap();
        let operation = parsed.operations.get(None).unwrap();
        documents
            .variables(operation, given.as_object().unwrap().clone())
            .map(|variables| variables.into_value().to_string())
            .map_err(|refusal| refusal.messages().next().unwrap().to_owned())
    };
    for (declared, given, coerced) in [
        ("$x: Int", json!({"x": 1.0}), "{x: 1}"),
        ("$x: Int = 3", json!({}), "{x: 3}"),
        ("$x: Int = 3", json!({"x": null}), "{x: null}"),
        ("$x: Int", json!({}), "{}"),
        ("$x: ID!", json!({"x": 18_446_744_073_709_551_615_u64}), "{x: \"18446744073709551615\"}"),
        ("$x: ID!", json!({"x": 4.0}), "{x: \"4\"}"),
        ("$x: [String!]!", json!({"x": "a"}), "{x: [\"a\"]}"),
        ("$x: [[Int]]", json!({"x": [1, null]}), "{x: [[1], null]}"),
        ("$x: String", json!({"x": "a", "y": 1}), "{x: \"a\"}"),
    ] {
        assert_eq!(coerce(declared, given.clone()).as_deref(), Ok(coerced), "{declared} {given}");
    }
    for (declared, given) in [
        ("$x: Int", json!({"x": 1.5})),
        ("$x: Int", json!({"x": 2_147_483_648_u64})),
        ("$x: Int", json!({"x": "1"})),
        ("$x: Int!", json!({})),
        ("$x: Int!", json!({"x": null})),
        ("$x: ID", json!({"x": 1.5})),
        ("$x: ID", json!({"x": true})),
        ("$x: [Int!]", json!({"x": [null]})),
        ("$x: DeliveryStatus", json!({"x": "LOST"})),
        ("$x: LeaveConversationInput!", json!({"x": {}})),
        ("$x: MarkInput!", json!({"x": {"messageId": 1, "y": 2}})),
    ] {
        assert!(coerce(declared, given.clone()).is_err(), "{declared} {given}");
    }
}

#[test]
fn a_number_out_of_range_is_refused_wherever_it_stands() {
    let with = |metadata: &str| {
        format!(
            "mutation {{ sendMessage(input: {{ conversationId: \"c\", body: \"m\", metadata: {metadata} }}) {{ cursor }} }}"
        )
    };
    let digits = "9".repeat(400);
    for number in ["1e400", "-1e400", "[1, [1e400]]", "{ a: { b: 1e400 } }", &digits] {
        assert_eq!(code(&with(number)), VALIDATION_FAILED, "{number}");
    }
    let default = "mutation($m: JSON = 1e400) { sendMessage(input: { conversationId: \"c\", body: \"m\", metadata: $m }) \
                   { cursor } }";
    assert_eq!(code(default), VALIDATION_FAILED);
    for right in ["1e308", "-1e308", "1e-400", "\"1e400\""] {
        assert!(plan(&with(right)).is_ok(), "{right}");
    }
}
