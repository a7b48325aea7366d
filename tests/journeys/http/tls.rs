//! TLS of the server, met by `orwd play` and `orwd sessions` as clients that
//! verify its certificate.

use std::io::Read;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use orwd_tests::background::wait_until;
use orwd_tests::http::{HttpClient, HttpRequest};
use orwd_tests::process::{CommandResult, OrwdCommand, ServeCommand, ServerProcess};
use orwd_tests::test_dir::TestDir;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::TIMEOUT;

const EPISODE: &str = r#"{"split": "train", "index": 2}
{"tool": "echo", "input": {"text": "hey", "upper": true}, "expect": {"text": "HEY"}}
{"tool": "finish", "input": {"reward": 0.25}, "expect": {"reward": 0.25, "finished": true}}
"#;

/// Encodes a certificate or a key.
fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// A certificate authority of the test.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(dir: &TestDir, name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let file = dir.write(
            &format!("{name}.ca.pem"),
            pem("CERTIFICATE", certificate.der()),
        );
        Authority {
            issuer: Issuer::new(params, key),
            file,
        }
    }

    /// Issues a certificate for the loopback address, with its key, as PEM.
    fn issue(&self) -> (String, String) {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (
            pem("CERTIFICATE", certificate.der()),
            pem("PRIVATE KEY", key.serialized_der()),
        )
    }
}

/// Serves `alpha` with a certificate of this authority.
fn serve(dir: &TestDir, authority: &Authority) -> ServeCommand {
    let (cert, key) = authority.issue();
    let cert = dir.write("tls/cert.pem", cert);
    let key = dir.write("tls/key.pem", key);
    ServeCommand::fixtures(&["alpha"])
        .set("--tls-cert", cert)
        .set("--tls-key", key)
}

fn client(authority: &Authority, arguments: &[&str]) -> CommandResult {
    OrwdCommand::new(arguments)
        .env("SSL_CERT_FILE", &authority.file)
        .env_remove("SSL_CERT_DIR")
        .run()
}

/// Plays an episode on the server, trusting this authority.
fn play(dir: &TestDir, server: &ServerProcess, authority: &Authority) -> CommandResult {
    let script = dir.write("episode.jsonl", EPISODE);
    let script = script.to_str().unwrap();
    client(authority, &["play", server.base(), "--script", script])
}

fn plain_http(server: &ServerProcess) -> HttpClient {
    HttpClient::new(&format!("http://{}", server.address()))
}

#[test]
fn episodes_are_played_and_listed_over_https() {
    let dir = TestDir::new();
    let (ours, other) = (Authority::new(&dir, "ours"), Authority::new(&dir, "other"));
    let server = serve(&dir, &ours).start();
    assert!(server.base().starts_with("https://"), "{}", server.base());
    let played = play(&dir, &server, &ours);
    assert!(played.expect_success().contains("HEY"), "{played}");
    let listed = client(
        &ours,
        &[
            "sessions",
            "list",
            "--all",
            "--json",
            "--url",
            server.base(),
        ],
    );
    let listed: Value = serde_json::from_str(listed.expect_success()).unwrap();
    assert_eq!(listed["sessions"].as_array().map(Vec::len), Some(1));

    // A path that is not canonical leads to the same scheme.
    let redirect = "import http.client, ssl, sys\n\
        trust = ssl.create_default_context(cafile=sys.argv[2])\n\
        client = http.client.HTTPSConnection(sys.argv[1], context=trust)\n\
        client.request('GET', '/health/')\n\
        print(client.getresponse().headers['location'])";
    let followed = Command::new("python3")
        .args(["-c", redirect, server.address()])
        .arg(&ours.file)
        .output()
        .expect("python3 starts");
    let location = String::from_utf8_lossy(&followed.stdout);
    assert_eq!(location.trim(), format!("{}/health", server.base()));

    // The certificate is verified.
    play(&dir, &server, &other).expect_failure(&["no TLS connection", "SSL_CERT_FILE"]);
    // A client that forgets the `s` learns it.
    let refused = plain_http(&server).fetch(&HttpRequest::get("/health"));
    assert_eq!(refused.status(), 400);
    assert!(refused.text().contains("https://"), "{}", refused.text());
}

#[test]
fn a_renewed_certificate_is_used_once_it_belongs_to_its_key() {
    let dir = TestDir::new();
    let (old, new) = (Authority::new(&dir, "old"), Authority::new(&dir, "new"));
    let server = serve(&dir, &old).start();
    play(&dir, &server, &old).expect_success();
    let (cert, key) = new.issue();
    // Only the certificate is there yet.
    dir.write("tls/cert.pem", cert);
    server.wait_for_log("cannot reload TLS certificate");
    assert!(
        server.log().contains("does not belong to"),
        "{}",
        server.log()
    );
    play(&dir, &server, &old).expect_success();
    // A file that is renamed into place, as most tools do.
    let file = dir.write("tls/renewed.pem", key);
    std::fs::rename(file, dir.path().join("tls/key.pem")).unwrap();
    server.wait_for_log("TLS certificate reloaded");
    play(&dir, &server, &new).expect_success();
    play(&dir, &server, &old).expect_failure(&["no TLS connection"]);
}

#[test]
fn a_connection_counts_and_is_timed_before_its_handshake() {
    let dir = TestDir::new();
    let authority = Authority::new(&dir, "ours");
    let server = serve(&dir, &authority)
        .set("--max-connections-per-address", "2")
        .set("--header-timeout", "6s")
        .start();
    let start = Instant::now();
    let mut silent: Vec<_> = (0..2)
        .map(|_| std::net::TcpStream::connect(server.address()).unwrap())
        .collect();
    // The refusal comes over TLS, so that the client can read it.
    wait_until("both count", TIMEOUT, || {
        let refused = client(&authority, &["sessions", "list", "--url", server.base()]);
        refused.code != Some(0) && refused.to_string().contains("too many connections")
    });
    for stream in &mut silent {
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
    }
    assert!(start.elapsed() >= Duration::from_secs(5), "{start:?}");
    play(&dir, &server, &authority).expect_success();
}

#[test]
fn a_handshake_does_not_delay_a_shutdown() {
    let dir = TestDir::new();
    let authority = Authority::new(&dir, "ours");
    let mut server = serve(&dir, &authority).start();
    let silent = std::net::TcpStream::connect(server.address()).unwrap();
    play(&dir, &server, &authority).expect_success();
    let start = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait(TIMEOUT), Some(0));
    assert!(start.elapsed() < Duration::from_secs(10));
    drop(silent);
}

#[test]
fn files_that_cannot_be_used_are_named_at_the_start() {
    let dir = TestDir::new();
    let authority = Authority::new(&dir, "ours");
    let (cert, key) = authority.issue();
    let (_, other) = authority.issue();
    let cert = dir.write("cert.pem", cert);
    let key = dir.write("key.pem", key);
    let other = dir.write("other.pem", other);
    let start = |cert: &PathBuf, key: &PathBuf| {
        let command = ServeCommand::fixtures(&["alpha"])
            .set("--tls-cert", cert)
            .set("--tls-key", key);
        command.command().run()
    };
    start(&key, &key).expect_failure(&["key.pem holds no valid certificate"]);
    start(&cert, &cert).expect_failure(&["cert.pem holds no private key"]);
    start(&cert, &other).expect_failure(&["other.pem does not belong to", "cert.pem"]);
    start(&cert, &dir.path().join("none")).expect_failure(&["cannot read", "none"]);
    let alone = ServeCommand::fixtures(&["alpha"]).set("--tls-cert", &cert);
    alone.command().run().expect_failure(&["--tls-key"]);
}
