//! The room as a whole, over sockets, on a service in memory.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::testing::{Reply, Server, front, read_all};

/// Opens the session `s`.
async fn open(server: &Server, env: &str) {
    let body = format!("{{\"env_name\":\"{env}\",\"task_spec\":{{}}}}");
    let reply = server.post("/create", &body).await;
    assert_eq!((reply.status, &*reply.body), (200, "{\"sid\":\"s\"}"));
}

fn detail(reply: &Reply) -> serde_json::Value {
    let body: serde_json::Value = serde_json::from_str(&reply.body).expect(&reply.body);
    body["detail"].clone()
}

#[tokio::test]
async fn answers_without_a_session() {
    let server = Server::start(front()).await;
    for (method, path, status, body) in [
        ("GET", "/health", 200, "{\"status\":\"ok\"}"),
        ("GET", "/list_environments", 200, "[\"alpha\",\"chat\"]"),
        (
            "GET",
            "/CHAT/splits",
            200,
            "[{\"name\":\"train\",\"type\":\"train\"}]",
        ),
        (
            "GET",
            "/v1/environments/me/chat/required-secrets",
            200,
            "{\"secrets\":[\"B\",\"C\"]}",
        ),
        (
            "GET",
            "/v1/environments/me/other/required-secrets",
            200,
            "{\"secrets\":[\"A\",\"B\",\"C\"]}",
        ),
        ("GET", "/alpha/nosuch", 404, "{\"detail\":\"Not Found\"}"),
        (
            "PUT",
            "/alpha/task",
            405,
            "{\"detail\":\"Method Not Allowed\"}",
        ),
        (
            "GET",
            "/health/tools",
            404,
            "{\"detail\":\"unknown environment 'health'\"}",
        ),
        (
            "POST",
            "/ping",
            400,
            "{\"detail\":\"X-Session-ID header is required\"}",
        ),
        (
            "POST",
            "/delete_session",
            400,
            "{\"detail\":\"X-Session-ID header is required\"}",
        ),
    ] {
        let reply = server.send(&format!("{method} {path} HTTP/1.1"), "").await;
        assert_eq!(
            (reply.status, &*reply.body),
            (status, body),
            "{method} {path}"
        );
        assert_eq!(reply.headers["content-type"], "application/json");
        assert_eq!(reply.headers["content-length"], body.len().to_string());
        assert!(!reply.headers["x-request-id"].is_empty());
    }
    let reply = server.get("/version").await;
    assert!(
        reply.body.starts_with("{\"version\":\"0."),
        "{}",
        reply.body
    );
    let reply = server.send("PUT /alpha/task HTTP/1.1", "").await;
    assert_eq!(reply.headers["allow"], "POST");
    let reply = server
        .send("GET /health HTTP/1.1\r\nx-request-id: my-id", "")
        .await;
    assert_eq!(reply.headers["x-request-id"], "my-id");
}

#[tokio::test]
async fn redirects() {
    let server = Server::start(front()).await;
    for (request, status, location) in [
        ("GET /", 308, "/alpha/"),
        ("GET /tools?x=1&y=a%20b", 308, "/alpha/tools?x=1&y=a%20b"),
        ("POST //tools", 308, "/alpha//tools"),
        ("DELETE /nosuch/tools", 308, "/alpha/nosuch/tools"),
        ("GET /x%0d%0aevil", 308, "/alpha/x%0d%0aevil"),
        ("GET /alpha/tools/?q", 307, "http://test/alpha/tools?q"),
        ("POST /ping/", 307, "http://test/ping"),
    ] {
        let reply = server.send(&format!("{request} HTTP/1.1"), "{}").await;
        assert_eq!(reply.status, status, "{request}");
        assert_eq!(reply.headers["location"], location, "{request}");
        assert_eq!(reply.headers["content-length"], "0");
        assert!(reply.complete);
    }
}

#[tokio::test]
async fn mistakes_are_told_in_their_order() {
    let server = Server::start(front()).await;
    let json = "content-type: application/json";
    let unknown = "x-session-id: unknown";
    let call = |headers: &str| format!("POST /alpha/call HTTP/1.1\r\n{headers}");
    for (head, body, status) in [
        (call(json), "{bad", 422),
        (call(json), "\u{1}", 422),
        (call(json), "{}", 400),
        (call(unknown), "{}", 404),
        (call(&format!("{json}\r\n{unknown}")), "{bad", 422),
        (call(&format!("{json}\r\n{unknown}")), "{}", 404),
    ] {
        let reply = server.send(&head, body).await;
        assert_eq!(reply.status, status, "{head} {body}: {}", reply.body);
    }
    open(&server, "alpha").await;
    for (path, body, expected) in [
        ("/alpha/call", "{}", "missing"),
        ("/alpha/call", "", "missing"),
        ("/alpha/call", "[]", "model_attributes_type"),
        ("/health/tasks", "{\"split\":1}", "string_type"),
        (
            "/alpha/task",
            "{\"split\":\"train\",\"index\":1.5}",
            "int_from_float",
        ),
        (
            "/chat/score_group",
            "{\"candidates\":[{\"messages\":[],\"x\":1}]}",
            "extra_forbidden",
        ),
    ] {
        let reply = server.post(path, body).await;
        assert_eq!(reply.status, 422, "{path} {body}");
        assert_eq!(detail(&reply)[0]["type"], expected, "{path} {body}");
    }
    for (path, body, status, expected) in [
        (
            "/health/tasks",
            "{\"split\":\"train\"}",
            404,
            "unknown environment 'health'",
        ),
        ("/alpha/tasks", "{\"split\":\"nope\"}", 400, "Invalid split"),
        (
            "/alpha/tasks",
            "{\"split\":\"boom\"}",
            500,
            "RuntimeError: boom\nline",
        ),
        (
            "/alpha/task",
            "{\"split\":\"train\",\"index\":99999999999999999999}",
            400,
            "Invalid index",
        ),
        (
            "/ALPHA/score_group",
            "{\"candidates\":[]}",
            404,
            "Environment 'ALPHA' does not implement score_group",
        ),
        (
            "/create",
            "{\"split\":\"train\",\"index\":0}",
            400,
            "Session already exists",
        ),
    ] {
        let reply = server.post(path, body).await;
        assert_eq!(
            (reply.status, detail(&reply)),
            (status, expected.into()),
            "{path} {body}"
        );
    }
}

#[tokio::test]
async fn tasks_carry_the_environment_as_written() {
    let server = Server::start(front()).await;
    for (path, body, expected) in [
        (
            "/ALpha/task",
            r#"{"split":"train","index":"-1"}"#,
            r#"{"task":{"id":"train-4","n":4},"env_name":"ALpha"}"#,
        ),
        (
            "/alpha/num_tasks",
            r#"{"split":"train"}"#,
            r#"{"num_tasks":5}"#,
        ),
        (
            "/alpha/task_range",
            r#"{"split":"train","start":-2,"stop":null}"#,
            r#"{"tasks":[{"id":"train-3","n":3},{"id":"train-4","n":4}],"env_name":"alpha"}"#,
        ),
        (
            "/alpha/task_range",
            r#"{"split":"train","start":3,"stop":1}"#,
            r#"{"tasks":[],"env_name":"alpha"}"#,
        ),
    ] {
        let reply = server.post(path, body).await;
        assert_eq!((reply.status, &*reply.body), (200, expected));
    }
}

#[tokio::test]
async fn the_bytes_of_a_call() {
    let server = Server::start(front()).await;
    open(&server, "alpha").await;
    let reply = server
        .post("/alpha/call", r#"{"name":"echo","input":{"é": 1}}"#)
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.headers["content-type"],
        "text/event-stream; charset=utf-8"
    );
    assert_eq!(reply.headers["cache-control"], "no-cache");
    assert_eq!(reply.headers["connection"], "close");
    assert_eq!(reply.headers["x-accel-buffering"], "no");
    assert_eq!(reply.headers["transfer-encoding"], "chunked");
    let id = reply.body[22..54].to_owned();
    let expected = format!(
        "event: task_id\r\ndata: {id}\r\n\r\nevent: end\r\ndata: {}\r\n\r\n",
        "{\"ok\":true,\"output\":{\"blocks\":[{\"text\":\"{\\\"é\\\":1}\",\"detail\":null,\"type\":\"text\"}],\
         \"metadata\":null,\"reward\":null,\"finished\":false}}"
    );
    assert_eq!(reply.body, expected);
    // The same run again, on another route, with a name that is not looked at.
    let body = format!("{{\"name\":\"x\",\"input\":{{}},\"task_id\":\"{id}\"}}");
    let again = server.post("/health/call", &body).await;
    assert_eq!(again.body, expected);
    for id in ["", "plain", "00000000000000000000000000000000"] {
        let body = format!("{{\"name\":\"x\",\"input\":{{}},\"task_id\":\"{id}\"}}");
        let reply = server.post("/alpha/call", &body).await;
        assert_eq!(reply.body, "event: error\r\ndata: unknown task_id\r\n\r\n");
    }
}

#[tokio::test]
async fn the_head_of_a_stream() {
    let server = Server::start(front()).await;
    let mut stream = server.connect().await;
    let request = b"POST /create_session HTTP/1.1\r\nhost: test\r\nx-request-id: r1\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(request).await.unwrap();
        let mut wire = Vec::new();
        while !wire.ends_with(b"0\r\n\r\n") {
            stream.read_buf(&mut wire).await.unwrap();
        }
        let wire = String::from_utf8(wire).unwrap();
        let (head, body) = wire.split_once("\r\n\r\n").unwrap();
        let mut lines: Vec<&str> = head.split("\r\n").collect();
        lines.sort_unstable();
        lines.retain(|line| !line.starts_with("date: "));
        assert_eq!(
            lines,
            [
                "HTTP/1.1 200 OK",
                "cache-control: no-cache",
                "connection: keep-alive",
                "content-type: text/event-stream; charset=utf-8",
                "transfer-encoding: chunked",
                "x-accel-buffering: no",
                "x-request-id: r1",
            ]
        );
        assert!(body.contains("event: end\r\ndata: \r\n\r\n"), "{body}");
    }
}

#[tokio::test]
async fn how_a_stream_ends() {
    let server = Server::start(front()).await;
    open(&server, "alpha").await;
    let reply = server
        .post("/alpha/call", r#"{"name":"fail","input":{}}"#)
        .await;
    let end = "event: error\r\ndata: line one\r\ndata:   line two\r\n\r\n";
    assert!(reply.body.ends_with(end), "{}", reply.body);
    assert!(reply.complete);
    // What the host has to answer for is no event, but a broken stream; the id
    // is out by then.
    let reply = server
        .post("/alpha/call", r#"{"name":"broken","input":{}}"#)
        .await;
    assert_eq!(reply.status, 200);
    assert!(
        reply.body.starts_with("event: task_id\r\n"),
        "{}",
        reply.body
    );
    assert_eq!(reply.body.matches("event: ").count(), 1);
    assert!(!reply.complete);
    // Nothing of a large result is lost, whatever it consists of.
    let reply = server
        .post("/alpha/call", r#"{"name":"big","input":{"n":300000}}"#)
        .await;
    let mut payload = String::new();
    for line in reply.body.split("\r\n").skip(3) {
        if let Some(data) = line.strip_prefix("data:") {
            payload.push_str(data.trim_start());
        }
    }
    let result: serde_json::Value = serde_json::from_str(&payload).unwrap();
    let text = result["output"]["blocks"][0]["text"].as_str().unwrap();
    assert_eq!(text, " ".repeat(300_000));
}

#[tokio::test]
async fn the_streams_of_sessions_and_of_scores() {
    let server = Server::start(front()).await;
    let reply = server.send("POST /create_session HTTP/1.1", "{bad").await;
    let id = reply.body[22..58].to_owned();
    assert_eq!(
        reply.body,
        format!("event: task_id\r\ndata: {id}\r\n\r\nevent: end\r\ndata: \r\n\r\n")
    );
    assert!(uuid::Uuid::parse_str(&id).is_ok());
    assert_eq!(reply.headers["transfer-encoding"], "chunked");
    open(&server, "chat").await;
    let candidates = r#"{"candidates":[{"messages":[],"metadata":{"id": 7}},{"messages":[{"role":"user","blocks":[]}]}]}"#;
    let reply = server.post("/chat/score_group", candidates).await;
    let end =
        r#"data: {"scores":[{"reward":0.0,"metadata":{"id":7}},{"reward":1.0,"metadata":null}]}"#;
    assert!(reply.body.contains(end), "{}", reply.body);
    let reply = server.get("/chat/prompt").await;
    assert_eq!(
        reply.body,
        r#"[{"text":"[system]","detail":{"role":"system"},"type":"text"},{"text":"be brief","detail":null,"type":"text"}]"#
    );
    let reply = server.get("/chat/task_tools").await;
    assert!(
        reply.body.contains("\"supports_score_group\":true"),
        "{}",
        reply.body
    );
}

#[tokio::test]
async fn sessions_that_cannot_answer() {
    let server = Server::start(front()).await;
    let create = |sid: &str, spec: &str| {
        let head = format!(
            "POST /create HTTP/1.1\r\nx-session-id: {sid}\r\ncontent-type: application/json"
        );
        (head, format!("{{\"task_spec\":{spec}}}"))
    };
    for (sid, spec, status) in [
        ("a", "{\"starting\":true}", 503),
        ("b", "{\"gone\":true}", 410),
    ] {
        let (head, body) = create(sid, spec);
        assert_eq!(server.send(&head, &body).await.status, 200);
        let head = format!("GET /alpha/prompt HTTP/1.1\r\nX-SESSION-ID:  {sid} ");
        let reply = server.send(&head, "").await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.headers.contains_key("x-backend-state"), status == 503);
    }
    let reply = server.get("/alpha/prompt").await;
    assert_eq!(
        (reply.status, detail(&reply)),
        (404, "Active environment not found".into())
    );
}

#[tokio::test]
async fn secrets_reach_the_session_and_toolsets_do_not() {
    let server = Server::start(front()).await;
    let create = |extra: &str, body: &str| {
        let head = format!(
            "POST /create HTTP/1.1\r\nx-session-id: s\r\ncontent-type: application/json{extra}"
        );
        (head, body.to_owned())
    };
    let spec = r#"{"task_spec":{}}"#;
    let (head, body) = create("\r\nx-secrets: eyJLIjp7fX0=", spec);
    let reply = server.send(&head, &body).await;
    assert_eq!(
        (reply.status, detail(&reply)),
        (500, "KeyError: 'value'".into())
    );
    for (toolset, part) in [
        ("codex", "sandbox"),
        ("x", "unknown toolset 'x'; valid options are ['backsearch',"),
    ] {
        let (head, body) = create(
            "",
            &format!(r#"{{"task_spec":{{}},"toolset_name":"{toolset}"}}"#),
        );
        let reply = server.send(&head, &body).await;
        assert_eq!(reply.status, 400);
        assert!(
            detail(&reply).as_str().unwrap().contains(part),
            "{}",
            reply.body
        );
    }
    // {"K":{"value":"v"}}
    let (head, body) = create("\r\nx-secrets: eyJLIjp7InZhbHVlIjoidiJ9fQ==", spec);
    assert_eq!(server.send(&head, &body).await.status, 200);
    let reply = server
        .post("/alpha/call", r#"{"name":"secrets","input":{}}"#)
        .await;
    assert!(reply.body.contains("K=…"), "{}", reply.body);
}

#[tokio::test]
async fn bodies_that_are_too_large_or_too_slow() {
    let server = Server::start(front()).await;
    open(&server, "alpha").await;
    let limit = front().body_limit;
    for (length, status) in [(limit, 422), (limit + 1, 413), (limit * 4, 413)] {
        let reply = server.post("/alpha/call", &" ".repeat(length)).await;
        assert_eq!(reply.status, status, "{length}");
    }
    // Without a length, in chunks.
    for (chunks, status) in [(15, 422), (17, 413)] {
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096)).repeat(chunks);
        let request = format!(
            "POST /alpha/call HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"
        );
        let reply = Reply::parse(&server.exchange(&request).await);
        assert_eq!(reply.status, status, "{chunks} chunks");
    }
    // Half a body, and then nothing.
    let started = Instant::now();
    let head = "POST /alpha/call HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
                content-length: 100\r\n\r\n{";
    let reply = Reply::parse(&server.exchange(head).await);
    assert_eq!(reply.status, 408);
    assert_eq!(reply.headers["connection"], "close");
    assert!(started.elapsed() >= front().body_timeout);
    // A client that asks before it sends is told at once.
    let head = format!(
        "POST /alpha/call HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        limit + 1
    );
    let reply = Reply::parse(&server.exchange(&head).await);
    assert_eq!(reply.status, 413);
}

#[tokio::test]
async fn a_body_in_a_packet_of_its_own_keeps_the_connection() {
    let server = Server::start(front()).await;
    let mut stream = server.connect().await;
    for path in ["/create_session", "/delete", "/tools", "/alpha/tools"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\nx-session-id: s\r\ncontent-length: 2\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.write_all(b"{}").await.unwrap();
        let mut buffer = [0; 4096];
        let n = stream.read(&mut buffer).await.unwrap();
        let start = String::from_utf8_lossy(&buffer[..n]).into_owned();
        assert!(start.starts_with("HTTP/1.1 "), "{path}: {start:?}");
        assert!(!start.contains("connection: close"), "{path}: {start}");
        // The end of a stream may come apart from its beginning.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let _ = stream.try_read(&mut buffer);
    }
}

#[tokio::test]
async fn heads_that_are_too_large_or_too_slow() {
    let server = Server::start(front()).await;
    let long = "x".repeat(front().header_limit);
    let reply = server
        .send(&format!("GET /health HTTP/1.1\r\nlong: {long}"), "")
        .await;
    assert_eq!(reply.status, 431);
    let reply = server
        .send(
            &format!("GET /health HTTP/1.1\r\nlong: {}", &long[..7000]),
            "",
        )
        .await;
    assert_eq!(reply.status, 200);
    // A head that drips, on a new connection and on a used one.
    for request in ["", "GET /health HTTP/1.1\r\nhost: test\r\n\r\n"] {
        let mut stream = server.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let started = Instant::now();
        stream.write_all(b"GET /health HTTP/1.1\r\n").await.unwrap();
        let mut closed = false;
        while !closed && started.elapsed() < Duration::from_secs(3) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let _ = stream.write_all(b"a: b\r\n").await;
            let mut buffer = [0; 4096];
            closed = match stream.try_read(&mut buffer) {
                Ok(n) => n == 0,
                Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
            };
        }
        let elapsed = started.elapsed();
        assert!(closed, "the connection stays open");
        assert!(
            elapsed < Duration::from_millis(900),
            "closed after {elapsed:?}"
        );
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_later_than_a_slow_head() {
    let server = Server::start(front()).await;
    let mut stream = server.connect().await;
    let request = b"GET /health HTTP/1.1\r\nhost: test\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(request).await.unwrap();
        tokio::time::sleep(front().header_timeout * 2).await;
    }
    let started = Instant::now();
    let wire = read_all(&mut stream).await;
    assert_eq!(wire.matches("HTTP/1.1 200 OK").count(), 2);
    assert!(started.elapsed() < front().idle_timeout);
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_given_up() {
    let server = Server::start(front()).await;
    open(&server, "alpha").await;
    let body = r#"{"name":"big","input":{"n":60000000}}"#;
    let request = format!(
        "POST /alpha/call HTTP/1.1\r\nhost: test\r\nx-session-id: s\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = server.connect().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let wire = read_all(&mut stream).await;
    assert!(wire.starts_with("HTTP/1.1 200 OK"));
    assert!(wire.len() < 50_000_000, "{} bytes", wire.len());
    assert!(!wire.ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn stopping_lets_answers_finish_and_closes_idle_connections() {
    let server = Server::start(front()).await;
    open(&server, "alpha").await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: test\r\n\r\n")
        .await
        .unwrap();
    let body = r#"{"name":"wait","input":{"n":500}}"#;
    let request = format!(
        "POST /alpha/call HTTP/1.1\r\nhost: test\r\nx-session-id: s\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut busy = server.connect().await;
    busy.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let address = server.address;
    let started = Instant::now();
    let done = server.stop();
    assert!(read_all(&mut idle).await.contains("200 OK"));
    assert!(started.elapsed() < Duration::from_millis(300));
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    let reply = Reply::parse(&read_all(&mut busy).await);
    assert!(reply.complete && reply.body.contains("waited"), "{reply:?}");
    done.await.unwrap().unwrap();
}

#[tokio::test]
async fn stopping_waits_no_longer_than_the_time_of_grace() {
    let server = Server::start_with_grace(front(), Duration::from_millis(300)).await;
    open(&server, "alpha").await;
    let body = r#"{"name":"wait","input":{"n":60000}}"#;
    let request = format!(
        "POST /alpha/call HTTP/1.1\r\nhost: test\r\nx-session-id: s\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut busy = server.connect().await;
    busy.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let started = Instant::now();
    server.stop().await.unwrap().unwrap();
    let elapsed = started.elapsed();
    assert!(elapsed >= Duration::from_millis(300) && elapsed < Duration::from_secs(2));
    let reply = Reply::parse(&read_all(&mut busy).await);
    assert!(!reply.complete);
}

#[tokio::test]
async fn no_more_connections_than_there_may_be() {
    let server = Server::start(super::Front {
        connections: 2,
        ..front()
    })
    .await;
    let first = server.connect().await;
    let _second = server.connect().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut third = server.connect().await;
    third
        .write_all(b"GET /health HTTP/1.1\r\nhost: test\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut buffer = [0; 1024];
    assert!(third.try_read(&mut buffer).is_err());
    drop(first);
    let n = third.read(&mut buffer).await.unwrap();
    assert!(buffer[..n].starts_with(b"HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn a_ping_is_answered_at_its_odd_address_too() {
    let server = Server::start(front()).await;
    assert_eq!(server.post("//ping", "").await.status, 404);
    open(&server, "alpha").await;
    for path in ["/ping", "//ping"] {
        let reply = server.post(path, "{bad").await;
        assert_eq!((reply.status, &*reply.body), (200, "{\"status\":\"ok\"}"));
    }
    assert_eq!(server.post("/delete", "").await.body, "{\"sid\":\"s\"}");
    assert_eq!(server.post("/ping", "").await.status, 404);
    assert_eq!(server.post("/delete", "").await.status, 200);
}
