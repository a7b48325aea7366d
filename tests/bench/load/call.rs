//! Tool calls: requests, and the check of responses.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::request::{post, unexpected};
use super::response_reader::events;

/// The length of an echoed text.
pub(crate) const TEXT: usize = 100;

/// The number of its digits, which differ in each call.
const DIGITS: usize = 12;

/// Fills a text up to its length.
const FILLER: &str = " the quick brown fox jumps over the lazy dog and back, twice a day and thrice on any Sunday in spring";

/// Returns the request of a call.
pub(crate) fn call(address: SocketAddr, session: &str, tool: &str, input: &Value) -> Vec<u8> {
    let body = json!({"name": tool, "input": input}).to_string();
    post(address, "/alpha/call", session, &body)
}

/// Returns the run id and the result in the response to a call.
pub(crate) fn run_and_result(status: u16, body: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let mut events = events(body);
    match (status, events.next(), events.next(), events.next()) {
        (200, Some(Ok((b"task_id", id))), Some(Ok((b"end", result))), None)
            if id.len() == 32 && id.iter().all(u8::is_ascii_hexdigit) =>
        {
            Ok((id, result))
        }
        _ => Err(unexpected(status, body)),
    }
}

/// Returns the result in the response to a call, put together from its chunks.
pub(crate) fn large_result(status: u16, body: &[u8]) -> Result<Vec<u8>, String> {
    let mut events = events(body);
    let mut result = Vec::with_capacity(body.len());
    if let (200, Some(Ok((b"task_id", _)))) = (status, events.next()) {
        while let Some(Ok((name, data))) = events.next() {
            result.extend_from_slice(data);
            match name {
                b"chunk" => {}
                b"end" if events.next().is_none() => return Ok(result),
                _ => break,
            }
        }
    }
    Err(unexpected(status, body))
}

/// Checks that a result is a success with this text in its only block.
pub(crate) fn is_text(result: &[u8], text: &str) -> Result<(), String> {
    let outcome: Value = serde_json::from_slice(result).unwrap_or_default();
    let blocks = json!([{"text": text, "detail": null, "type": "text"}]);
    let output = &outcome["output"];
    if outcome["ok"] == true && output["blocks"] == blocks && output["finished"] == false {
        return Ok(());
    }
    Err(format!(
        "not a result with the text {text:?}: {:?}",
        String::from_utf8_lossy(result)
    ))
}

/// The calls of `echo` of one session, each with its own text, so that a response
/// to another call is noticed.
///
/// The request is built once; each call changes its digits. The first response is
/// parsed as JSON; later ones must have the same bytes around the text, and are
/// parsed only if they do not.
#[derive(Clone)]
pub(crate) struct EchoCalls {
    request: Vec<u8>,
    /// The offset of the digits in the request.
    digits: usize,
    text: String,
    calls: u64,
    last_run: [u8; 32],
    known: Option<EchoFrame>,
}

/// The bytes of a right response before and after the text.
#[derive(Clone)]
struct EchoFrame {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl EchoCalls {
    /// Creates the calls of one session.
    pub(crate) fn new(address: SocketAddr, session: &str) -> Self {
        let text = text_of(0);
        let request = call(address, session, "echo", &json!({"text": text}));
        Self {
            digits: find(&request, text.as_bytes()).unwrap_or_default(),
            request,
            text,
            calls: 0,
            last_run: [0; 32],
            known: None,
        }
    }

    /// Writes the request of the next call.
    pub(crate) fn next(&mut self, request: &mut Vec<u8>) {
        self.calls += 1;
        let mut digits = [b'0'; DIGITS];
        let mut rest = self.calls;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.request[self.digits..self.digits + DIGITS].copy_from_slice(&digits);
        request.extend_from_slice(&self.request);
        self.text.clear();
        self.text
            .push_str(std::str::from_utf8(&digits).unwrap_or_default());
        self.text.push_str(&FILLER[..TEXT - DIGITS]);
    }

    /// Checks the response to the last call.
    pub(crate) fn check(&mut self, status: u16, body: &[u8]) -> Result<(), String> {
        let (run, result) = run_and_result(status, body)?;
        if run == self.last_run {
            return Err("two runs have the same id".to_owned());
        }
        self.last_run.copy_from_slice(run);
        let text = self.text.as_bytes();
        if let Some(known) = &self.known
            && let Some(rest) = result.strip_prefix(known.before.as_slice())
            && let Some(rest) = rest.strip_prefix(text)
            && rest == known.after
        {
            return Ok(());
        }
        is_text(result, &self.text)?;
        let at = find(result, text).ok_or("the text is written with escapes")?;
        self.known = Some(EchoFrame {
            before: result[..at].to_vec(),
            after: result[at + text.len()..].to_vec(),
        });
        Ok(())
    }
}

/// Returns the text of a call by its number.
fn text_of(call: u64) -> String {
    format!("{call:0DIGITS$}{}", &FILLER[..TEXT - DIGITS])
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::{EchoCalls, TEXT, large_result, text_of};

    fn answer(run: u32, text: &str) -> String {
        let result = format!(
            r#"{{"ok":true,"output":{{"blocks":[{{"text":"{text}","detail":null,"type":"text"}}],"metadata":null,"reward":null,"finished":false}}}}"#
        );
        format!("event: task_id\r\ndata: {run:032x}\r\n\r\nevent: end\r\ndata: {result}\r\n\r\n")
    }

    fn echo() -> EchoCalls {
        EchoCalls::new("127.0.0.1:1".parse().unwrap(), "session")
    }

    #[test]
    fn a_text_is_a_hundred_bytes_and_new_in_each_call() {
        let mut echo = echo();
        for call in 1..=12 {
            let mut request = Vec::new();
            echo.next(&mut request);
            let request = String::from_utf8(request).unwrap();
            let (_, body) = request.split_once("\r\n\r\n").unwrap();
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            let text = body["input"]["text"].as_str().unwrap();
            assert_eq!(text, text_of(call));
            assert_eq!(text.len(), TEXT);
        }
    }

    #[test]
    fn a_large_result_is_its_chunks_up_to_the_end() {
        let id = "event: task_id\r\ndata: 00\r\n\r\n";
        let chunk = "event: chunk\r\ndata: {\"a\":\r\n\r\n";
        let end = "event: end\r\ndata: 1}\r\n\r\n";
        let result = |parts: &[&str]| large_result(200, parts.concat().as_bytes()).ok();
        let whole = result(&[id, chunk, chunk, end]);
        assert_eq!(whole.as_deref(), Some(&b"{\"a\":{\"a\":1}"[..]));
        assert!(result(&[id, end]).is_some());
        let error = end.replace("end", "error");
        for wrong in [
            &[id, chunk][..],
            &[chunk, end],
            &[id, end, chunk],
            &[id, chunk, &error],
        ] {
            assert_eq!(result(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn right_and_wrong_responses_are_distinguished() {
        let mut echo = echo();
        for call in 1..=3_u32 {
            echo.next(&mut Vec::new());
            let right = answer(call, &text_of(call.into()));
            for (wrong, status) in [
                (answer(call, &text_of(7)), 200),
                (right.clone(), 500),
                (right.replace("\"ok\":true", "\"ok\":false"), 200),
                (right.replace("false", "true"), 200),
                (right.replace("event: end", "event: error"), 200),
                (right.replace("event: task_id", "event: chunk"), 200),
                (right.replacen("data: 0", "data: ", 1), 200),
                (format!("{right}{right}"), 200),
                (String::new(), 200),
            ] {
                let judged = echo.clone().check(status, wrong.as_bytes());
                assert!(judged.is_err(), "{call}: {wrong}");
            }
            assert_eq!(echo.check(200, right.as_bytes()), Ok(()));
            assert!(
                echo.check(200, right.as_bytes()).is_err(),
                "a repeated run id"
            );
            // Another spelling of the same JSON is accepted.
            let spaced = answer(call + 100, &text_of(call.into())).replace(":true", ": true");
            assert_eq!(echo.check(200, spaced.as_bytes()), Ok(()));
        }
    }
}
