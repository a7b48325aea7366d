//! Limits on the HTTP requests of a session.

use std::io::{Read, Write};
use std::net::TcpListener;

use orwd_tests::ors::{SessionClient, TaskSelector};
use orwd_tests::process::ServerProcess;
use orwd_tests::test_dir::TestDir;
use serde_json::json;

use crate::support::{environment_dir, serve};

/// Bytes of each response.
const RESPONSE: usize = 40_000;

/// A session that may request from a server of this test, and what it requests.
struct Requester {
    _scratch: TestDir,
    server: ServerProcess,
    session: SessionClient,
    url: String,
}

impl Requester {
    fn start(flag: &str, value: &str) -> Requester {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let body = "x".repeat(RESPONSE);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {RESPONSE}\r\n\r\n");
                let _ = stream.write_all((head + &body).as_bytes());
            }
        });
        orwd_tests::artifacts::components();
        let scratch = TestDir::new();
        let tables = format!("[network]\nallow = [{url:?}]");
        let folder = environment_dir(&scratch, "judge", "caller", "", &tables);
        let server = serve(folder)
            .set("--allow-network", format!("judge={url}"))
            .set(flag, value)
            .start();
        let session = server.ors().open("judge", TaskSelector::At("train", 0));
        Requester {
            _scratch: scratch,
            server,
            session,
            url,
        }
    }

    /// Makes requests in one call, and returns how many got a response, and what the
    /// last one got.
    fn send(&self, count: usize) -> (usize, String) {
        self.send_in(&self.session, count)
    }

    fn send_in(&self, session: &SessionClient, count: usize) -> (usize, String) {
        let urls = vec![&self.url; count];
        let results = session.call("send", json!({ "urls": urls })).text();
        let answered = results.lines().filter(|line| line.starts_with("200 "));
        (answered.count(), results.lines().last().unwrap().to_owned())
    }
}

pub(super) fn requests_of_a_session() {
    let requester = Requester::start("--http-requests", "3");
    assert_eq!(requester.send(2).0, 2);
    let (answered, last) = requester.send(3);
    assert_eq!(answered, 1);
    assert!(
        last.starts_with("Limit: ") && last.contains("--http-requests"),
        "{last}"
    );
    // A fork counts what its parent has requested, and the session continues.
    let path = format!("/orwd/sessions/{}/fork", requester.session.id());
    let forked = requester.server.ors().post(&path, &json!({"at": 1})).json();
    let child = forked["sessions"][0].as_str().expect("a child").to_owned();
    let child = requester.server.ors().session("judge", &child);
    assert_eq!(requester.send_in(&child, 3).0, 1);
    assert_eq!(requester.send(1).0, 0);
    assert_eq!(Requester::start("--http-requests", "10").send(5).0, 5);
}

pub(super) fn size_of_the_requests_of_a_call() {
    let requester = Requester::start("--http-call-limit", "100KiB");
    // Each call begins anew.
    for _ in 0..2 {
        let (answered, last) = requester.send(5);
        assert_eq!(answered, 3);
        assert!(
            last.starts_with("Limit: ") && last.contains("--http-call-limit"),
            "{last}"
        );
    }
    assert_eq!(Requester::start("--http-call-limit", "1MiB").send(5).0, 5);
}
