//! `bench network`: an HTTP request of a guest, which the broker sends and the journal
//! records, beside the same request sent by this process.

use std::time::Instant;

use orwd_tests::artifacts::component;
use orwd_tests::http::{HttpClient, HttpRequest};
use orwd_tests::model_server::ModelServer;
use orwd_tests::ors::{SessionClient, TaskSelector};
use orwd_tests::process::ServeCommand;
use orwd_tests::test_dir::TestDir;
use serde::Serialize;
use serde_json::{Value, json};

use crate::statistics::{median_or_nan, millis};

/// Requests of one round.
const REQUESTS: u16 = 50;

/// The medians of all rounds, in milliseconds for each request.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NetworkReport {
    direct_ms: f64,
    brokered_ms: f64,
    /// Of requests that are started together.
    at_once_ms: f64,
}

/// Measures, and says each figure.
pub(crate) fn run(rounds: u32, mut say: impl FnMut(&str)) -> Result<NetworkReport, String> {
    let model = ModelServer::start();
    let scratch = TestDir::new();
    scratch.copy("caller/env.wasm", component("caller"));
    let manifest = format!(
        "name = \"caller\"\n[build]\ncomponent = \"env.wasm\"\n[network]\nallow = [{:?}]\n",
        model.url()
    );
    scratch.write("caller/orwd.toml", manifest);
    let server = ServeCommand::path(scratch.path().join("caller"))
        .set("--log", "warn")
        .set("--http-rate", "100000")
        .set("--allow-network", format!("caller={}", model.url()))
        .start();
    let session = server.ors().open("caller", TaskSelector::At("train", 0));
    let body = json!({"model": "quick", "messages": [{"role": "user", "content": "grade"}]});
    let client = HttpClient::new(model.url());
    let request = HttpRequest::post("/v1/chat/completions").json(&body);
    let url = format!("{}/chat/completions", model.api());
    let [mut direct, mut brokered, mut at_once] = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..rounds {
        let start = Instant::now();
        for _ in 0..REQUESTS {
            let answer = client.try_fetch(&request);
            let answer = answer.map_err(|error| error.to_string())?;
            if answer.status() != 200 {
                return Err(format!("the model answered {answer:?}"));
            }
        }
        direct.push(millis(start.elapsed()) / f64::from(REQUESTS));
        brokered.push(call(&session, &url, &body, false)?);
        at_once.push(call(&session, &url, &body, true)?);
    }
    let report = NetworkReport {
        direct_ms: median_or_nan(direct),
        brokered_ms: median_or_nan(brokered),
        at_once_ms: median_or_nan(at_once),
    };
    say(&format!(
        "a request: {:.2} ms direct, {:.2} ms of a guest, {:.2} ms of a guest that starts {REQUESTS} together",
        report.direct_ms, report.brokered_ms, report.at_once_ms
    ));
    Ok(report)
}

/// Lets the guest send the requests of a round. Returns the time of each.
fn call(session: &SessionClient, url: &str, body: &Value, at_once: bool) -> Result<f64, String> {
    let urls = vec![url; usize::from(REQUESTS)];
    let input =
        json!({"urls": urls, "method": "POST", "body": body.to_string(), "at_once": at_once});
    let start = Instant::now();
    let said = session.call("send", input).text();
    let time = millis(start.elapsed()) / f64::from(REQUESTS);
    let answered = said.lines().filter(|line| line.starts_with("200 ")).count();
    match answered == usize::from(REQUESTS) {
        true => Ok(time),
        false => Err(format!("{answered} answers: {said}")),
    }
}
