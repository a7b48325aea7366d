//! Responses, byte for byte.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{Server, config};
use super::{detail, open};

#[tokio::test]
async fn responses_without_a_session() {
    let server = Server::start(config()).await;
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
    let version = concat!(
        "{\"version\":\"",
        env!("CARGO_PKG_VERSION"),
        "\",\"build_sha\":"
    );
    assert!(reply.body.starts_with(version), "{}", reply.body);
    assert!(
        reply.body.ends_with(
            ",\"name\":\"orwd\",\"engine\":\"memory 1.0\",\"environments\":[\
             {\"name\":\"alpha\",\"limits\":{\"memory\":\"64MiB\",\"files\":\"7\"},\
             \"network\":[\"https://api.example.com\"]},\
             {\"name\":\"chat\",\"limits\":{}}]}"
        ),
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
    let server = Server::start(config()).await;
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
async fn errors_have_their_precedence() {
    let server = Server::start(config()).await;
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
async fn env_name_repeats_the_path() {
    let server = Server::start(config()).await;
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
    let server = Server::start(config()).await;
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
    // Resumes the run on another route; the name is ignored.
    let body = format!("{{\"name\":\"x\",\"input\":{{}},\"task_id\":\"{id}\"}}");
    let resumed = server.post("/health/call", &body).await;
    assert_eq!(resumed.body, expected);
    for id in ["", "plain", "00000000000000000000000000000000"] {
        let body = format!("{{\"name\":\"x\",\"input\":{{}},\"task_id\":\"{id}\"}}");
        let reply = server.post("/alpha/call", &body).await;
        assert_eq!(reply.body, "event: error\r\ndata: unknown task_id\r\n\r\n");
    }
}

#[tokio::test]
async fn the_headers_of_a_stream() {
    let server = Server::start(config()).await;
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
    let server = Server::start(config()).await;
    open(&server, "alpha").await;
    let reply = server
        .post("/alpha/call", r#"{"name":"fail","input":{}}"#)
        .await;
    let end = "event: error\r\ndata: line one\r\ndata:   line two\r\n\r\n";
    assert!(reply.body.ends_with(end), "{}", reply.body);
    assert!(reply.complete);
    // A fault of the host is not an event: the stream is aborted after the id.
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
    // A large result of white space arrives complete.
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
    let server = Server::start(config()).await;
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
async fn sessions_that_are_not_ready() {
    let server = Server::start(config()).await;
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
    let server = Server::start(config()).await;
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
async fn a_ping_with_two_slashes_is_served() {
    let server = Server::start(config()).await;
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

#[tokio::test]
async fn unusual_requests_get_a_response() {
    let server = Server::start(config()).await;
    open(&server, "alpha").await;
    for (request, status) in [
        (
            "OPTIONS * HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n",
            308,
        ),
        (
            "GET http://test/health HTTP/1.1\r\nhost: Test\r\nconnection: close\r\n\r\n",
            200,
        ),
        (
            "GET http://other/health HTTP/1.1\r\nhost: test\r\n\r\n",
            400,
        ),
        (
            "HEAD /ping HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n",
            405,
        ),
        ("GET /health HTTP/1.0\r\n\r\n", 200),
        ("GET /health/ HTTP/1.0\r\n\r\n", 307),
        ("CONNECT test:80 HTTP/1.1\r\nhost: test:80\r\n\r\n", 400),
        ("GET /alph%61/tools HTTP/1.0\r\n\r\n", 200),
        ("GET /%ff%00 HTTP/1.0\r\n\r\n", 308),
        ("nonsense\r\n\r\n", 400),
    ] {
        let wire = server.exchange(request).await;
        let start = wire.get(9..13).unwrap_or_default();
        assert_eq!(start, format!("{status} "), "{request}: {wire}");
    }
    // An HTTP/1.0 stream ends with its connection.
    let call = super::call("echo", "{}").replace("HTTP/1.1", "HTTP/1.0");
    let wire = server.exchange(&call).await;
    let (head, body) = wire.split_once("\r\n\r\n").unwrap();
    assert!(!head.contains("chunked"), "{head}");
    assert!(body.starts_with("event: task_id\r\n"), "{body}");
    assert!(body.ends_with("}}\r\n\r\n"), "{body}");
}

#[tokio::test]
async fn deeply_nested_bodies_are_accepted() {
    let server = Server::start(config()).await;
    open(&server, "alpha").await;
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let reply = server
        .post(
            "/alpha/call",
            &format!("{{\"name\":\"echo\",\"input\":{{\"a\":{deep}}}}}"),
        )
        .await;
    assert_eq!(reply.status, 200);
    assert!(reply.body.matches('[').count() > 20_000);
    let reply = server.post("/alpha/call", &deep).await;
    assert_eq!(reply.status, 422);
}

#[tokio::test]
async fn a_session_id_is_opaque() {
    let server = Server::start(config()).await;
    for (sent, kept) in [("  a b\t", "a b"), ("\"\\", "\"\\"), ("A/ü", "A/Ã¼")] {
        let head = format!("POST /delete HTTP/1.1\r\nX-Session-ID: {sent}\r\nx-session-id: second");
        let reply = server.send(&head, "").await;
        let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(body["sid"], kept);
    }
}
