//! The least that a server of tool calls does: hyper, the bytes of the protocol, and
//! nothing behind them. `orwd-bench-bare one` sends a response in one write,
//! `orwd-bench-bare two` the id first and then the result. Prints its base URL, and
//! ends with its standard input.

use std::convert::Infallible;
use std::io::Read as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// What follows the text in the input of a call, and what is around it in a result.
const INPUT_END: u8 = b'"';
const INPUT_START: &[u8] = b"\"text\":\"";
const RESULT_START: &[u8] =
    b"event: end\r\ndata: {\"ok\":true,\"output\":{\"blocks\":[{\"text\":\"";
const RESULT_END: &[u8] = b"\",\"detail\":null,\"type\":\"text\"}],\"metadata\":null,\"reward\":null,\"finished\":false}}\r\n\r\n";

static RUNS: AtomicU64 = AtomicU64::new(1);

/// The events of a call, in one piece or in two.
enum CallBody {
    /// What is sent first, and what follows after a flush.
    Start(Option<Bytes>, Option<Bytes>),
    /// The connection flushes.
    Flush(Option<Bytes>),
}

impl Body for CallBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (next, then) = match &mut *self {
            CallBody::Start(first, last) => match (first.take(), last.take()) {
                (Some(first), last) => (Some(first), CallBody::Start(None, last)),
                (None, Some(last)) => {
                    *self = CallBody::Flush(Some(last));
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                (None, None) => (None, CallBody::Flush(None)),
            },
            CallBody::Flush(last) => (last.take(), CallBody::Flush(None)),
        };
        *self = then;
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }
}

type BareBody = http_body_util::Either<Full<Bytes>, CallBody>;

async fn respond(
    request: Request<Incoming>,
    two_writes: bool,
) -> Result<Response<BareBody>, Infallible> {
    let session = request.headers().get("x-session-id").cloned();
    let is_call = request.uri().path().ends_with("/call");
    let body = request.into_body().collect().await;
    let body = body.map(http_body_util::Collected::to_bytes);
    let body = body.unwrap_or_default();
    if !is_call {
        let id = session.as_ref().map_or("", |id| id.to_str().unwrap_or(""));
        let text = format!("{{\"sid\":\"{id}\"}}");
        return Ok(Response::new(BareBody::Left(Full::from(text))));
    }
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let id = format!("event: task_id\r\ndata: {run:032x}\r\n\r\n").into_bytes();
    let text = text_of(&body);
    let result = [RESULT_START, text, RESULT_END].concat();
    let events = match two_writes {
        true => CallBody::Start(Some(id.into()), Some(result.into())),
        false => CallBody::Start(Some([id, result].concat().into()), None),
    };
    let mut response = Response::new(BareBody::Right(events));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// Returns the text in the input of a call.
fn text_of(body: &[u8]) -> &[u8] {
    let start = find(body, INPUT_START).map_or(body.len(), |at| at + INPUT_START.len());
    let rest = body.get(start..).unwrap_or_default();
    let end = rest.iter().position(|byte| *byte == INPUT_END);
    let end = end.unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[allow(clippy::print_stdout, reason = "its address is its output")]
async fn serve(two_writes: bool) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let service = service_fn(|request| respond(request, two_writes));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client that leaves ends its connection only.
            let _ = connection.await;
        });
    }
}

fn main() -> std::io::Result<()> {
    let two_writes = match std::env::args().nth(1).as_deref() {
        Some("one") => false,
        Some("two") => true,
        _ => return Err(std::io::Error::other("expected one or two, the writes")),
    };
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(0);
    });
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(two_writes))
}
