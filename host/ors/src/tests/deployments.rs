//! `X-Deployment`, and the routes and methods for monitoring.

use tokio::io::AsyncWriteExt;

use super::client::{Reply, Server, config, read_all};
use super::memory_service::MemoryService;
use super::{call, detail, open};

async fn get(server: &Server, path: &str, deployment: &str) -> Reply {
    let head = format!("GET {path} HTTP/1.1\r\nx-session-id: s\r\nx-deployment: {deployment}");
    server.send(&head, "").await
}

async fn create(server: &Server, deployment: &str, body: &str) -> Reply {
    let head = format!(
        "POST /create HTTP/1.1\r\nx-session-id: s\r\ncontent-type: application/json\r\n\
         x-deployment: {deployment}"
    );
    server.send(&head, body).await
}

fn scores_groups(reply: &Reply) -> bool {
    let listing: serde_json::Value = serde_json::from_str(&reply.body).expect(&reply.body);
    listing["supports_score_group"].as_bool().unwrap()
}

#[tokio::test]
async fn a_deployment_is_one_of_several_environments() {
    let server = Server::start(config()).await;
    for (deployment, is_chat) in [("chat", true), ("me/chat", true), ("alpha", false)] {
        let reply = get(&server, "/tools", deployment).await;
        assert_eq!(scores_groups(&reply), is_chat, "{deployment}");
    }
    let unknown = get(&server, "/tools", "me/other").await;
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.body, "{\"detail\":\"Deployment not found.\"}");
    // The session of the header is on `chat`, and stays there.
    let refused = create(&server, "other", "{\"task_spec\":{}}").await;
    assert_eq!(detail(&refused), "Deployment not found.");
    let created = create(&server, "me/chat", "{\"task_spec\":{}}").await;
    assert_eq!(created.status, 200, "{created:?}");
    for deployment in ["chat", "alpha", "other"] {
        let messages = get(&server, "/messages", deployment).await;
        assert!(messages.body.contains("be brief"), "{messages:?}");
    }
}

#[tokio::test]
async fn the_only_environment_is_every_deployment() {
    let server = Server::start_with(MemoryService::with(&["chat"]), config()).await;
    for deployment in ["chat", "other", "me/other", "ch%61t", "chat/"] {
        assert!(scores_groups(&get(&server, "/tools", deployment).await));
    }
    let created = create(&server, "other", "{\"task_spec\":{}}").await;
    assert_eq!(created.status, 200, "{created:?}");
    let named = create(&server, "chat", "{\"env_name\":\"other\",\"task_spec\":{}}").await;
    assert_eq!(detail(&named), "unknown environment 'other'");
}

#[tokio::test]
async fn a_head_has_the_headers_of_a_get() {
    let server = Server::start(config()).await;
    open(&server, "alpha").await;
    for path in [
        "/health",
        "/ready",
        "/version",
        "/alpha/prompt",
        "/alpha/nosuch",
        "/tools",
    ] {
        let expected = server.get(path).await;
        let head = server
            .send(&format!("HEAD {path} HTTP/1.1\r\nx-session-id: s"), "")
            .await;
        assert_eq!(head.status, expected.status, "{path}");
        assert_eq!(head.body, "", "{path}");
        for name in ["content-type", "content-length", "location"] {
            assert_eq!(
                head.headers.get(name),
                expected.headers.get(name),
                "{name} of {path}"
            );
        }
    }
    let posts = server.send("HEAD /alpha/call HTTP/1.1", "").await;
    assert_eq!((posts.status, &*posts.headers["allow"]), (405, "POST"));
}

#[tokio::test]
async fn a_connection_serves_other_requests_after_a_head() {
    let server = Server::start(config()).await;
    let requests = "HEAD /version HTTP/1.1\r\nhost: test\r\n\r\n\
                    GET /ready HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    let wire = server.exchange(requests).await;
    assert_eq!(wire.matches("HTTP/1.1 200 OK").count(), 2, "{wire}");
    assert!(wire.ends_with("\r\n\r\n{\"status\":\"ready\"}"), "{wire}");
    assert!(!wire.contains("\"engine\""), "{wire}");
}

#[tokio::test]
async fn a_server_that_drains_is_not_ready() {
    let server = Server::start(config()).await;
    open(&server, "alpha").await;
    let mut busy = server.connect().await;
    let request = call("wait", r#"{"n":300}"#);
    busy.write_all(request.as_bytes()).await.unwrap();
    // A request whose head has begun when the server begins to stop.
    let mut begun = server.connect().await;
    begun.write_all(b"GET /ready HTTP/1.1\r\n").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let done = server.stop();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    begun.write_all(b"host: test\r\n\r\n").await.unwrap();
    let wire = read_all(&mut begun).await;
    assert!(
        wire.is_empty() || wire.ends_with("{\"status\":\"draining\"}"),
        "{wire}"
    );
    assert!(read_all(&mut busy).await.contains("waited"));
    done.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_number_that_json_cannot_express_is_no_error_of_the_body() {
    let server = Server::start(config()).await;
    let created = create(&server, "alpha", "{\"task_spec\":{\"a\":NaN}}").await;
    assert_eq!(created.status, 200, "{created:?}");
    let body = r#"{"name":"echo","input":{"a":[1,Infinity]}}"#;
    let reply = server.post("/alpha/call", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.body.contains(r#"{\"a\":[1,null]}"#), "{reply:?}");
}
