//! The bodies of requests, typed (wire contract sections 5, 6, 8 and 9).

use super::candidates::candidate;
use super::document::Document;
use super::fields::{Integer, integer, list, object, string};
use super::problems::{Loc, Mistake, Problems};
use orwd_model::{Candidate, Json, TaskSource};

/// `/tasks` and `/num_tasks`.
#[derive(Debug, PartialEq)]
pub(super) struct SplitRequest {
    pub(super) split: String,
}

impl SplitRequest {
    pub(super) fn read(body: Document<'_>) -> Result<SplitRequest, Problems> {
        body.read(|mut reader| {
            let split = reader.required("split", string);
            reader.finish();
            Some(SplitRequest { split: split? })
        })
    }
}

/// `/task`.
#[derive(Debug, PartialEq)]
pub(super) struct TaskRequest {
    pub(super) split: String,
    /// `None` is beyond 64 bits, and so out of every range.
    pub(super) index: Option<i64>,
}

impl TaskRequest {
    pub(super) fn read(body: Document<'_>) -> Result<TaskRequest, Problems> {
        body.read(|mut reader| {
            let split = reader.required("split", string);
            let index = reader.required("index", integer);
            reader.finish();
            Some(TaskRequest {
                split: split?,
                index: index?.exact(),
            })
        })
    }
}

/// `/task_range`.
#[derive(Debug, PartialEq)]
pub(super) struct RangeRequest {
    pub(super) split: String,
    pub(super) start: Option<i64>,
    pub(super) stop: Option<i64>,
}

impl RangeRequest {
    pub(super) fn read(body: Document<'_>) -> Result<RangeRequest, Problems> {
        body.read(|mut reader| {
            let split = reader.required("split", string);
            let start = reader.optional("start", integer);
            let stop = reader.optional("stop", integer);
            reader.finish();
            Some(RangeRequest {
                split: split?,
                start: start?.map(Integer::saturated),
                stop: stop?.map(Integer::saturated),
            })
        })
    }
}

/// `/create`.
#[derive(Debug, PartialEq)]
pub(super) struct CreateRequest {
    pub(super) env_name: Option<String>,
    pub(super) source: TaskSource,
    pub(super) toolset_name: Option<String>,
}

impl CreateRequest {
    pub(super) fn read(body: Document<'_>) -> Result<CreateRequest, Problems> {
        body.read(|mut reader| {
            let env_name = reader.optional("env_name", string);
            let task_spec = reader.optional("task_spec", object);
            let split = reader.optional("split", string);
            let index = reader.optional("index", integer);
            let toolset_name = reader.optional("toolset_name", string);
            // The rule between the fields is looked at only where each field
            // is right by itself.
            let (whole, problems) = reader.finish();
            if problems.any() {
                return None;
            }
            match source(task_spec?, split?, index?) {
                Ok(source) => Some(CreateRequest {
                    env_name: env_name?,
                    source,
                    toolset_name: toolset_name?,
                }),
                Err(rule) => {
                    problems.push(&Mistake::Value(rule.into()), &Loc::BODY, whole);
                    None
                }
            }
        })
    }
}

/// Exactly one source: a task, or a split and an index.
fn source(
    spec: Option<Json>,
    split: Option<String>,
    index: Option<Integer>,
) -> Result<TaskSource, &'static str> {
    match (spec, split, index) {
        (Some(spec), None, None) => Ok(TaskSource::Spec(spec)),
        (None, Some(split), Some(index)) => Ok(TaskSource::Index {
            split,
            index: index.exact(),
        }),
        (Some(_), Some(_), None) | (Some(_), None, Some(_)) => {
            Err("split and index must both be provided together")
        }
        _ => Err("Provide either task_spec or both split and index, not both/neither"),
    }
}

/// `/call`.
#[derive(Debug, PartialEq)]
pub(super) struct CallRequest {
    pub(super) name: String,
    pub(super) input: Json,
    pub(super) task_id: Option<String>,
}

impl CallRequest {
    pub(super) fn read(body: Document<'_>) -> Result<CallRequest, Problems> {
        body.read(|mut reader| {
            let name = reader.required("name", string);
            let input = reader.required("input", object);
            let task_id = reader.optional("task_id", string);
            reader.finish();
            Some(CallRequest {
                name: name?,
                input: input?,
                task_id: task_id?,
            })
        })
    }
}

/// `/score_group`.
#[derive(Debug, PartialEq)]
pub(super) struct ScoreRequest {
    pub(super) candidates: Vec<Candidate>,
    pub(super) task_id: Option<String>,
}

impl ScoreRequest {
    pub(super) fn read(body: Document<'_>) -> Result<ScoreRequest, Problems> {
        body.read(|mut reader| {
            let candidates = reader.required("candidates", |raw, loc, problems| {
                list(raw, loc, problems, candidate)
            });
            let task_id = reader.optional("task_id", string);
            reader.finish();
            Some(ScoreRequest {
                candidates: candidates?,
                task_id: task_id?,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(body: &str) -> Document<'_> {
        Document::parse(body.as_bytes(), true).unwrap()
    }

    fn told(problems: &Problems) -> Vec<String> {
        let list: Vec<serde_json::Value> = serde_json::from_str(&problems.to_json()).unwrap();
        list.iter()
            .map(|item| {
                let msg = item["msg"].as_str().unwrap();
                format!("{} {}: {msg}", item["type"].as_str().unwrap(), item["loc"])
            })
            .collect()
    }

    #[test]
    fn a_session_is_created_from_one_source() {
        const NEITHER: &str = "value_error [\"body\"]: Value error, Provide either task_spec or \
                               both split and index, not both/neither";
        const TOGETHER: &str = "value_error [\"body\"]: Value error, split and index must both \
                                be provided together";
        let spec = |text: &str| TaskSource::Spec(Json::object(text.to_owned()).unwrap());
        let index = |split: &str, index| TaskSource::Index {
            split: split.to_owned(),
            index,
        };
        for (body, expected) in [
            (r#"{"task_spec":{}}"#, Ok(spec("{}"))),
            (r#"{"task_spec":{"n": 1}}"#, Ok(spec("{\"n\":1}"))),
            (r#"{"split":"a","index":-1}"#, Ok(index("a", Some(-1)))),
            (
                r#"{"split":"a","index":99999999999999999999,"task_spec":null}"#,
                Ok(index("a", None)),
            ),
            ("{}", Err(NEITHER)),
            (r#"{"split":"a"}"#, Err(NEITHER)),
            (r#"{"index":0}"#, Err(NEITHER)),
            (r#"{"env_name":"a"}"#, Err(NEITHER)),
            (r#"{"task_spec":{},"split":"a","index":0}"#, Err(NEITHER)),
            (r#"{"task_spec":{},"split":"a"}"#, Err(TOGETHER)),
            (r#"{"task_spec":{},"index":0}"#, Err(TOGETHER)),
            (
                r#"{"secrets":{}}"#,
                Err("extra_forbidden [\"body\",\"secrets\"]: Extra inputs are not permitted"),
            ),
        ] {
            match (CreateRequest::read(document(body)), expected) {
                (Ok(request), Ok(source)) => assert_eq!(request.source, source, "{body}"),
                (Err(problems), Err(text)) => assert_eq!(told(&problems), [text], "{body}"),
                (read, _) => panic!("{body}: {read:?}"),
            }
        }
    }

    #[test]
    fn a_call_names_a_tool_and_its_input() {
        let request =
            CallRequest::read(document(r#"{"input":{"a":1},"name":"t","task_id":""}"#)).unwrap();
        assert_eq!(request.name, "t");
        assert_eq!(request.input.as_str(), "{\"a\":1}");
        assert_eq!(request.task_id.as_deref(), Some(""));
        let problems = CallRequest::read(document(r#"{"input":null,"task_id":1}"#)).unwrap_err();
        assert_eq!(
            told(&problems),
            [
                "missing [\"body\",\"name\"]: Field required",
                "dict_type [\"body\",\"input\"]: Input should be a valid dictionary",
                "string_type [\"body\",\"task_id\"]: Input should be a valid string",
            ]
        );
    }

    #[test]
    fn slice_bounds_saturate() {
        let body = r#"{"split":"a","start":-1e30,"stop":1e30}"#;
        let request = RangeRequest::read(document(body)).unwrap();
        assert_eq!(
            (request.start, request.stop),
            (Some(i64::MIN), Some(i64::MAX))
        );
        let request = RangeRequest::read(document(r#"{"split":"a","start":null}"#)).unwrap();
        assert_eq!((request.start, request.stop), (None, None));
    }
}
