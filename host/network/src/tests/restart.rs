//! A broker that ends.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use orwd_model::{HttpErrorCode, HttpLimits, HttpPort, Secrets};

use crate::broker::client::Broker;
use crate::broker::config::BrokerConfig;
use crate::broker::frame::{self, BrokerEvent};
use crate::tests::support::get;

/// Stands for the keeper and the broker: reads the configuration and is ready.
fn fake_broker(play: impl FnOnce(UnixStream) + Send + 'static) -> Arc<Broker> {
    let (ours, theirs) = UnixStream::pair().unwrap();
    std::thread::spawn(move || {
        frame::read_blocking(&mut &theirs).unwrap();
        say_ready(&theirs);
        play(theirs);
    });
    let limits = HttpLimits::default();
    Broker::of_stream(ours, &BrokerConfig::of(Vec::new()), &limits)
}

fn say_ready(stream: &UnixStream) {
    let hardening = String::new();
    say(stream, 0, &BrokerEvent::Ready { hardening });
}

fn say(mut stream: &UnixStream, id: u64, message: &impl serde::Serialize) {
    let bytes = frame::encode(id, message).unwrap();
    stream.write_all(&bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_fail_by_name_when_the_broker_is_lost() {
    let broker = fake_broker(|stream| {
        frame::read_blocking(&mut &stream).unwrap();
    });
    broker.connect().unwrap();
    for _ in 0..2 {
        let port = broker.port(0);
        let result = port
            .send("alice", get("http://a.com"), &Secrets::default())
            .await;
        assert_eq!(result.unwrap_err().code, HttpErrorCode::Unavailable);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_broker_ends_is_repeated_only_if_that_is_harmless() {
    let end = |stream: &UnixStream| {
        let reason = "killed".to_owned();
        say(stream, 0, &BrokerEvent::Ended { reason });
    };
    let broker = fake_broker(move |stream| {
        // The first request is lost with the broker, twice.
        for _ in 0..2 {
            frame::read_blocking(&mut &stream).unwrap();
            end(&stream);
            say_ready(&stream);
        }
        let request = frame::read_blocking(&mut &stream).unwrap();
        let response = orwd_model::HttpResponse {
            status: 200,
            headers: Vec::new(),
            body: Vec::new(),
        };
        say(
            &stream,
            request.id,
            &frame::ResultMessage {
                result: Ok(response),
            },
        );
        // The second one is not repeated.
        frame::read_blocking(&mut &stream).unwrap();
        end(&stream);
        std::thread::sleep(Duration::from_millis(50));
        say_ready(&stream);
        let request = frame::read_blocking(&mut &stream).unwrap();
        let message: frame::SendMessage = request.decode().unwrap();
        assert_eq!(message.request.method, "GET", "the other was sent again");
        let refused = orwd_model::HttpError::new(HttpErrorCode::Refused, "third");
        say(
            &stream,
            request.id,
            &frame::ResultMessage {
                result: Err(refused),
            },
        );
        let _ = frame::read_blocking(&mut &stream);
    });
    broker.connect().unwrap();
    let port = broker.port(0);
    let none = Secrets::default();
    let result = port.send("alice", get("http://a.com"), &none).await;
    assert_eq!(result.unwrap().status, 200);
    let mut post = get("http://a.com");
    post.method = "POST".to_owned();
    let result = port.send("alice", post, &none).await;
    assert_eq!(result.unwrap_err().code, HttpErrorCode::InDoubt);
    // One that comes meanwhile waits for the next broker.
    let result = port.send("alice", get("http://a.com"), &none).await;
    assert_eq!(result.unwrap_err().message, "third");
}
