//! The listener for operators: metrics, and probes that answer when the server does
//! not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use orwd_tests::artifacts::workspace_dir;
use orwd_tests::background::wait_until;
use orwd_tests::http::{HttpClient, HttpRequest};
use orwd_tests::ors::{SessionClient, TaskSelector};
use orwd_tests::process::{ServeCommand, ServerProcess, unused_address};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::TIMEOUT;

/// Starts a server with a listener for operators, and waits until it is ready.
fn serve(command: ServeCommand) -> (ServerProcess, HttpClient) {
    let admin = unused_address();
    let server = command.set("--admin-listen", &admin).start();
    let admin = HttpClient::new(&format!("http://{admin}"));
    // It answers a little before the server takes work.
    wait_until("the server is ready", TIMEOUT, || {
        let (status, text) = get(&admin, "/ready");
        assert!(status == 200 || text.contains("starting"), "{text}");
        status == 200
    });
    (server, admin)
}

fn get(client: &HttpClient, path: &str) -> (u16, String) {
    let answer = client.try_fetch(&HttpRequest::get(path)).unwrap();
    let text = String::from_utf8(answer.body.clone()).unwrap();
    (answer.status(), text)
}

/// The metrics of a scrape.
struct Scrape {
    /// Their types, by name.
    types: BTreeMap<String, String>,
    /// Those that state their unit.
    units: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    fn take(client: &HttpClient) -> Scrape {
        let (status, text) = get(client, "/metrics");
        assert_eq!(status, 200);
        assert!(text.ends_with("# EOF\n"), "{text}");
        let said = |what: &str| {
            let pairs = text.lines().filter_map(|line| {
                let (name, said) = line.strip_prefix(what)?.split_once(' ')?;
                Some((name.to_owned(), said.to_owned()))
            });
            pairs.collect()
        };
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let samples = samples.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        });
        Scrape {
            types: said("# TYPE "),
            units: said("# UNIT "),
            samples: samples.collect(),
        }
    }

    #[track_caller]
    fn value(&self, sample: &str) -> f64 {
        let value = self.samples.get(sample);
        *value.unwrap_or_else(|| panic!("no {sample} in {:?}", self.samples.keys()))
    }

    /// Returns the values of this sample that are not zero, by the value of the
    /// label that comes last.
    fn by_last_label(&self, start: &str) -> BTreeMap<String, f64> {
        let of_sample = self.samples.iter().filter_map(|(sample, value)| {
            let labels = sample.strip_prefix(start)?;
            let last = labels.strip_suffix("\"}")?.rsplit('"').next()?;
            (*value != 0.0).then(|| (last.to_owned(), *value))
        });
        of_sample.collect()
    }

    /// Returns the names that samples have, without labels.
    fn names(&self) -> BTreeSet<&str> {
        let names = self.samples.keys().map(|sample| sample.split('{').next());
        names.flatten().collect()
    }

    /// Returns the values of each label.
    fn labels(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for sample in self.samples.keys() {
            let Some((_, set)) = sample.split_once('{') else {
                continue;
            };
            for label in set.trim_end_matches('}').split(',') {
                let (name, value) = label.split_once('=').unwrap();
                let values = labels.entry(name).or_default();
                values.insert(value.trim_matches('"'));
            }
        }
        labels
    }
}

/// Returns the rows of the table of metrics in the book: names and types.
fn documented() -> BTreeMap<String, String> {
    let page = fs::read_to_string(workspace_dir().join("docs/src/guide/metrics.md")).unwrap();
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `orwd_")?.split(" | ");
        let name = cells.next()?.strip_suffix('`')?;
        Some((format!("orwd_{name}"), cells.next()?.to_owned()))
    });
    rows.collect()
}

/// Returns the queries of the dashboard and of the alert rules.
fn queries() -> Vec<String> {
    let read = |file: &str| fs::read_to_string(workspace_dir().join("deploy").join(file)).unwrap();
    let dashboard: Value = serde_json::from_str(&read("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        targets
    });
    let mut queries: Vec<String> = targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect();
    assert!(queries.len() > 20, "{queries:?}");
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        queries.push(variable["query"].as_str().unwrap().to_owned());
    }
    // Comments and texts also name metrics.
    let alerts = read("alerts.yaml");
    assert!(alerts.matches("- alert: ").count() > 5);
    queries.push(alerts);
    queries
}

/// Returns the metrics that a query names, each with the labels that it asks for.
fn uses(query: &str) -> Vec<(&str, Vec<(&str, &str)>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = query.match_indices("orwd_").map(|(start, _)| start);
    let starts = starts.filter(|start| !query[..*start].ends_with(is_word));
    starts
        .map(|start| {
            let rest = &query[start..];
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            let set = rest.strip_prefix('{').and_then(|set| set.split_once('}'));
            let set = set.map_or("", |(set, _)| set).split(',');
            let exact = set.filter_map(|label| label.split_once("=\""));
            let labels = exact.map(|(label, value)| (label, value.trim_end_matches('"')));
            (name, labels.collect())
        })
        .collect()
}

fn open(server: &ServerProcess, environment: &str, task: Value) -> SessionClient {
    let session = server.ors().open(environment, TaskSelector::Spec(task));
    // Waits for the setup.
    assert_eq!(session.get("prompt").status(), 200);
    session
}

fn bump(session: &SessionClient) {
    let answer = session.call("bump", json!({"by": 1}));
    assert_eq!(answer.names().last(), Some(&"end"));
}

#[test]
fn what_happens_is_counted_exactly() {
    let command = ServeCommand::fixtures(&["alpha", "hostile"]).set("--max-sessions", "2");
    let (server, admin) = serve(command);
    let start = Scrape::take(&admin);
    for (sample, value) in &start.samples {
        if sample.starts_with("orwd_calls") || sample.starts_with("orwd_sessions") {
            assert_eq!(*value, 0.0, "{sample}");
        }
    }
    assert_eq!(start.value("orwd_session_slots"), 2.0);
    assert_eq!(start.value("orwd_session_slots_free"), 2.0);
    let calls = |scrape: &Scrape, environment: &str| {
        scrape.by_last_label(&format!("orwd_calls_total{{environment=\"{environment}\","))
    };
    let counts = |of: &[(&str, f64)]| -> BTreeMap<String, f64> {
        let pairs = of.iter().map(|(name, count)| ((*name).to_owned(), *count));
        pairs.collect()
    };

    let first = open(&server, "alpha", json!({}));
    for _ in 0..3 {
        bump(&first);
    }
    // Refused by the description, without entering the guest.
    for _ in 0..2 {
        first.call("no-such-tool", json!({}));
    }
    // The tool's own error.
    first.call("fail", json!({"message": "on purpose"}));
    let scrape = Scrape::take(&admin);
    let expected = counts(&[("output", 3.0), ("refused", 2.0), ("failed", 1.0)]);
    assert_eq!(calls(&scrape, "alpha"), expected);
    assert_eq!(calls(&scrape, "hostile"), counts(&[]));
    let alpha = "{environment=\"alpha\"}";
    let durations = format!("orwd_call_duration_seconds_count{alpha}");
    assert_eq!(scrape.value(&durations), 4.0, "what was queued");
    assert_eq!(scrape.value("orwd_call_wait_seconds_count"), 4.0);
    // The creation, then a request and a response each: setup, prompt, calls.
    assert_eq!(scrape.value("orwd_journal_records_total"), 1.0 + 2.0 * 6.0);
    assert_eq!(scrape.value("orwd_journal_append_seconds_count"), 6.0);
    assert_eq!(scrape.value("orwd_journal_write_failures_total"), 0.0);
    assert_eq!(scrape.value("orwd_sessions_evicted_total"), 0.0);
    assert_eq!(scrape.value("orwd_session_slots_free"), 1.0);
    // The creation, the prompt, and every call: errors of tools are responses, too.
    let responses = |scrape: &Scrape| scrape.by_last_label("orwd_http_responses_total{");
    let before = responses(&scrape);
    assert_eq!(before.keys().collect::<Vec<_>>(), ["200"]);
    let started = responses(&start).get("200").copied().unwrap_or_default();
    assert_eq!(before["200"] - started, 2.0 + 6.0);
    assert_eq!(server.ors().get("/alpha/nowhere").status(), 404);
    assert_eq!(responses(&Scrape::take(&admin))["404"], 1.0);

    // Two more take the place of the first one; then it takes that of the second.
    let second = open(&server, "alpha", json!({}));
    let third = open(&server, "alpha", json!({}));
    let states = |scrape: &Scrape, environment: &str| {
        scrape.by_last_label(&format!("orwd_sessions{{environment=\"{environment}\","))
    };
    let scrape = Scrape::take(&admin);
    let expected = counts(&[("ready", 2.0), ("asleep", 1.0)]);
    assert_eq!(states(&scrape, "alpha"), expected);
    assert_eq!(scrape.value("orwd_sessions_created_total"), 3.0);
    assert_eq!(scrape.value("orwd_sessions_evicted_total"), 1.0);
    assert_eq!(scrape.value("orwd_sessions_resumed_total"), 0.0);
    assert_eq!(scrape.value("orwd_session_slots_free"), 0.0);
    bump(&first);
    let scrape = Scrape::take(&admin);
    assert_eq!(scrape.value("orwd_sessions_evicted_total"), 2.0);
    assert_eq!(scrape.value("orwd_sessions_hibernated_total"), 2.0);
    assert_eq!(scrape.value("orwd_sessions_resumed_total"), 1.0);
    // A replayed call is not a call.
    assert_eq!(calls(&scrape, "alpha")["output"], 4.0);

    // A trap ends its session, which counts as a call and as a fault.
    let doomed = open(&server, "hostile", json!({}));
    doomed.call("act", json!({"how": "abort"}));
    let scrape = Scrape::take(&admin);
    assert_eq!(calls(&scrape, "hostile"), counts(&[("faulted", 1.0)]));
    let faults = scrape.by_last_label("orwd_faults_total{");
    assert_eq!(faults, counts(&[("env_trap", 1.0)]));
    assert_eq!(states(&scrape, "hostile"), counts(&[("faulted", 1.0)]));
    assert_eq!(scrape.value("orwd_sessions_evicted_total"), 3.0);

    // A fork is created as well, and what is deleted is no longer there.
    let fork = format!("/orwd/sessions/{}/fork", first.id());
    let forked = server.ors().post(&fork, &json!({"count": 2}));
    assert_eq!(forked.status(), 200, "{forked:?}");
    for session in [&first, &second, &third, &doomed] {
        assert_eq!(session.delete().status(), 200);
    }
    let scrape = Scrape::take(&admin);
    assert_eq!(scrape.value("orwd_sessions_created_total"), 6.0);
    assert_eq!(states(&scrape, "alpha").values().sum::<f64>(), 2.0);
    assert_eq!(states(&scrape, "hostile"), counts(&[]));
}

#[test]
fn the_metrics_are_those_of_the_book_and_the_dashboard_and_alerts_use_them() {
    let (server, admin) = serve(ServeCommand::fixtures(&["alpha"]));
    let session = open(&server, "alpha", json!({}));
    bump(&session);
    let scrape = Scrape::take(&admin);
    assert_eq!(documented(), scrape.types, "docs/src/guide/metrics.md");

    let known = scrape.names();
    for query in queries() {
        for (name, labels) in uses(&query) {
            assert!(known.contains(name), "no scrape has {name}: {query}");
            for (label, value) in labels {
                let pair = format!("{label}=\"{value}\"");
                let has = |sample: &String| sample.starts_with(name) && sample.contains(&pair);
                let found = scrape.samples.keys().any(has);
                assert!(found, "no scrape has {name} with {pair}: {query}");
            }
        }
    }

    // The conventions of OpenMetrics.
    for (name, kind) in &scrape.types {
        let unit = ["seconds", "bytes"]
            .into_iter()
            .find(|unit| name.ends_with(&format!("_{unit}")));
        let stated = scrape.units.get(name).map(String::as_str);
        assert_eq!(unit, stated, "the unit of {name}");
        assert!(!name.ends_with("_total"), "{name}");
        let sample = match kind.as_str() {
            "counter" => format!("{name}_total"),
            "histogram" => format!("{name}_bucket"),
            "info" => format!("{name}_info"),
            "gauge" => name.clone(),
            kind => panic!("{name} is a {kind}"),
        };
        assert!(known.contains(sample.as_str()), "{sample}");
    }
    // Nothing that a client chooses is a label.
    let labels = scrape.labels();
    let names: Vec<&&str> = labels.keys().collect();
    let expected = [
        "code",
        "environment",
        "kind",
        "lane",
        "le",
        "outcome",
        "state",
        "status",
        "version",
    ];
    assert_eq!(names, expected.iter().collect::<Vec<_>>());
    assert_eq!(labels["environment"], BTreeSet::from(["alpha"]));
    assert_eq!(labels["lane"], BTreeSet::from(["guest", "host"]));
    assert_eq!(labels["outcome"].len(), 5);

    // What is read about the process, which is hardened, is that of the process.
    let value = |name: &str| scrape.value(&format!("orwd_process_{name}"));
    assert!(value("resident_bytes") > 1e6);
    assert!(value("page_table_bytes") > 1e3);
    assert!((10.0..value("mappings_limit")).contains(&value("mappings")));
    assert!((5.0..value("descriptors_limit")).contains(&value("descriptors")));
    assert!(value("cpu_seconds_total") > 0.0);
}

#[test]
fn probes_answer_while_the_server_drains_and_metrics_are_on_the_other_listener_alone() {
    let (server, admin) = serve(ServeCommand::fixtures(&["alpha"]));
    let ready = "{\"status\":\"ready\"}".to_owned();
    assert_eq!(get(&admin, "/ready"), (200, ready));
    assert_eq!(get(&admin, "/health").0, 200);
    assert_eq!(get(&admin, "/alpha/tools").0, 404);
    let post = admin.try_fetch(&HttpRequest::post("/metrics"));
    assert_eq!(post.unwrap().status(), 405);
    // A page in the browser of this machine's user cannot read it.
    let page = HttpRequest::get("/metrics").header("Origin", "http://page.example");
    assert_eq!(admin.try_fetch(&page).unwrap().status(), 403);
    let ors = server.ors();
    let public = ors.client().try_fetch(&HttpRequest::get("/metrics"));
    assert_ne!(public.unwrap().status(), 200);

    let session = ors.open("alpha", TaskSelector::At("train", 0));
    let mut stream = session.start("sleep", json!({"ms": 1500, "tag": "while-it-drains"}));
    stream.task_id();
    server.signal(Signal::TERM);
    let draining = (503, "{\"status\":\"draining\"}".to_owned());
    wait_until("it drains", TIMEOUT, || get(&admin, "/ready") == draining);
    assert!(stream.finish().text().contains("while-it-drains"));
}

#[test]
fn an_address_that_cannot_be_used_is_refused_before_anything_is_built() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let command = ServeCommand::fixtures(&["alpha"]).set("--admin-listen", &taken);
    let ended = command.command().run();
    ended.expect_failure(&[&taken, "in use", "--admin-listen ADDR"]);

    let address = unused_address();
    let command = ServeCommand::fixtures(&["alpha"]).set("--admin-listen", &address);
    let ended = command.command_at(&address).run();
    ended.expect_failure(&["--listen", "--admin-listen", "same address"]);

    let command = ServeCommand::fixtures(&["alpha"]).set("--admin-listen", &address);
    let ended = command.flag("--watch").command().run();
    ended.expect_failure(&["--watch", "--admin-listen"]);
}
