//! The actions of a player, drawn from a seed in advance.
//!
//! A script depends on its seed and on the listings of the environment, but not
//! on responses of the session, so that it can be repeated elsewhere.

use orwd_tests::ors::OrsClient;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Map, Value, json};

use crate::environments::{EnvironmentProfile, pick, typical_value};

/// The maximum number of actions per episode.
const MAX_ACTIONS: usize = 14;

/// The splits and tools that an environment lists.
#[derive(Clone, Debug)]
pub struct EnvironmentListing {
    splits: Vec<(String, u64)>,
    tools: Vec<(String, Value)>,
}

/// All actions of a player in one episode.
#[derive(Clone, Debug)]
pub struct EpisodeScript {
    /// The environment.
    pub environment: &'static str,
    /// The session's id, which names the script.
    pub session: String,
    /// `X-ORWD-Seed`.
    pub seed: u64,
    /// The secrets, as in the header.
    pub secrets: Value,
    /// The body of `/create`.
    pub create: Value,
    /// The requests after `/create`.
    pub actions: Vec<EpisodeAction>,
    /// Whether the player deletes the session at the end.
    pub ends: bool,
}

/// One action of a player.
#[derive(Clone, Debug)]
pub enum EpisodeAction {
    /// Calls a tool.
    Call(Value),
    /// Calls two tools concurrently.
    Both(Value, Value),
    /// Reads the prompt.
    Prompt,
    /// Reads the tools of the task.
    TaskTools,
    /// Scores candidates.
    Score(Value),
    /// Resumes the last run.
    ResumeLast,
    /// Sends a ping.
    Ping,
}

impl EnvironmentListing {
    /// Reads the listings of an environment.
    pub fn of(ors: &OrsClient, profile: &EnvironmentProfile) -> EnvironmentListing {
        let name = profile.name;
        let splits = ors.get(&format!("/{name}/splits")).json();
        let names = splits.as_array().expect("a list of splits").iter();
        let count = |split: &Value| {
            let split = split["name"].as_str().expect("a name").to_owned();
            let answer = ors.post(&format!("/{name}/num_tasks"), &json!({"split": split}));
            // One fixture fails for one split on purpose.
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
        let unlisted = profile
            .unlisted
            .iter()
            .map(|name| ((*name).to_owned(), said.clone()));
        EnvironmentListing {
            splits,
            tools: listed.chain(unlisted).collect(),
        }
    }

    /// Draws the script of this number. `deterministic` excludes actions whose
    /// results depend on timing.
    pub fn script(
        &self,
        profile: &EnvironmentProfile,
        seed: u64,
        number: u64,
        deterministic: bool,
    ) -> EpisodeScript {
        let name = profile.name;
        let session = format!("{name}.{seed}.{number}");
        // The name is part of the seed, so that environments get different
        // scripts.
        let hash = session.bytes().fold(seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let rng = &mut StdRng::seed_from_u64(hash);
        let (split, count) = &self.splits[rng.random_range(0..self.splits.len())];
        let index = rng.random_range(0..*count);
        let create = match profile.spec {
            Some(spec) if rng.random_bool(0.6) => {
                json!({"env_name": name, "task_spec": spec(rng)})
            }
            _ => json!({"env_name": name, "split": split, "index": index}),
        };
        let pairs = profile.secrets.iter().map(|secret| {
            let value = format!("{secret}-{:016x}", rng.random::<u64>());
            ((*secret).to_owned(), json!({"value": value}))
        });
        let secrets = Value::Object(pairs.collect());
        let actions =
            (0..rng.random_range(1..=MAX_ACTIONS)).map(|_| self.act(rng, profile, deterministic));
        EpisodeScript {
            environment: profile.name,
            session,
            create,
            secrets,
            actions: actions.collect(),
            seed: rng.random(),
            ends: rng.random_bool(0.5),
        }
    }

    fn act(
        &self,
        rng: &mut StdRng,
        profile: &EnvironmentProfile,
        deterministic: bool,
    ) -> EpisodeAction {
        match rng.random_range(0..100) {
            0..8 => EpisodeAction::Prompt,
            8..13 => EpisodeAction::TaskTools,
            13..18 => EpisodeAction::Score(candidates(rng)),
            18..21 => EpisodeAction::ResumeLast,
            21..24 => EpisodeAction::Ping,
            24..28 if !deterministic => EpisodeAction::Both(
                self.call(rng, profile, deterministic),
                self.call(rng, profile, deterministic),
            ),
            _ => EpisodeAction::Call(self.call(rng, profile, deterministic)),
        }
    }

    /// Draws a body of `/call`, which usually fits the schema.
    fn call(&self, rng: &mut StdRng, profile: &EnvironmentProfile, deterministic: bool) -> Value {
        let fits = |(name, _): &&(String, Value)| {
            !(deterministic && profile.time_dependent.contains(&&**name))
        };
        let tools: Vec<&(String, Value)> = self.tools.iter().filter(fits).collect();
        let (tool, schema) = pick(rng, &tools);
        let mut input = sample(rng, profile.name, "", schema, schema);
        let mut tool = tool.as_str();
        match rng.random_range(0..100) {
            0..6 => tool = pick(rng, &["nosuch", "", "Echo", "__proto__", "set up"]),
            6..18 => corrupt(rng, &mut input),
            _ => {}
        }
        json!({"name": tool, "input": input})
    }
}

/// Draws a value that fits a schema; `root` has the definitions.
fn sample(rng: &mut StdRng, env: &str, member: &str, schema: &Value, root: &Value) -> Value {
    if !member.is_empty()
        && rng.random_bool(0.9)
        && let Some(typical_value) = typical_value(rng, env, member)
    {
        return typical_value;
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
        // Small, since it may be used as a duration.
        2 => json!(rng.random_range(-5..50)),
        3 => json!(0.1),
        4 => json!([1, "two", {"three": []}]),
        5 => json!({"a": {"b": null}}),
        _ => json!(text(rng)),
    }
}

/// Corrupts an input so that most tools refuse it.
fn corrupt(rng: &mut StdRng, input: &mut Value) {
    let names: Vec<String> = match input.as_object() {
        Some(object) => object.keys().cloned().collect(),
        None => Vec::new(),
    };
    let Some(object) = input.as_object_mut().filter(|_| !names.is_empty()) else {
        *input = json!({"unknown": anything(rng)});
        return;
    };
    let name = &names[rng.random_range(0..names.len())];
    match rng.random_range(0..3) {
        0 => drop(object.remove(name)),
        1 => drop(object.insert(name.clone(), anything(rng))),
        _ => drop(object.insert("unknown".to_owned(), anything(rng))),
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
