//! Python environments that make HTTP requests, with clients as they are. They share
//! one component, which is the template with more tools.

use std::path::PathBuf;
use std::sync::OnceLock;

use orwd_tests::background::BackgroundTask;
use orwd_tests::model_server::ModelServer;
use orwd_tests::ors::{OrsClient, SessionClient, TaskSelector, secrets_header};
use orwd_tests::process::{ReplayCommand, ServeCommand, ServerProcess};
use orwd_tests::test_dir::TestDir;
use serde_json::{Value, json};

use crate::building::{orwd, source};

const KEY: &str = "kanarienvogel-python-key";

/// The environment and the server of its model, for all tests.
struct Exam {
    _scratch: TestDir,
    folder: PathBuf,
    model: ModelServer,
}

impl Exam {
    fn get() -> &'static Exam {
        static EXAM: OnceLock<Exam> = OnceLock::new();
        EXAM.get_or_init(|| {
            let model = ModelServer::with_key(KEY);
            let scratch = TestDir::new();
            let folder = scratch.path().join("exam");
            let path = folder.to_str().expect("UTF-8");
            orwd(&["new", path, "--template", "python-judge"])
                .run()
                .expect_success();
            let edit = |name: &str, change: &dyn Fn(String) -> String| {
                let file = folder.join(name);
                let text = std::fs::read_to_string(&file).expect("a file of the template");
                std::fs::write(&file, change(text)).expect("the file");
            };
            edit("env.py", &|text| {
                let main = "\n\nif __name__";
                let more = format!("\n\nimport clients\n\nclients.add_to(Judged)\n{main}");
                text.replace("https://api.openai.com/v1", &model.api())
                    .replace(main, &more)
            });
            edit("orwd.toml", &|text| {
                text.replace("https://api.openai.com/v1/chat/completions", model.url())
            });
            let more = source("judge");
            edit("requirements.txt", &|text| {
                let more = std::fs::read_to_string(more.join("requirements.txt"));
                text + &more.expect("the requirements")
            });
            std::fs::copy(more.join("clients.py"), folder.join("clients.py")).expect("a copy");
            Exam {
                _scratch: scratch,
                folder,
                model,
            }
        })
    }

    /// Plays the transcript of the template, which builds the component.
    fn play(&self) {
        let folder = self.folder.to_str().expect("UTF-8");
        let script = format!("{folder}/transcript.jsonl");
        let allowed = format!("exam={}", self.model.url());
        let secret = format!("JUDGE_KEY={KEY}");
        let flags = [
            "--script",
            &script,
            "--allow-network",
            &allowed,
            "--secret",
            &secret,
        ];
        orwd(&[&["play", folder], &flags[..]].concat())
            .run()
            .expect_success();
    }

    fn serve(&self) -> ServeCommand {
        self.play_once();
        ServeCommand::path(&self.folder)
            .set("--allow-network", format!("exam={}", self.model.url()))
    }

    fn play_once(&self) {
        static PLAYED: OnceLock<()> = OnceLock::new();
        PLAYED.get_or_init(|| self.play());
    }

    fn input(&self, more: Value) -> Value {
        let mut input = json!({"url": self.model.api()});
        let fields = more.as_object().expect("an object");
        for (name, value) in fields {
            input[name] = value.clone();
        }
        input
    }
}

fn open(ors: &OrsClient) -> SessionClient {
    let secrets = json!({"JUDGE_KEY": {"value": KEY, "allowed_domains": ["127.0.0.1"]}});
    let header = secrets_header(&secrets);
    ors.open_with(
        "exam",
        TaskSelector::At("train", 0),
        &[("X-Secrets", header.as_str())],
    )
}

/// Returns a server that all tests share which need nothing special.
fn server() -> &'static ServerProcess {
    static SERVER: OnceLock<ServerProcess> = OnceLock::new();
    let serve = || Exam::get().serve().set("--http-at-once-per-key", "64");
    SERVER.get_or_init(|| serve().start())
}

#[test]
fn the_template_asks_its_model_and_others_are_refused() {
    let exam = Exam::get();
    let session = open(&server().ors());
    let key = session.call("shown", json!({})).text();
    assert!(key.starts_with("__SECRET:"), "{key}");
    // Where the rules do not lead, the client sees why.
    let refused = session.call("first", json!({"url": "http://169.254.169.254/"}));
    assert!(refused.text().contains(" 403 "), "{refused:?}");
    let graded = session.call("answer", json!({"answer": "Because of the air."}));
    assert_eq!(graded.output()["reward"], 0.075, "{graded:?}");
    assert_eq!(graded.output()["finished"], true);
    let asked = exam.model.asked();
    let is_it = |text: &str| text.ends_with("Answer: Because of the air.");
    let last = asked.iter().find(|asked| is_it(asked.text()));
    let head = &last.expect("the model was asked").head;
    assert!(
        head.contains(&format!("authorization: Bearer {KEY}")),
        "{head}"
    );
}

#[test]
fn clients_that_are_imported_in_a_session_work_as_they_are() {
    let exam = Exam::get();
    let session = open(&server().ors());
    let plainly = session.call("plainly", exam.input(json!({"text": "42"})));
    assert_eq!(plainly.text(), "0.75 chat.completion 0.75 0.75 0.75");
}

#[test]
fn requests_that_are_gathered_are_on_their_way_at_once_and_replay() {
    let exam = Exam::get();
    let state = TestDir::new();
    let path = state.path().to_str().expect("UTF-8");
    let key = "5a".repeat(32);
    let sealed = exam.serve().env("ORWD_SEAL_KEY", &key);
    let mut server = sealed.set("--state", path).start();
    let session = open(&server.ors());
    // The model answers none before all eight are there.
    let input = exam.input(json!({"model": "meet-8", "text": "both", "times": 8}));
    let graded = session.call("gather", input);
    assert_eq!(graded.output()["reward"], 0.75, "{graded:?}");
    let chat = format!("{}/chat/completions", exam.model.api());
    let input = json!({"url": chat, "model": "quick", "text": "first"});
    let first = session.call("first", input);
    assert_eq!(first.text(), "1 200 [True]", "{first:?}");
    let before = exam.model.asked().len();
    assert_eq!(exam.model.times("meet-8"), 8);
    server.kill();
    let replay = ReplayCommand::new(session.id(), path).seal_key(&key);
    replay.expect_no_difference();
    assert_eq!(exam.model.times("meet-8"), 8, "the replay asked");
    assert!(exam.model.asked().len() >= before);
    session.leave_open();
}

#[test]
fn sixty_four_sessions_grade_at_once() {
    let exam = Exam::get();
    let sessions: Vec<_> = (0..64)
        .map(|number| {
            let ors = server().ors();
            let input = exam.input(json!({"text": format!("session {number}"), "times": 2}));
            BackgroundTask::spawn(move || {
                let session = open(&ors);
                let graded = session.call("gather", input);
                assert_eq!(graded.output()["reward"], 0.75, "{graded:?}");
            })
        })
        .collect();
    for session in sessions {
        session.join();
    }
    for number in 0..64 {
        let text = format!("session {number} 1");
        assert_eq!(exam.model.times_for(&text), 1, "{text}");
    }
}
