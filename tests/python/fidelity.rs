//! The same environments under the published server and as a component: what a
//! client sees is equal, or stands in the list of differences below.

use std::path::Path;

use orwd_tests::http::{HttpRequest, HttpResponse};
use orwd_tests::ors::OrsClient;
use orwd_tests::process::ServeCommand;
use serde_json::{Value, json};

use crate::building::{build, gallery, source};
use crate::episodes::Episode;
use crate::native::NativeServer;

/// Where orwd's wire contract differs from the reference on purpose, for all
/// environments: a part of what the reference sends, and what stands there.
///
/// - The host names one type for every failed constructor, setup and prompt.
/// - Interpreters before Python 3.13 keep the indentation of docstrings, which are
///   the descriptions of tools. The component's is 3.14.
const DIFFERENCES: &[(&str, &str)] = &[
    ("\"KeyError: ", "\"RuntimeError: KeyError: "),
    ("\"LookupError: ", "\"RuntimeError: LookupError: "),
    ("\\n        ", "\\n"),
];

fn gallery_natively() -> NativeServer {
    let server = source("gallery").join("server.py");
    NativeServer::start(server.to_str().expect("a UTF-8 path"))
}

/// Compares every listing, and these episodes.
fn differences(reference: &OrsClient, orwd: &OrsClient, episodes: &[Episode]) -> Vec<String> {
    let names = |ors: &OrsClient| ors.get("/list_environments").json();
    assert_eq!(names(orwd), names(reference));
    let mut different = Vec::new();
    let listed = names(reference);
    for name in listed.as_array().expect("environments are a list") {
        let name = name.as_str().expect("a name is a string");
        different.extend(compare(&listings(reference, name), &listings(orwd, name)));
    }
    let mut lines = 0;
    for episode in episodes {
        let (expected, seen) = (episode.play(reference), episode.play(orwd));
        lines += expected.len();
        different.extend(compare(&expected, &seen));
    }
    eprintln!("{lines} answers in {} episodes", episodes.len());
    different
}

/// Returns a response as text, its JSON normalised.
fn text(response: &HttpResponse) -> String {
    let body = String::from_utf8_lossy(&response.body);
    let body = match serde_json::from_str::<Value>(&body) {
        Ok(value) => value.to_string(),
        Err(_) => body.into_owned(),
    };
    format!("{} {body}", response.status())
}

/// Returns what a client that plays no episode sees of an environment.
fn listings(ors: &OrsClient, environment: &str) -> Vec<String> {
    let mut seen = Vec::new();
    for route in ["tools", "splits"] {
        let response = ors.get(&format!("/{environment}/{route}"));
        seen.push(format!("{environment} {route} {}", text(&response)));
    }
    let splits = ors.get(&format!("/{environment}/splits")).json();
    let names = splits.as_array().expect("splits are a list").iter();
    for split in names.map(|split| split["name"].as_str().expect("a split has a name")) {
        for (route, body) in [
            ("num_tasks", json!({"split": split})),
            ("tasks", json!({"split": split})),
            ("task", json!({"split": split, "index": 0})),
            ("task", json!({"split": split, "index": 1_000_000})),
            ("task_range", json!({"split": split, "start": 1, "stop": 4})),
        ] {
            let path = format!("/{environment}/{route}");
            let response = ors.fetch(&HttpRequest::post(&path).json(&body));
            seen.push(format!("{environment} {route} {body} {}", text(&response)));
        }
    }
    let unknown = HttpRequest::post(&format!("/{environment}/tasks")).json(&json!({"split": "no"}));
    seen.push(format!(
        "{environment} no split {}",
        text(&ors.fetch(&unknown))
    ));
    seen
}

/// Compares two lists of lines, and shows all that differs.
fn compare(native: &[String], component: &[String]) -> Vec<String> {
    let mut different = Vec::new();
    for (expected, seen) in native.iter().zip(component) {
        let is_known = DIFFERENCES
            .iter()
            .any(|(from, to)| expected.replace(from, to) == *seen);
        if expected != seen && !is_known {
            different.push(format!("  native     {expected}\n  component  {seen}"));
        }
    }
    if native.len() != component.len() {
        let (native, component) = (native.len(), component.len());
        different.push(format!(
            "  {native} lines natively, {component} of the component"
        ));
    }
    different
}

#[test]
fn environments_are_served_as_the_published_server_serves_them() {
    let native = gallery_natively();
    let episodes: Vec<Value> =
        serde_json::from_str(include_str!("episodes.json")).expect("episodes.json is JSON");
    let episodes: Vec<Episode> = episodes.iter().map(Episode::read).collect();
    let different = differences(&native.ors(), &gallery().ors(), &episodes);
    assert!(
        different.is_empty(),
        "{} differences:\n{}",
        different.len(),
        different.join("\n")
    );
}

#[test]
fn fixtures_of_others_are_served_as_the_published_server_serves_them() {
    let Some(folder) = std::env::var_os("ORWD_PYTHON_FIXTURES") else {
        eprintln!("skipped: ORWD_PYTHON_FIXTURES names no folder with fixtures.py");
        return;
    };
    let module = Path::new(&folder).join("fixtures.py");
    let native = NativeServer::start(&format!("{}:ALL", module.display()));
    build(&module);
    let server = ServeCommand::path(&module).start();
    // An episode on the first task of each environment, with every tool that
    // takes no input, and some with too little.
    let listed = native.ors().get("/list_environments").json();
    let mut episodes = Vec::new();
    for name in listed.as_array().expect("environments are a list") {
        let name = name.as_str().expect("a name is a string");
        let tools = native.ors().get(&format!("/{name}/tools")).json();
        let tools = tools["tools"].as_array().cloned().unwrap_or_default();
        let calls: Vec<Value> = tools.iter().map(|tool| json!([tool["name"], {}])).collect();
        for index in 0..4 {
            let task = json!({"split": "train", "index": index});
            episodes.push(Episode::read(
                &json!({"environment": name, "task": task, "calls": calls}),
            ));
        }
    }
    let different = differences(&native.ors(), &server.ors(), &episodes);
    assert!(different.is_empty(), "{}", different.join("\n"));
}
