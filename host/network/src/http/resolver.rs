//! Resolves names without the C library, which would read files and load code.
//!
//! The servers and the host names of the system are read once, before the broker
//! gives up its files.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::http::dns_message::{self, Answer, MAX_ANSWER, RecordType};

/// Time for the answer of one server.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);

/// How often all servers are asked.
const ROUNDS: usize = 2;

/// Servers that are asked.
const MAX_SERVERS: usize = 3;

/// The servers and the host names of the system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resolver {
    servers: Vec<SocketAddr>,
    hosts: Vec<(String, IpAddr)>,
}

impl Resolver {
    /// Reads the texts of `/etc/resolv.conf` and `/etc/hosts`.
    pub(crate) fn parse(resolv_conf: &str, hosts: &str) -> Resolver {
        let mut servers: Vec<SocketAddr> = lines(resolv_conf)
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                (words.next() == Some("nameserver")).then_some(())?;
                Some(SocketAddr::new(words.next()?.parse().ok()?, 53))
            })
            .take(MAX_SERVERS)
            .collect();
        if servers.is_empty() {
            servers.push((Ipv4Addr::LOCALHOST, 53).into());
        }
        let hosts = lines(hosts).filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next()?.parse().ok()?;
            Some(words.map(move |name| (name.to_ascii_lowercase(), address)))
        });
        Resolver {
            servers,
            hosts: hosts.flatten().collect(),
        }
    }

    /// Asks this server only.
    #[cfg(test)]
    pub(crate) fn of_server(server: SocketAddr) -> Resolver {
        Resolver {
            servers: vec![server],
            hosts: Vec::new(),
        }
    }

    /// Returns the addresses of a name, first those of version 4.
    pub(crate) async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let known = self.hosts.iter().filter(|(host, _)| host == name);
        let known: Vec<IpAddr> = known.map(|(_, address)| *address).collect();
        if !known.is_empty() {
            return Ok(known);
        }
        let (v4, v6) = tokio::join!(
            self.ask(name, RecordType::A),
            self.ask(name, RecordType::Aaaa)
        );
        let mut addresses = Vec::new();
        let mut failed = None;
        for found in [v4, v6] {
            match found {
                Ok(found) => addresses.extend(found),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            // One of both may be unknown while the other is not.
            Some(error) if addresses.is_empty() => Err(error),
            _ if addresses.is_empty() => Err("the name has no address".to_owned()),
            _ => Ok(addresses),
        }
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Result<Vec<IpAddr>, String> {
        let mut reason = "no name server answers".to_owned();
        for server in self
            .servers
            .iter()
            .cycle()
            .take(self.servers.len() * ROUNDS)
        {
            match timeout(SERVER_TIMEOUT, ask_server(*server, name, kind)).await {
                Ok(Ok(Answer::Addresses(addresses))) => return Ok(addresses),
                Ok(Ok(Answer::NoName)) => return Err("the name does not exist".to_owned()),
                Ok(Ok(Answer::Failed | Answer::Unrelated)) => {
                    reason = "the name server cannot resolve it".to_owned();
                }
                Ok(Err(error)) => reason = format!("no name server answers: {error}"),
                Err(_) => {}
            }
        }
        Err(reason)
    }
}

/// Asks one server. Its answer must come from its address and port, to the port
/// that the system has chosen for this question, and repeat the question.
async fn ask_server(server: SocketAddr, name: &str, kind: RecordType) -> io::Result<Answer> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    let question = dns_message::question(rand::random(), name, kind);
    socket.send(&question).await?;
    let mut buffer = vec![0; MAX_ANSWER];
    loop {
        let read = socket.recv(&mut buffer).await?;
        let message = buffer.get(..read).unwrap_or_default();
        match dns_message::answer(&question, message, kind) {
            // Somebody may guess; the server's own answer may still come.
            Answer::Unrelated => {}
            answer => return Ok(answer),
        }
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(|line| line.split(['#', ';']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::dns_message::tests::answer_a;

    #[test]
    fn the_systems_files_are_read() {
        let resolver = Resolver::parse(
            "# comment\nsearch example.com\nnameserver 10.0.0.2\nnameserver fe80::1%eth0\nnameserver ::1 ; x\n",
            "127.0.0.1 localhost Local # y\n::1 localhost\nbroken\n",
        );
        let servers = ["10.0.0.2:53", "[::1]:53"].map(|text| text.parse().unwrap());
        assert_eq!(resolver.servers, servers);
        assert_eq!(resolver.hosts.len(), 3);
        assert_eq!(resolver.hosts[1].0, "local");
        assert_eq!(
            Resolver::parse("", "").servers,
            ["127.0.0.1:53".parse().unwrap()]
        );
    }

    #[tokio::test]
    async fn a_forged_answer_is_ignored_and_the_servers_own_is_taken() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let resolver = Resolver::of_server(socket.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let mut buffer = [0; 512];
            for _ in 0..2 {
                let (read, from) = socket.recv_from(&mut buffer).await.unwrap();
                let asked = &buffer[..read];
                let mut forged = answer_a(asked, &[[6, 6, 6, 6]]);
                forged[0] ^= 0xff;
                socket.send_to(&forged, from).await.unwrap();
                socket
                    .send_to(&answer_a(asked, &[[1, 2, 3, 4]]), from)
                    .await
                    .unwrap();
            }
        });
        let found = resolver.resolve("api.example.com").await.unwrap();
        assert_eq!(found, ["1.2.3.4".parse::<IpAddr>().unwrap()]);
        server.await.unwrap();
    }
}
