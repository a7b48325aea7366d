//! Where a request may go.

use std::sync::Arc;

use orwd_model::{HttpErrorCode, Secrets};
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::http::sender::Sender;
use crate::http::tls;
use crate::rules::grant::{NetworkGrant, OperatorRules};
use crate::rules::rule::Rule;
use crate::tests::support::{get, granted, sender, serve};

#[tokio::test]
async fn a_name_is_not_followed_to_an_address_that_is_not_public() {
    let (address, mut asked) = serve(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()).await;
    let port = address.rsplit(':').next().unwrap();
    for (hosts, name) in [
        ("127.0.0.1 inner.example", "inner.example"),
        ("169.254.169.254 meta.example", "meta.example"),
        ("::ffff:127.0.0.1 mapped.example", "mapped.example"),
        // One public address does not excuse the other.
        (
            "1.1.1.1 both.example\n127.0.0.1 both.example",
            "both.example",
        ),
    ] {
        let url = format!("http://{name}:{port}");
        let grant = granted(std::slice::from_ref(&url));
        let error = sender(hosts)
            .send(&grant, get(&url), &Secrets::default())
            .await
            .unwrap_err();
        assert_eq!(error.code, HttpErrorCode::Refused, "{name}: {error}");
    }
    // An address that only the manifest names is not enough either.
    let rules = [Rule::parse(&format!("http://{address}")).unwrap()];
    let grant = NetworkGrant::new(&rules, &OperatorRules::Manifest);
    let error = sender("")
        .send(
            &grant,
            get(&format!("http://{address}")),
            &Secrets::default(),
        )
        .await
        .unwrap_err();
    assert_eq!(error.code, HttpErrorCode::Refused);
    assert!(asked.try_recv().is_err(), "the server was asked");
}

#[tokio::test]
async fn a_server_without_a_certificate_of_a_known_authority_is_refused() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["judge.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let der = CertificateDer::from(certificate.der().to_vec());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![der.clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    // The certificate is for a name; the rule must name the address, since it is
    // not public. So both are tried: the name with a checked TLS connection, and
    // the address whose certificate is for somebody else.
    let trusting = tls::config(&[der.to_vec()]).unwrap();
    let url = format!("https://{address}");
    let grant = granted(std::slice::from_ref(&url));
    for (config, part) in [
        (tls::config(&[]).unwrap(), "UnknownIssuer"),
        (trusting.clone(), "not valid for name"),
    ] {
        let sender = Sender {
            tls: config,
            ..sender("")
        };
        let error = sender
            .send(&grant, get(&url), &Secrets::default())
            .await
            .unwrap_err();
        assert_eq!(error.code, HttpErrorCode::Failed);
        assert!(error.message.contains(part), "{error}");
    }
    let host = crate::rules::url::Host::parse("judge.example").unwrap();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    assert!(tls::connect(trusting, &host, stream).await.is_ok());
}
