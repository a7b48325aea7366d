//! The typed request bodies of the routes (`docs/src/reference/wire-contract.md`,
//! sections 5, 6, 8 and 9).

use orwd_model::{Candidate, Json, TaskSource};

use super::json_body::JsonBody;
use super::scalars::{Integer, integer, list, object, string};
use super::score_request::candidate;
use super::validation_error::{Location, ValidationError, ValidationErrors};

/// The body of `/tasks` and `/num_tasks`.
#[derive(Debug, PartialEq)]
pub(crate) struct SplitRequest {
    pub(crate) split: String,
}

impl SplitRequest {
    pub(crate) fn read(body: JsonBody<'_>) -> Result<SplitRequest, ValidationErrors> {
        body.read(|mut reader| {
            let split = reader.required("split", string);
            reader.finish();
            Some(SplitRequest { split: split? })
        })
    }
}

/// The body of `/task`.
#[derive(Debug, PartialEq)]
pub(crate) struct TaskRequest {
    pub(crate) split: String,
    /// `None` exceeds 64 bits and so every range.
    pub(crate) index: Option<i64>,
}

impl TaskRequest {
    pub(crate) fn read(body: JsonBody<'_>) -> Result<TaskRequest, ValidationErrors> {
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

/// The body of `/task_range`.
#[derive(Debug, PartialEq)]
pub(crate) struct TaskRangeRequest {
    pub(crate) split: String,
    pub(crate) start: Option<i64>,
    pub(crate) stop: Option<i64>,
}

impl TaskRangeRequest {
    pub(crate) fn read(body: JsonBody<'_>) -> Result<TaskRangeRequest, ValidationErrors> {
        body.read(|mut reader| {
            let split = reader.required("split", string);
            let start = reader.optional("start", integer);
            let stop = reader.optional("stop", integer);
            reader.finish();
            Some(TaskRangeRequest {
                split: split?,
                start: start?.map(Integer::saturated),
                stop: stop?.map(Integer::saturated),
            })
        })
    }
}

/// The body of `/create`.
#[derive(Debug, PartialEq)]
pub(crate) struct CreateRequest {
    pub(crate) env_name: Option<String>,
    pub(crate) source: TaskSource,
    pub(crate) toolset_name: Option<String>,
}

impl CreateRequest {
    pub(crate) fn read(body: JsonBody<'_>) -> Result<CreateRequest, ValidationErrors> {
        body.read(|mut reader| {
            let env_name = reader.optional("env_name", string);
            let task_spec = reader.optional("task_spec", object);
            let split = reader.optional("split", string);
            let index = reader.optional("index", integer);
            let toolset_name = reader.optional("toolset_name", string);
            // The rule between the fields is checked only if each field is valid.
            let (source_text, errors) = reader.finish();
            if errors.any() {
                return None;
            }
            match task_source(task_spec?, split?, index?) {
                Ok(source) => Some(CreateRequest {
                    env_name: env_name?,
                    source,
                    toolset_name: toolset_name?,
                }),
                Err(rule) => {
                    let error = ValidationError::Value(rule.into());
                    errors.push(&error, &Location::BODY, source_text);
                    None
                }
            }
        })
    }
}

/// Returns the one source: a task, or a split with an index.
fn task_source(
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

/// The body of `/call`.
#[derive(Debug, PartialEq)]
pub(crate) struct CallRequest {
    pub(crate) name: String,
    pub(crate) input: Json,
    pub(crate) task_id: Option<String>,
}

impl CallRequest {
    pub(crate) fn read(body: JsonBody<'_>) -> Result<CallRequest, ValidationErrors> {
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

/// The body of `/score_group`.
#[derive(Debug, PartialEq)]
pub(crate) struct ScoreRequest {
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) task_id: Option<String>,
}

impl ScoreRequest {
    pub(crate) fn read(body: JsonBody<'_>) -> Result<ScoreRequest, ValidationErrors> {
        body.read(|mut reader| {
            let candidates = reader.required("candidates", |value| list(value, candidate));
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

    fn json_body(body: &str) -> JsonBody<'_> {
        JsonBody::parse(body.as_bytes(), true).unwrap()
    }

    fn messages(errors: &ValidationErrors) -> Vec<String> {
        let list: Vec<serde_json::Value> = serde_json::from_str(&errors.to_json()).unwrap();
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
            match (CreateRequest::read(json_body(body)), expected) {
                (Ok(request), Ok(source)) => assert_eq!(request.source, source, "{body}"),
                (Err(errors), Err(text)) => assert_eq!(messages(&errors), [text], "{body}"),
                (read, _) => panic!("{body}: {read:?}"),
            }
        }
    }

    #[test]
    fn a_call_names_a_tool_and_its_input() {
        let request =
            CallRequest::read(json_body(r#"{"input":{"a":1},"name":"t","task_id":""}"#)).unwrap();
        assert_eq!(request.name, "t");
        assert_eq!(request.input.as_str(), "{\"a\":1}");
        assert_eq!(request.task_id.as_deref(), Some(""));
        let errors = CallRequest::read(json_body(r#"{"input":null,"task_id":1}"#)).unwrap_err();
        assert_eq!(
            messages(&errors),
            [
                "missing [\"body\",\"name\"]: Field required",
                "dict_type [\"body\",\"input\"]: Input should be a valid dictionary",
                "string_type [\"body\",\"task_id\"]: Input should be a valid string",
            ]
        );
    }

    #[test]
    fn saturates_slice_bounds() {
        let body = r#"{"split":"a","start":-1e30,"stop":1e30}"#;
        let request = TaskRangeRequest::read(json_body(body)).unwrap();
        assert_eq!(
            (request.start, request.stop),
            (Some(i64::MIN), Some(i64::MAX))
        );
        let request = TaskRangeRequest::read(json_body(r#"{"split":"a","start":null}"#)).unwrap();
        assert_eq!((request.start, request.stop), (None, None));
    }
}
