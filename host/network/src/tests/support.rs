//! Servers of this machine, and requests to them.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use orwd_model::{HttpLimits, HttpRequest, HttpResult, Secret, Secrets};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use crate::broker::client::Broker;
use crate::broker::config::BrokerConfig;
use crate::broker::server;
use crate::http::resolver::Resolver;
use crate::http::sender::Sender;
use crate::http::tls;
use crate::rules::grant::{NetworkGrant, OperatorRules};
use crate::rules::rule::Rule;

/// Starts a server that answers each connection with these bytes, and returns
/// its address. What it read is returned by the channel.
pub(super) async fn serve(
    answer: Vec<u8>,
) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, asked) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 65536];
            let read = stream.read(&mut buffer).await.unwrap();
            let _ = sender.send(String::from_utf8_lossy(&buffer[..read]).into_owned());
            let _ = stream.write_all(&answer).await;
        }
    });
    (address, asked)
}

pub(super) fn granted(rules: &[String]) -> NetworkGrant {
    let rules: Vec<Rule> = rules
        .iter()
        .map(|rule| Rule::parse(rule).unwrap())
        .collect();
    NetworkGrant::new(&rules, &OperatorRules::Rules(rules.clone()))
}

pub(super) fn sender(hosts: &str) -> Sender {
    Sender {
        resolver: Resolver::parse("", hosts),
        tls: tls::config(&[]).unwrap(),
        limits: HttpLimits {
            head: Duration::from_millis(300),
            total: Duration::from_millis(600),
            ..HttpLimits::default()
        }
        .into(),
    }
}

pub(super) fn get(url: &str) -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    }
}

pub(super) async fn fetch(answer: impl Into<Vec<u8>>) -> HttpResult {
    let (address, _asked) = serve(answer.into()).await;
    let url = format!("http://{address}");
    sender("")
        .send(
            &granted(std::slice::from_ref(&url)),
            get(&url),
            &Secrets::default(),
        )
        .await
}

pub(super) const VALUE: &str = "kanarienvogel/5f1c";

pub(super) fn hidden(domains: &[&str]) -> Secrets {
    let mut secret = Secret::new("KEY".to_owned(), Zeroizing::new(VALUE.to_owned()));
    secret.allowed_domains = Some(domains.iter().map(|name| (*name).to_owned()).collect());
    let mut secrets = Secrets::new(vec![secret]);
    secrets.hide_as("s".to_owned());
    secrets
}

pub(super) fn with_key(url: &str) -> HttpRequest {
    let mut request = get(url);
    let header = (
        "authorization".to_owned(),
        "Bearer __SECRET:s:KEY__".to_owned(),
    );
    request.headers.push(header);
    request
}

/// Starts a broker in this process, with these grants.
pub(super) fn broker(grants: Vec<NetworkGrant>) -> Arc<Broker> {
    limited_broker(grants, &HttpLimits::default())
}

/// The same, with these limits of its client.
pub(super) fn limited_broker(grants: Vec<NetworkGrant>, limits: &HttpLimits) -> Arc<Broker> {
    let (ours, theirs) = UnixStream::pair().unwrap();
    std::thread::spawn(move || {
        server::serve(theirs, |_| Ok("nothing".to_owned())).unwrap();
    });
    Broker::of_stream(ours, &BrokerConfig::of(grants), limits)
}
