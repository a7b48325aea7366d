//! Tool inputs, and the values or errors that they result in.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{InputSchema, ToolInput};
use crate::Json;

fn read<I: ToolInput>(input: &str) -> Result<I, String> {
    InputSchema::of::<I>().read(input)
}

/// Checks the value or the problems of each input.
fn check<I: ToolInput + Serialize>(cases: &[(Value, Result<Value, &str>)]) {
    for (input, expected) in cases {
        let got = read::<I>(&input.to_string()).map(|input| json!(input));
        let expected = expected
            .clone()
            .map_err(|problem| format!("Tool input validation error: {problem}"));
        assert_eq!(got, expected, "{input}");
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Scalars {
    text: Option<String>,
    whole: Option<i64>,
    part: Option<f64>,
    truth: Option<bool>,
    small: Option<u8>,
    sign: Option<char>,
}

fn scalars(field: &str, value: Value) -> Value {
    let mut all = json!({
        "text": null, "whole": null, "part": null, "truth": null, "small": null, "sign": null,
    });
    all[field] = value;
    all
}

#[test]
fn scalars_are_coerced() {
    let cases = [
        ("whole", json!("3"), json!(3)),
        ("whole", json!(" -3 "), json!(-3)),
        ("whole", json!("+3"), json!(3)),
        ("whole", json!("3.00"), json!(3)),
        ("whole", json!(3.0), json!(3)),
        ("whole", json!(1e3), json!(1000)),
        ("whole", json!(true), json!(1)),
        ("part", json!("2.5"), json!(2.5)),
        ("part", json!("1e-3"), json!(0.001)),
        ("part", json!(2), json!(2.0)),
        ("part", json!(false), json!(0.0)),
        ("truth", json!("yes"), json!(true)),
        ("truth", json!("OFF"), json!(false)),
        ("truth", json!("true"), json!(true)),
        ("truth", json!(1), json!(true)),
        ("truth", json!(0.0), json!(false)),
        ("small", json!("255"), json!(255)),
        ("text", json!("3"), json!("3")),
        ("text", json!(""), json!("")),
        ("sign", json!("é"), json!("é")),
    ];
    for (field, value, expected) in cases {
        check::<Scalars>(&[(json!({field: value}), Ok(scalars(field, expected)))]);
    }
}

#[test]
fn scalars_of_the_wrong_type_are_reported() {
    let whole = "whole: expected an integer or null, got";
    let cases = [
        (
            "whole",
            json!("three"),
            format!("{whole} the string \"three\""),
        ),
        ("whole", json!(""), format!("{whole} the string \"\"")),
        ("whole", json!("3.5"), format!("{whole} the string \"3.5\"")),
        (
            "whole",
            json!("1_000"),
            format!("{whole} the string \"1_000\""),
        ),
        ("whole", json!(2.5), format!("{whole} the number 2.5")),
        ("whole", json!(1e30), format!("{whole} the number 1e+30")),
        ("whole", json!([]), format!("{whole} an empty list")),
        (
            "whole",
            json!({"a": 1, "b": 2}),
            format!("{whole} an object with `a` and `b`"),
        ),
        (
            "part",
            json!("nan"),
            "part: expected a number or null, got the string \"nan\"".to_owned(),
        ),
        (
            "part",
            json!("1e999"),
            "part: expected a number or null, got the string \"1e999\"".to_owned(),
        ),
        (
            "truth",
            json!(2),
            "truth: expected true or false or null, got the number 2".to_owned(),
        ),
        (
            "truth",
            json!("maybe"),
            "truth: expected true or false or null, got the string \"maybe\"".to_owned(),
        ),
        (
            "text",
            json!(5),
            "text: expected a string or null, got the number 5".to_owned(),
        ),
        (
            "text",
            json!(true),
            "text: expected a string or null, got the boolean true".to_owned(),
        ),
        (
            "small",
            json!(256),
            "small: expected an integer from 0 to 255 or null, got the number 256".to_owned(),
        ),
        (
            "small",
            json!("-1"),
            "small: expected an integer from 0 to 255 or null, got the number -1".to_owned(),
        ),
        (
            "sign",
            json!("ab"),
            "sign: expected a string of 1 character or null, got the string \"ab\"".to_owned(),
        ),
    ];
    for (field, value, expected) in cases {
        check::<Scalars>(&[(json!({field: value}), Err(&expected))]);
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Order {
    item: String,
    #[serde(default = "one")]
    count: u32,
}

fn one() -> u32 {
    1
}

#[test]
fn every_problem_is_reported_at_once() {
    check::<Order>(&[
        (
            json!({"item": "tea"}),
            Ok(json!({"item": "tea", "count": 1})),
        ),
        (
            json!({"item": "tea", "count": 2, "colour": "green"}),
            Ok(json!({"item": "tea", "count": 2})),
        ),
        (json!({}), Err("item: missing, expected a string")),
        (
            json!({"item": null, "count": "many"}),
            Err(
                "item: expected a string, got null; count: expected an integer from 0 to \
                 4294967295, got the string \"many\"",
            ),
        ),
        (
            json!([1]),
            Err("input: expected an object, got a list of 1 item"),
        ),
        (json!(null), Err("input: expected an object, got null")),
    ]);
    let not_json = read::<Order>("{").unwrap_err();
    assert!(
        not_json.starts_with("Tool input validation error: the input is not JSON"),
        "{not_json}"
    );
}

#[test]
fn long_values_are_cut() {
    let problem = read::<Scalars>(&json!({"whole": "é".repeat(1000)}).to_string()).unwrap_err();
    assert!(
        problem.ends_with("é…\"") && problem.len() < 300,
        "{problem}"
    );
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Bounded {
    #[schemars(range(min = 1, max = 10))]
    #[serde(default)]
    count: Option<i64>,
    #[schemars(extend("exclusiveMinimum" = 0, "multipleOf" = 0.1))]
    #[serde(default)]
    step: Option<f64>,
    #[schemars(length(min = 2, max = 3))]
    #[serde(default)]
    name: Option<String>,
    #[schemars(length(max = 2))]
    #[serde(default)]
    tags: Vec<String>,
}

#[test]
fn bounds_hold() {
    let bounded = |field: &str, value: Value| {
        let mut all = json!({"count": null, "step": null, "name": null, "tags": []});
        all[field] = value;
        all
    };
    check::<Bounded>(&[
        (json!({"count": 1}), Ok(bounded("count", json!(1)))),
        (json!({"count": "10"}), Ok(bounded("count", json!(10)))),
        (json!({"step": 0.3}), Ok(bounded("step", json!(0.3)))),
        (json!({"name": "éé"}), Ok(bounded("name", json!("éé")))),
        (
            json!({"count": 0}),
            Err("count: expected an integer from 1 to 10 or null, got the number 0"),
        ),
        (
            json!({"count": 11}),
            Err("count: expected an integer from 1 to 10 or null, got the number 11"),
        ),
        (
            json!({"step": 0}),
            Err(
                "step: expected a number greater than 0 and divisible by 0.1 or null, got the number 0",
            ),
        ),
        (
            json!({"step": 0.25}),
            Err(
                "step: expected a number greater than 0 and divisible by 0.1 or null, \
                 got the number 0.25",
            ),
        ),
        (
            json!({"name": "four"}),
            Err("name: expected a string of 2 to 3 characters or null, got the string \"four\""),
        ),
        (
            json!({"tags": ["a", "b", "c"]}),
            Err("tags: expected a list of at most 2 items, got a list of 3 items"),
        ),
        (
            json!({"tags": ["a", 2]}),
            Err("tags[1]: expected a string, got the number 2"),
        ),
        (
            json!({"colour": 1}),
            Err("colour: unknown field, expected only `count`, `step`, `name` and `tags`"),
        ),
    ]);
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Direction {
    North,
    South,
}

/// With doc comments on its variants, an enum is a union of constants.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Speed {
    /// Takes a while.
    Slow,
    /// Takes no time.
    Fast,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Walk {
    direction: Direction,
    speed: Option<Speed>,
}

#[test]
fn enums_accept_their_variants() {
    check::<Walk>(&[
        (
            json!({"direction": "north", "speed": "slow"}),
            Ok(json!({"direction": "north", "speed": "slow"})),
        ),
        (
            json!({"direction": "west", "speed": "warp"}),
            Err(
                "direction: expected \"north\" or \"south\", got the string \"west\"; \
                 speed: expected \"slow\", \"fast\" or null, got the string \"warp\"",
            ),
        ),
        (
            json!({"direction": 1}),
            Err("direction: expected \"north\" or \"south\", got the number 1"),
        ),
        (
            json!({}),
            Err("direction: missing, expected \"north\" or \"south\""),
        ),
    ]);
}

/// How to go, in one schema with every position of an enum.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Trip {
    /// How fast to go.
    speed: Speed,
    again: Option<Speed>,
    #[serde(default)]
    stages: Vec<Speed>,
    back: Option<Box<Walk>>,
    partly: Partly,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
enum Partly {
    /// Has a text.
    Told,
    Plain,
    Silent,
}

#[test]
fn an_enum_with_texts_is_one_list_of_choices() {
    let schema = InputSchema::of::<Trip>();
    let at = |pointer: &str| schema.json().pointer(pointer).unwrap().clone();
    let texts = "- `slow`: Takes a while.\n- `fast`: Takes no time.";
    let own = "With doc comments on its variants, an enum is a union of constants.";
    assert_eq!(
        at("/properties/speed"),
        json!({
            "description": format!("How fast to go.\n\n{texts}"),
            "type": "string", "enum": ["slow", "fast"],
        })
    );
    assert_eq!(
        at("/properties/again"),
        json!({
            "description": format!("{own}\n\n{texts}"),
            "type": ["string", "null"], "enum": ["slow", "fast", null],
        })
    );
    assert_eq!(at("/properties/stages/items/enum"), json!(["slow", "fast"]));
    assert_eq!(
        at("/properties/back/properties/speed/enum"),
        json!(["slow", "fast", null])
    );
    assert_eq!(at("/properties/partly/enum").as_array().unwrap().len(), 3);
    let text = schema.json().to_string();
    for lost in ["oneOf", "anyOf", "allOf", "$ref", "$defs"] {
        assert!(!text.contains(lost), "{text}");
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Shape {
    Circle { radius: f64 },
    Square { side: f64 },
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Edit {
    Insert { text: String },
    Delete(u32),
    Clear,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Key {
    Number(i64),
    Name(String),
    Path(Vec<String>),
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Unions {
    #[serde(default)]
    shapes: Vec<Shape>,
    edit: Option<Edit>,
    key: Option<Key>,
}

#[test]
fn unions_are_distinguished() {
    let unions = |field: &str, value: Value| {
        let mut all = json!({"shapes": [], "edit": null, "key": null});
        all[field] = value;
        all
    };
    check::<Unions>(&[
        (
            json!({"shapes": [{"kind": "circle", "radius": "2"}]}),
            Ok(unions("shapes", json!([{"kind": "circle", "radius": 2.0}]))),
        ),
        (
            json!({"shapes": [{"kind": "circle", "side": 2}, {"kind": "oval"}, {}]}),
            Err("shapes[0].radius: missing, expected a number; \
                 shapes[1].kind: expected \"circle\" or \"square\", got the string \"oval\"; \
                 shapes[2].kind: missing, expected \"circle\" or \"square\""),
        ),
        (
            json!({"edit": {"insert": {"text": "x"}}}),
            Ok(unions("edit", json!({"insert": {"text": "x"}}))),
        ),
        (json!({"edit": "clear"}), Ok(unions("edit", json!("clear")))),
        (
            json!({"edit": {"delete": "4"}}),
            Ok(unions("edit", json!({"delete": 4}))),
        ),
        (
            json!({"edit": {"insert": {}}}),
            Err("edit.insert.text: missing, expected a string"),
        ),
        (json!({"key": "3"}), Ok(unions("key", json!("3")))),
        (json!({"key": 3}), Ok(unions("key", json!(3)))),
        (json!({"key": 3.0}), Ok(unions("key", json!(3)))),
        (
            json!({"key": ["a", 1]}),
            Err("key[1]: expected a string, got the number 1"),
        ),
        (
            json!({"key": {"a": 1}}),
            Err("key: expected an integer, a string or a list, got an object with `a`"),
        ),
    ]);
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Tree {
    name: String,
    #[serde(default)]
    children: Vec<Tree>,
    pair: Option<(i64, String)>,
    ages: Option<BTreeMap<String, u8>>,
}

#[test]
fn nested_problems_are_reported() {
    check::<Tree>(&[
        (
            json!({"name": "a", "children": [{"name": "b", "pair": ["1", "x"]}], "ages": {"c": "7"}}),
            Ok(json!({
                "name": "a",
                "children": [{"name": "b", "children": [], "pair": [1, "x"], "ages": null}],
                "pair": null,
                "ages": {"c": 7},
            })),
        ),
        (
            json!({"name": "a", "children": [{"name": "b", "children": [{"name": 1}, 2]}]}),
            Err(
                "children[0].children[0].name: expected a string, got the number 1; \
                 children[0].children[1]: expected an object, got the number 2",
            ),
        ),
        (
            json!({"name": "a", "pair": [1]}),
            Err("pair: expected a list of 2 items or null, got a list of 1 item"),
        ),
        (
            json!({"name": "a", "ages": {"c": 300}}),
            Err("ages.c: expected an integer from 0 to 255, got the number 300"),
        ),
    ]);
}

/// Each level of nesting is checked once, not once for each path through the
/// levels: otherwise this test would not end.
#[test]
fn nesting_costs_no_more_than_its_depth() {
    #[derive(Debug, Deserialize, JsonSchema)]
    #[allow(dead_code)]
    struct Link {
        next: Option<Box<Link>>,
        end: Option<u8>,
    }
    let mut input = json!({"end": "not a number"});
    for _ in 0..100 {
        input = json!({"next": input});
    }
    let problem = read::<Link>(&input.to_string()).unwrap_err();
    assert!(problem.contains("next.next.next"), "{problem}");
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Free {
    any: Json,
}

#[test]
fn free_json_keeps_every_digit() {
    let text = r#"{"any": {"n": 123456789012345678901234567890, "x": 1.0}}"#;
    assert_eq!(
        read::<Free>(text).unwrap().any.as_str(),
        r#"{"n": 123456789012345678901234567890, "x": 1.0}"#
    );
}

/// A type whose `Deserialize` is stricter than its schema.
#[derive(Debug, Deserialize, JsonSchema)]
#[allow(dead_code)]
struct Guarded {
    even: Even,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "i64")]
struct Even;

impl TryFrom<i64> for Even {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        match number % 2 {
            0 => Ok(Self),
            _ => Err(format!("{number} is not even")),
        }
    }
}

#[test]
fn errors_of_serde_are_reported() {
    assert!(read::<Guarded>(r#"{"even": "4"}"#).is_ok());
    assert_eq!(
        read::<Guarded>(r#"{"even": 3}"#).unwrap_err(),
        "Tool input validation error: even: 3 is not even"
    );
}

#[test]
fn schemas_have_descriptions_and_no_rust_formats() {
    /// How to knock.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[allow(dead_code)]
    struct Knock {
        /// Which door.
        door: u8,
        #[serde(default)]
        loudly: bool,
        #[schemars(range(min = 1))]
        times: Option<i32>,
        force: f64,
    }
    let schema = InputSchema::of::<Knock>().json().to_string();
    assert_eq!(
        schema,
        r#"{"type":"object","properties":{"#.to_owned()
            + r#""door":{"type":"integer","minimum":0,"maximum":255,"description":"Which door."},"#
            + r#""loudly":{"type":"boolean","default":false},"#
            + r#""times":{"type":["integer","null"],"minimum":1,"maximum":2147483647},"#
            + r#""force":{"type":"number"}},"#
            + r#""required":["door","force"],"description":"How to knock."}"#
    );
}
