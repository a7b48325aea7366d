//! Sends one request on a connection of its own, and reads the whole response.
//!
//! A connection carries one request, so no two owners share one. Redirects are
//! not followed: a guest that follows one makes a request of its own, which is
//! checked as every other.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::CONTENT_LENGTH;
use hyper_util::rt::TokioIo;
use orwd_model::{HttpError, HttpErrorCode, HttpRequest, HttpResponse, Secrets};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::rustls::ClientConfig;

use crate::http::limits::SendLimits;
use crate::http::request::{self, CheckedRequest};
use crate::http::resolver::Resolver;
use crate::http::secrets::ResponseFilter;
use crate::http::tls;
use crate::rules::address;
use crate::rules::grant::{Allowed, NetworkGrant};
use crate::rules::url::{Host, Scheme, Url};

/// Bytes of a response's body.
pub(crate) const MAX_RESPONSE: usize = 4 << 20;

/// Headers of a response.
const MAX_HEADERS: usize = 128;

/// The flag of the time until the head of a response has come.
const HEAD_FLAG: &str = "--http-head-timeout";

/// Addresses of a name that are tried.
const MAX_ATTEMPTS: usize = 4;

/// Sends requests.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) resolver: Resolver,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) limits: SendLimits,
}

impl Sender {
    /// Checks and sends a request, and reads its response.
    pub(crate) async fn send(
        &self,
        grant: &NetworkGrant,
        request: HttpRequest,
        secrets: &Secrets,
    ) -> Result<HttpResponse, HttpError> {
        let checked = request::check(grant, request, secrets, &self.limits)?;
        let filter = ResponseFilter::new(secrets);
        let limit = self.limits.total;
        match timeout(limit, self.send_checked(checked, &filter)).await {
            Ok(result) => result,
            Err(_) => Err(too_slow(
                "the response was not complete",
                limit,
                "--http-timeout",
            )),
        }
    }

    async fn send_checked(
        &self,
        checked: CheckedRequest,
        filter: &ResponseFilter,
    ) -> Result<HttpResponse, HttpError> {
        let CheckedRequest {
            url,
            allowed,
            request,
        } = checked;
        let addresses = self.addresses(&url, allowed).await?;
        let stream = self.connect(&url, &addresses).await?;
        let until = Instant::now() + self.limits.head;
        match url.scheme {
            Scheme::Http => self.exchange(stream, request, filter, until).await,
            Scheme::Https => {
                let connected = tls::connect(self.tls.clone(), &url.host, stream);
                let stream = timeout_at(until, connected)
                    .await
                    .map_err(|_| too_slow("no TLS connection", self.limits.head, HEAD_FLAG))?
                    .map_err(|error| {
                        failed(format!("no TLS connection to {}: {error}", url.host))
                    })?;
                self.exchange(stream, request, filter, until).await
            }
        }
    }

    /// Returns the addresses of the URL's host. If one is refused, all are: a
    /// name with both kinds of addresses is an attempt to reach the other kind.
    async fn addresses(&self, url: &Url, allowed: Allowed) -> Result<Vec<IpAddr>, HttpError> {
        let addresses = match &url.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self
                .resolver
                .resolve(name)
                .await
                .map_err(|error| failed(format!("cannot resolve {name}: {error}")))?,
        };
        if allowed == Allowed::NamedAddress {
            return Ok(addresses);
        }
        match addresses.iter().find_map(|found| address::refusal(*found)) {
            // The address itself may be what an attacker wants to learn.
            Some(kind) => Err(HttpError::new(
                HttpErrorCode::Refused,
                format!(
                    "{} has an address that is not public ({kind}); only an operator can name \
                     such an address, as the host of an --allow-network rule",
                    url.host
                ),
            )),
            None => Ok(addresses),
        }
    }

    async fn connect(&self, url: &Url, addresses: &[IpAddr]) -> Result<TcpStream, HttpError> {
        let mut reason = None;
        for address in addresses.iter().take(MAX_ATTEMPTS) {
            let address = SocketAddr::new(*address, url.port);
            match timeout(self.limits.connect, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // A request is written at once.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => {
                    reason = Some(failed(format!(
                        "cannot connect to {}: {error}",
                        url.authority()
                    )))
                }
                Err(_) => {
                    reason = Some(too_slow(
                        "no connection",
                        self.limits.connect,
                        "--http-connect-timeout",
                    ))
                }
            }
        }
        Err(reason.unwrap_or_else(|| failed(format!("{} has no address", url.host))))
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        request: hyper::Request<Full<Bytes>>,
        filter: &ResponseFilter,
        until: Instant,
    ) -> Result<HttpResponse, HttpError> {
        let (mut sender, connection) = http1::Builder::new()
            .max_headers(MAX_HEADERS)
            .max_buf_size(self.limits.response_head)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(format!("no HTTP connection: {error}")))?;
        let read = async move {
            let response = timeout_at(until, sender.send_request(request))
                .await
                .map_err(|_| too_slow("no response", self.limits.head, HEAD_FLAG))?
                .map_err(|error| failed(format!("no valid response: {error}")))?;
            read_response(response, filter).await
        };
        // Both end when the response is read, or with this future.
        tokio::pin!(connection, read);
        let mut is_open = true;
        loop {
            tokio::select! {
                result = &mut read => return result,
                _ = &mut connection, if is_open => is_open = false,
            }
        }
    }
}

async fn read_response(
    response: hyper::Response<Incoming>,
    filter: &ResponseFilter,
) -> Result<HttpResponse, HttpError> {
    let (head, mut body) = response.into_parts();
    filter.check(&head.headers)?;
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), filter.header(value))
    });
    let mut headers: Vec<(String, String)> = headers.collect();
    let mut bytes = Vec::new();
    let mut read = 0;
    let mut filtered = filter.body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failed(format!("the response breaks off: {error}")))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        read += data.len();
        // What replaces a short secret is longer.
        if read.max(bytes.len()) > MAX_RESPONSE {
            let message = format!("the response has more than {MAX_RESPONSE} bytes");
            return Err(HttpError::new(HttpErrorCode::Limit, message));
        }
        filtered.feed(&data, &mut bytes);
    }
    filtered.finish(&mut bytes);
    if bytes.len() > MAX_RESPONSE {
        let message = format!("the response has more than {MAX_RESPONSE} bytes");
        return Err(HttpError::new(HttpErrorCode::Limit, message));
    }
    if bytes.len() != read {
        for (name, value) in &mut headers {
            if name == CONTENT_LENGTH.as_str() {
                *value = bytes.len().to_string();
            }
        }
    }
    Ok(HttpResponse {
        status: head.status.as_u16(),
        headers,
        body: bytes,
    })
}

fn failed(message: String) -> HttpError {
    HttpError::new(HttpErrorCode::Failed, message)
}

fn too_slow(what: &str, limit: Duration, flag: &str) -> HttpError {
    let message = format!("{what} within {} s ({flag})", limit.as_secs_f64());
    HttpError::new(HttpErrorCode::Timeout, message)
}
