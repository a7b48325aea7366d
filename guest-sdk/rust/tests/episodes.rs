//! Environments as a host sees them, through the harness.

#![allow(clippy::unwrap_used, reason = "what fails is the test")]

use orwd_sdk::prelude::*;

/// An environment with toolsets whose tasks choose what fails.
struct House {
    task: Task,
    secret: Option<String>,
    rng: Rng,
    setups: u32,
    door: Door,
    bell: Bell,
}

#[derive(Serialize, Deserialize)]
struct Task {
    #[serde(default)]
    wrong: String,
}

#[environment]
impl Environment for House {
    type Task = Task;

    fn splits() -> Vec<Split> {
        vec![Split::train("train"), Split::test("empty")]
    }

    fn tasks(split: &str) -> Result<Vec<Task>> {
        Ok(match split {
            "train" => ["a", "b", "c"]
                .map(|wrong| Task {
                    wrong: wrong.to_owned(),
                })
                .into(),
            _ => vec![],
        })
    }

    fn open(task: Task, session: &SessionParams) -> Result<Self> {
        if task.wrong == "open" {
            bail!("the house is locked");
        }
        Ok(Self {
            task,
            secret: session.secret("KEY").map(str::to_owned),
            rng: session.rng(),
            setups: 0,
            door: Door { knocks: 0 },
            bell: Bell,
        })
    }

    fn setup(&mut self) -> Result<()> {
        self.setups += 1;
        match self.task.wrong.as_str() {
            "setup" => bail!("no. {}", self.setups),
            _ => Ok(()),
        }
    }

    fn prompt(&mut self) -> Result<Vec<Block>> {
        Ok(vec![match self.task.wrong.as_str() {
            "detail" => text("Enter.").detail("no object"),
            _ => text("Enter."),
        }])
    }

    fn messages(&mut self) -> Result<Vec<Message>> {
        Ok(vec![match self.task.wrong.as_str() {
            "messages" => Message::system().with(Reasoning::new("hm")),
            _ => Message::system().text("Enter."),
        }])
    }

    fn task_tools(&mut self) -> Result<Vec<TaskTool>> {
        Ok(vec![TaskTool::new(
            match self.task.wrong.as_str() {
                "task tools" => "chimney",
                _ => "knock",
            },
            "Knocks.",
        )])
    }

    fn score_group(&mut self, candidates: &[Candidate]) -> Result<Vec<Score>> {
        let reward = match self.task.wrong.as_str() {
            "score" => f64::INFINITY,
            _ => 1.0,
        };
        Ok(vec![reward.into(); candidates.len()])
    }
}

#[tools(toolsets(door: Door, bell: Bell))]
impl House {
    /// Opens the house.
    ///
    /// Twice is once too often.
    #[tool]
    fn r#use(&self) -> Result<Output, std::num::ParseIntError> {
        let key: i64 = self.secret.as_deref().unwrap_or("none").parse()?;
        Ok(Output::text(key.to_string()).finished())
    }

    #[tool(name = "throw-dice")]
    fn dice(&mut self) -> String {
        self.rng.range(1..7).to_string()
    }

    #[tool]
    fn count(&self) -> Output {
        Output::text(self.setups.to_string()).metadata(match self.task.wrong.as_str() {
            "metadata" => json!([1]),
            _ => json!({"setups": self.setups}),
        })
    }
}

struct Door {
    knocks: u32,
}

#[tools]
impl Door {
    #[tool]
    fn knock(&mut self) -> String {
        self.knocks += 1;
        self.knocks.to_string()
    }

    #[tool]
    fn ring(&self) -> &str {
        "door"
    }
}

struct Bell;

#[tools]
impl Bell {
    #[tool]
    fn ring(&self) -> &str {
        "bell"
    }
}

fn house(wrong: &str) -> Harness<House> {
    Harness::open(json!({"wrong": wrong})).unwrap()
}

fn said(episode: &mut Harness<House>, tool: &str) -> Result<String, String> {
    let output = episode.call(tool, json!({}));
    output
        .map(|output| output.plain())
        .map_err(|error| error.to_string())
}

#[test]
fn tasks_are_listed_counted_and_looked_up() {
    type Catalog = Harness<House>;
    let task = |name: &str| json!({"wrong": name});
    assert_eq!(Catalog::tasks("train").unwrap(), ["a", "b", "c"].map(task));
    assert_eq!(Catalog::num_tasks("empty"), Ok(0));
    assert_eq!(Catalog::num_tasks("train"), Ok(3));
    for (index, name) in [(0, "a"), (2, "c"), (-1, "c"), (-3, "a")] {
        assert_eq!(Catalog::task("train", index), Ok(task(name)), "{index}");
    }
    for (split, index) in [("train", 3), ("train", -4), ("empty", 0), ("empty", -1)] {
        assert_eq!(Catalog::task(split, index), Err(TaskError::InvalidIndex));
    }
    assert_eq!(Catalog::tasks("nope"), Err(TaskError::InvalidSplit));
    assert_eq!(Catalog::num_tasks(""), Err(TaskError::InvalidSplit));
    assert_eq!(Catalog::task("Train", 0), Err(TaskError::InvalidSplit));
}

#[test]
fn state_lives_as_long_as_the_episode() {
    let mut episode = house("");
    assert_eq!(said(&mut episode, "knock").unwrap(), "1");
    assert_eq!(said(&mut episode, "knock").unwrap(), "2");
    assert_eq!(said(&mut house(""), "knock").unwrap(), "1");
}

#[test]
fn setup_runs_once_and_each_request_returns_its_error() {
    let mut ready = house("");
    ready.setup().unwrap();
    ready.setup().unwrap();
    assert_eq!(said(&mut ready, "count").unwrap(), "1");

    let mut failed = house("setup");
    assert_eq!(failed.prompt().unwrap_err().to_string(), "no. 1");
    assert_eq!(said(&mut failed, "count").unwrap_err(), "no. 1");
}

#[test]
fn random_numbers_depend_on_the_seed_alone() {
    let throws = |seed| -> Vec<String> {
        let mut episode = Harness::<House>::seed(seed).open(json!({})).unwrap();
        (0..8)
            .map(|_| said(&mut episode, "throw-dice").unwrap())
            .collect()
    };
    assert_eq!(throws(1), throws(1));
    assert_ne!(throws(1), throws(2));
}

#[test]
fn errors_are_returned_unchanged_and_the_episode_continues() {
    let mut episode = house("");
    assert_eq!(
        said(&mut episode, "use").unwrap_err(),
        "invalid digit found in string"
    );
    assert_eq!(said(&mut episode, "knock").unwrap(), "1");
    assert_eq!(episode.call("nothing", json!({})), Err(ToolError::NotFound));

    let refused = Harness::<House>::open(json!({"wrong": "open"})).unwrap_err();
    assert_eq!(refused.to_string(), "the house is locked");
    let misfit = Harness::<House>::open(json!({"wrong": 3})).unwrap_err();
    assert!(
        misfit
            .to_string()
            .starts_with("the task spec does not fit: wrong: invalid type"),
        "{misfit}"
    );
}

#[test]
fn no_tool_runs_after_the_episode_has_finished() {
    let mut episode = Harness::<House>::secret("KEY", "7")
        .open(json!({}))
        .unwrap();
    assert_eq!(said(&mut episode, "use").unwrap(), "7");
    assert_eq!(
        episode.call("knock", json!({})),
        Err(ToolError::EpisodeFinished)
    );
    assert_eq!(episode.prompt().unwrap(), [text("Enter.")]);
}

#[test]
fn toolsets_that_share_a_name_collide() {
    assert_eq!(
        said(&mut house(""), "ring").unwrap_err(),
        "Tool name collision: 'ring' is defined in both toolset 'Door' and toolset 'Bell'. \
         Please rename one of them to avoid conflicts."
    );
}

#[test]
fn tools_are_described_in_the_order_of_declaration() {
    let tools: Vec<_> = Harness::<House>::tools()
        .into_iter()
        .map(|tool| (tool.name, tool.toolset))
        .collect();
    assert_eq!(
        tools,
        [
            ("use", None),
            ("throw-dice", None),
            ("count", None),
            ("knock", Some("Door")),
            ("ring", Some("Door")),
            ("ring", Some("Bell")),
        ]
    );
    let tools = Harness::<House>::tools();
    assert_eq!(
        tools[0].description,
        "Opens the house.\n\nTwice is once too often."
    );
}

/// The harness rejects what a host rejects, and says what is wrong.
#[test]
fn the_harness_validates_results_as_the_host_does() {
    let one = [Candidate::new([])];
    type Request = fn(&mut Harness<House>, &[Candidate]) -> Result<()>;
    let cases: [(&str, Request, &str); 5] = [
        (
            "detail",
            |house, _| house.prompt().map(drop),
            "the detail of a block is no JSON object but \"no object\"",
        ),
        (
            "messages",
            |house, _| house.messages().map(drop),
            "a system message cannot hold reasoning",
        ),
        (
            "task tools",
            |house, _| house.task_tools().map(drop),
            "the task's tool `chimney` is no tool of the environment",
        ),
        (
            "score",
            |house, one| house.score_group(one).map(drop),
            "a reward must be finite and is inf",
        ),
        (
            "metadata",
            |house, _| Ok(house.call("count", json!({})).map(drop)?),
            "the metadata of the output is no JSON object but [1]",
        ),
    ];
    for (wrong, request, problem) in cases {
        assert!(request(&mut house(""), &one).is_ok(), "{wrong}");
        let error = request(&mut house(wrong), &one).unwrap_err();
        assert_eq!(error.to_string(), problem);
    }
}

mod odd {
    //! An environment that a host refuses to serve.

    use super::*;

    pub(super) struct Odd;

    #[environment]
    impl Environment for Odd {
        type Task = i64;

        fn splits() -> Vec<Split> {
            vec![Split::named("same"), Split::test("same")]
        }

        fn num_tasks(_split: &str) -> Result<u64> {
            Ok(7)
        }

        fn task(_split: &str, index: i64) -> Result<Option<i64>> {
            Ok((index != -1).then_some(index))
        }

        fn open(_task: i64, _session: &SessionParams) -> Result<Self> {
            Ok(Self)
        }

        fn prompt(&mut self) -> Result<Vec<Block>> {
            Ok(vec![])
        }
    }

    #[tools]
    impl Odd {
        #[tool]
        fn nothing(&self) -> Output {
            Output::empty()
        }
    }

    #[derive(Deserialize, JsonSchema)]
    pub(super) struct Grade {
        #[allow(dead_code)]
        mark: i64,
    }

    /// Environments that differ only in their tools.
    macro_rules! variant {
        ($name:ident, $mark:meta, $input:ty) => {
            pub(super) struct $name;

            #[environment]
            impl Environment for $name {
                type Task = Json;
                fn splits() -> Vec<Split> {
                    vec![Split::named("train")]
                }
                fn tasks(_split: &str) -> Result<Vec<Json>> {
                    Ok(vec![])
                }
                fn open(_task: Json, _session: &SessionParams) -> Result<Self> {
                    Ok(Self)
                }
                fn prompt(&mut self) -> Result<Vec<Block>> {
                    Ok(vec![])
                }
            }

            #[tools]
            impl $name {
                #[$mark]
                fn grade(&self, _input: $input) -> &str {
                    ""
                }
            }
        };
    }

    variant!(NoField, tool(terminal = "answer"), Grade);
    variant!(NoString, tool(terminal = "mark"), Grade);
    variant!(NoStruct, tool, i64);
}

#[test]
fn an_invalid_catalog_is_rejected() {
    let problem = |checked: Result<()>| checked.unwrap_err().to_string();
    assert_eq!(
        problem(Harness::<odd::Odd>::check()),
        "two splits are called `same`"
    );
    assert_eq!(
        problem(Harness::<odd::NoField>::check()),
        "the terminal tool `grade` has no field `answer` that is a string"
    );
    assert_eq!(
        problem(Harness::<odd::NoString>::check()),
        "the terminal tool `grade` has no field `mark` that is a string"
    );
    assert_eq!(
        problem(Harness::<odd::NoStruct>::check()),
        "the input of tool `grade` must be a struct with named fields, \
         its schema is {\"type\":\"integer\"}"
    );
}

#[test]
fn an_overridden_task_function_interprets_the_index() {
    type Catalog = Harness<odd::Odd>;
    assert_eq!(Catalog::num_tasks("same"), Ok(7));
    assert_eq!(Catalog::task("same", -1), Err(TaskError::InvalidIndex));
    assert_eq!(
        Catalog::task("same", -2),
        Err(TaskError::Failed(
            "a task must be a JSON object and is -2".to_owned()
        ))
    );
    let unlisted = Catalog::tasks("same").unwrap_err().to_string();
    assert_eq!(unlisted, "this environment does not list its tasks");
}
