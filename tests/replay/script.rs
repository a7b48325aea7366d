//! What a player is going to do, drawn from a seed before it begins.
//!
//! A script depends on its seed and on what the environment says of itself,
//! and on no answer of a session, so that it can be played again elsewhere.

use orwd_tests::ors::Ors;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Map, Value, json};

use crate::cast::{Role, pick, word};

/// Asks for one episode at most.
const LONGEST: usize = 14;

/// What an environment says of itself.
#[derive(Clone, Debug)]
pub struct Scene {
    splits: Vec<(String, u64)>,
    tools: Vec<(String, Value)>,
}

/// Everything that a player does.
#[derive(Clone, Debug)]
pub struct Script {
    /// The environment.
    pub environment: &'static str,
    /// The session's id, which names the script.
    pub session: String,
    /// `X-ORWD-Seed`.
    pub seed: u64,
    /// The secrets, as the header has them.
    pub secrets: Value,
    /// The body of `/create`.
    pub create: Value,
    /// What is asked then.
    pub acts: Vec<Act>,
    /// Whether the player deletes the session, or leaves it as it is.
    pub ends: bool,
}

/// One thing that a player does.
#[derive(Clone, Debug)]
pub enum Act {
    /// Calls a tool.
    Call(Value),
    /// Calls two tools and waits for neither before the other.
    Both(Value, Value),
    /// Asks for the prompt.
    Prompt,
    /// Asks for the tools of the task.
    TaskTools,
    /// Has candidates scored.
    Score(Value),
    /// Asks for the last run again.
    Again,
    /// Says that it is there.
    Ping,
}

impl Scene {
    /// Asks an environment.
    pub fn of(ors: &Ors, role: &Role) -> Scene {
        let name = role.name;
        let splits = ors.get(&format!("/{name}/splits")).json();
        let names = splits.as_array().expect("a list of splits").iter();
        let count = |split: &Value| {
            let split = split["name"].as_str().expect("a name").to_owned();
            let answer = ors.post(&format!("/{name}/num_tasks"), &json!({"split": split}));
            // The catalog of one fixture fails for one split, as it should.
            let count = (answer.status() == 200).then(|| answer.json()["num_tasks"].as_u64());
            (split, count.flatten().unwrap_or(0))
        };
        let splits: Vec<_> = names.map(count).filter(|(_, count)| *count > 0).collect();
        assert!(!splits.is_empty(), "{name} has no tasks");
        let listing = ors.get(&format!("/{name}/tools")).json();
        let listed = listing["tools"].as_array().expect("a list of tools");
        let listed = listed.iter().map(|tool| {
            let name = tool["name"].as_str().expect("a name").to_owned();
            (name, tool["input_schema"].clone())
        });
        let text = json!({"type": "string"});
        let said = json!({"type": "object", "properties": {"text": text, "answer": text}});
        let unlisted = role
            .unlisted
            .iter()
            .map(|name| ((*name).to_owned(), said.clone()));
        Scene {
            splits,
            tools: listed.chain(unlisted).collect(),
        }
    }

    /// The script of this number. `alone` leaves out what depends on when
    /// things happen.
    pub fn script(&self, role: &Role, seed: u64, number: u64, alone: bool) -> Script {
        let name = role.name;
        let session = format!("{name}.{seed}.{number}");
        // The name counts, so that no two environments play the same.
        let hash = session.bytes().fold(seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let rng = &mut StdRng::seed_from_u64(hash);
        let (split, count) = &self.splits[rng.random_range(0..self.splits.len())];
        let index = rng.random_range(0..*count);
        let create = match role.spec {
            Some(spec) if rng.random_bool(0.6) => {
                json!({"env_name": name, "task_spec": spec(rng)})
            }
            _ => json!({"env_name": name, "split": split, "index": index}),
        };
        let pairs = role.secrets.iter().map(|secret| {
            let value = format!("{secret}-{:016x}", rng.random::<u64>());
            ((*secret).to_owned(), json!({"value": value}))
        });
        let secrets = Value::Object(pairs.collect());
        let acts = (0..rng.random_range(1..=LONGEST)).map(|_| self.act(rng, role, alone));
        Script {
            environment: role.name,
            session,
            create,
            secrets,
            acts: acts.collect(),
            seed: rng.random(),
            ends: rng.random_bool(0.5),
        }
    }

    fn act(&self, rng: &mut StdRng, role: &Role, alone: bool) -> Act {
        match rng.random_range(0..100) {
            0..8 => Act::Prompt,
            8..13 => Act::TaskTools,
            13..18 => Act::Score(candidates(rng)),
            18..21 => Act::Again,
            21..24 => Act::Ping,
            24..28 if !alone => Act::Both(self.call(rng, role, alone), self.call(rng, role, alone)),
            _ => Act::Call(self.call(rng, role, alone)),
        }
    }

    /// A body of `/call`: most often as the schema has it.
    fn call(&self, rng: &mut StdRng, role: &Role, alone: bool) -> Value {
        let fits = |(name, _): &&(String, Value)| !(alone && role.timely.contains(&&**name));
        let tools: Vec<&(String, Value)> = self.tools.iter().filter(fits).collect();
        let (tool, schema) = pick(rng, &tools);
        let mut input = sample(rng, role.name, "", schema, schema);
        let mut tool = tool.as_str();
        match rng.random_range(0..100) {
            0..6 => tool = pick(rng, &["nosuch", "", "Echo", "__proto__", "set up"]),
            6..18 => spoil(rng, &mut input),
            _ => {}
        }
        json!({"name": tool, "input": input})
    }
}

/// A value as a schema has it; the root is where its definitions are.
fn sample(rng: &mut StdRng, env: &str, member: &str, schema: &Value, root: &Value) -> Value {
    if !member.is_empty()
        && rng.random_bool(0.9)
        && let Some(word) = word(rng, env, member)
    {
        return word;
    }
    if let Some(target) = schema["$ref"].as_str() {
        let place = target.trim_start_matches('#');
        let schema = root.pointer(place).unwrap_or(&Value::Null);
        return sample(rng, env, member, schema, root);
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    for choices in ["enum", "oneOf", "anyOf"] {
        if let Some([first, rest @ ..]) = schema[choices].as_array().map(Vec::as_slice) {
            let at = rng.random_range(0..=rest.len());
            let chosen = if at == 0 { first } else { &rest[at - 1] };
            return match choices {
                "enum" => chosen.clone(),
                _ => sample(rng, env, member, chosen, root),
            };
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds[rng.random_range(0..kinds.len())].clone(),
        kind => kind.clone(),
    };
    match kind.as_str() {
        Some("object") => {
            let mut object = Map::new();
            let members = schema["properties"]
                .as_object()
                .cloned()
                .unwrap_or_default();
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            for (name, schema) in &members {
                if required.contains(&json!(name)) || rng.random_bool(0.6) {
                    let value = sample(rng, env, name, schema, root);
                    object.insert(name.clone(), value);
                }
            }
            Value::Object(object)
        }
        Some("array") => {
            let count = rng.random_range(0..3);
            let items = (0..count).map(|_| sample(rng, env, "", &schema["items"], root));
            Value::Array(items.collect())
        }
        Some("integer") => {
            let (least, most) = (schema["minimum"].as_i64(), schema["maximum"].as_i64());
            let usual = rng.random_range(-3..20);
            json!(usual.clamp(least.unwrap_or(-3), most.unwrap_or(20)))
        }
        Some("number") => json!(f64::from(rng.random_range(-40..400)) / 8.0),
        Some("boolean") => json!(rng.random_bool(0.5)),
        Some("string") => json!(text(rng)),
        Some("null") => Value::Null,
        _ => anything(rng),
    }
}

fn text(rng: &mut StdRng) -> String {
    const WORDS: [&str; 10] = [
        "a",
        "word",
        "h\u{e9}llo",
        "\u{1f600}",
        "\n",
        "  ",
        "\"quoted\"",
        "0",
        "\u{2028}",
        "long ",
    ];
    let count = rng.random_range(0..5);
    let words: Vec<&str> = (0..count).map(|_| pick(rng, &WORDS)).collect();
    words.join(" ").repeat(pick(rng, &[1, 1, 1, 40]))
}

fn anything(rng: &mut StdRng) -> Value {
    match rng.random_range(0..7) {
        0 => Value::Null,
        1 => json!(rng.random_bool(0.5)),
        // Small: it may come to be how long to sleep.
        2 => json!(rng.random_range(-5..50)),
        3 => json!(0.1),
        4 => json!([1, "two", {"three": []}]),
        5 => json!({"a": {"b": null}}),
        _ => json!(text(rng)),
    }
}

/// Makes an input one that should be refused, as far as anything should.
fn spoil(rng: &mut StdRng, input: &mut Value) {
    let names: Vec<String> = match input.as_object() {
        Some(object) => object.keys().cloned().collect(),
        None => Vec::new(),
    };
    let Some(object) = input.as_object_mut().filter(|_| !names.is_empty()) else {
        *input = json!({"nobody": anything(rng)});
        return;
    };
    let name = &names[rng.random_range(0..names.len())];
    match rng.random_range(0..3) {
        0 => drop(object.remove(name)),
        1 => drop(object.insert(name.clone(), anything(rng))),
        _ => drop(object.insert("nobody".to_owned(), anything(rng))),
    }
}

fn candidates(rng: &mut StdRng) -> Value {
    let count = rng.random_range(0..4);
    let one = |rng: &mut StdRng| {
        let text = text(rng);
        json!({"messages": [{"role": "assistant", "blocks": [{"type": "text", "text": text}]}]})
    };
    Value::Array((0..count).map(|_| one(rng)).collect())
}
