//! The room as a whole, over sockets, on a service in memory.

mod answers;
mod client;
mod door;
mod limits;
mod log;
mod memory;
mod stopping;

use client::{Reply, Server};

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

/// A call in the session `s`, as bytes.
fn call(tool: &str, input: &str) -> String {
    let body = format!("{{\"name\":\"{tool}\",\"input\":{input}}}");
    let length = body.len();
    format!(
        "POST /alpha/call HTTP/1.1\r\nhost: test\r\nx-session-id: s\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
