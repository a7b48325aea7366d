//! Tests of the whole server over sockets, with a session service in memory.

mod access_log;
mod auth_and_origin;
mod client;
mod deployments;
mod limits;
mod memory_service;
mod responses;
mod shutdown;

use client::{Reply, Server};

/// Creates the session `s`.
async fn open(server: &Server, env: &str) {
    let body = format!("{{\"env_name\":\"{env}\",\"task_spec\":{{}}}}");
    let reply = server.post("/create", &body).await;
    assert_eq!((reply.status, &*reply.body), (200, "{\"sid\":\"s\"}"));
}

fn detail(reply: &Reply) -> serde_json::Value {
    let body: serde_json::Value = serde_json::from_str(&reply.body).expect(&reply.body);
    body["detail"].clone()
}

/// Returns the request of a call in the session `s`.
fn call(tool: &str, input: &str) -> String {
    let body = format!("{{\"name\":\"{tool}\",\"input\":{input}}}");
    let length = body.len();
    format!(
        "POST /alpha/call HTTP/1.1\r\nhost: test\r\nx-session-id: s\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
