//! Tools of toolsets and of single tasks.

use orwd_tests::expect::tool_names;
use serde_json::{Value, json};

use crate::support::{open, open_on, ors};

#[test]
fn tools_of_a_toolset_follow_the_environments_own() {
    let listing = ors().get("/kit/tools").json();
    assert_eq!(tool_names(&listing), ["look", "dup", "shout"]);
}

#[test]
fn a_task_may_add_tools_for_its_own_session() {
    let check = |spec: Value, expected: &[&str]| {
        let listing = open_on("kit", spec).get("task_tools").json();
        assert_eq!(tool_names(&listing), expected);
    };
    check(json!({"id": "plain"}), &["look", "dup", "shout"]);
    check(json!({"extra": false}), &["look", "dup", "shout"]);
    check(json!({"extra": true}), &["look", "dup", "shout", "special"]);
}

#[test]
fn a_tasks_tool_is_listed_unchanged() {
    let listing = open_on("kit", json!({"extra": true}))
        .get("task_tools")
        .json();
    let special = json!({
        "name": "special",
        "description": "Task tool.",
        "input_schema": {
            "type": "object",
            "properties": {"text": {"type": "string"}},
            "required": ["text"],
        },
    });
    assert_eq!(listing["tools"][3], special);
}

#[test]
fn without_task_tools_both_listings_are_the_same() {
    for environment in ["alpha", "termarg", "termnone", "chat"] {
        let of_session = open(environment).get("task_tools").json();
        let of_environment = ors().get(&format!("/{environment}/tools")).json();
        assert_eq!(of_session, of_environment);
    }
}

#[test]
fn tools_of_toolsets_and_tasks_are_called_like_any_other() {
    let session = open_on("kit", json!({"extra": true}));
    assert_eq!(session.call("shout", json!({"text": "hey"})).text(), "HEY!");
    assert_eq!(
        session.call("shout", json!({})).reason(),
        "input_validation"
    );
    let special = session.call("special", json!({"text": "q"}));
    assert_eq!(special.text(), "special:q");
    // It is listed for one task only, but callable in all.
    let special = open("kit").call("special", json!({"text": "q"}));
    assert_eq!(special.text(), "special:q");
}

#[test]
fn a_name_collision_is_refused() {
    let (reason, error) = open("kit").call("dup", json!({})).refusal();
    assert_eq!(reason, "name_collision");
    assert_eq!(
        error,
        "Tool name collision: 'dup' is defined in both the environment and toolset 'Extras'. \
         Please rename one of them to avoid conflicts."
    );
}
