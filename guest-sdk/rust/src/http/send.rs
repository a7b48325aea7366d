//! Sends a request, and follows its redirects.

use crate::http::message::{ErrorKind, HttpError, Request, Response};
use crate::http::{redirect, wire};

impl Request {
    /// Sends the request and waits for the whole response.
    ///
    /// # Errors
    ///
    /// There is no response; the kind of error says why. In a native test, no
    /// request can be sent.
    pub fn send(self) -> Result<Response, HttpError> {
        self.send_by(wire::send)
    }

    fn send_by(
        mut self,
        mut send: impl FnMut(Request) -> Result<Response, HttpError>,
    ) -> Result<Response, HttpError> {
        let most = self.redirects;
        let mut followed = 0;
        loop {
            let response = send(self.clone())?;
            let location = response.header("location");
            let target = redirect::target(&self.method, &self.url, response.status, location);
            let Some(target) = target else {
                return Ok(response);
            };
            if most == 0 {
                return Ok(response);
            }
            if followed == most {
                return Err(HttpError {
                    kind: ErrorKind::Failed,
                    message: format!("the server redirects more than {most} times"),
                });
            }
            followed += 1;
            if self.method != "HEAD" {
                self.method = "GET".to_owned();
            }
            self.body.clear();
            let is_same = redirect::origin(&target) == redirect::origin(&self.url);
            self.headers
                .retain(|(name, _)| redirect::keeps(name, is_same));
            self.url = target;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn response(status: u16, body: &str) -> Response {
        Response {
            status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_response_is_read() {
        let found = response(200, r#"{"score": 0.5}"#)
            .error_for_status()
            .unwrap();
        assert_eq!(found.header("Content-Type"), Some("application/json"));
        assert_eq!(found.json::<Value>().unwrap(), json!({"score": 0.5}));
        assert!(found.json::<Vec<u8>>().is_err());
    }

    #[test]
    fn a_status_that_is_no_success_is_an_error() {
        let error = response(503, "busy").error_for_status().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Status);
        assert_eq!(
            error.to_string(),
            "the server answered with status 503: busy"
        );
    }

    fn redirect(status: u16, location: &str) -> Response {
        Response {
            status,
            headers: vec![("location".to_owned(), location.to_owned())],
            body: Vec::new(),
        }
    }

    /// Plays these responses, and returns the result and what was sent.
    fn play(
        request: Request,
        responses: Vec<Response>,
    ) -> (Result<Response, HttpError>, Vec<Request>) {
        let mut sent = Vec::new();
        let mut responses = responses.into_iter();
        let result = request.send_by(|request| {
            sent.push(request);
            Ok(responses.next().expect("no further request"))
        });
        assert!(responses.next().is_none(), "too few requests");
        (result, sent)
    }

    #[test]
    fn a_redirect_is_followed_and_a_key_stays_with_its_server() {
        let request = Request::get("https://a.com/x")
            .header("Authorization", "Bearer k")
            .header("X-Key", "k")
            .header("Accept", "text/html");
        let (result, sent) = play(
            request,
            vec![
                redirect(302, "/y"),
                redirect(307, "https://b.com/z"),
                response(200, "{}"),
            ],
        );
        assert_eq!(result.unwrap().status, 200);
        let urls: Vec<&str> = sent.iter().map(|sent| sent.url.as_str()).collect();
        assert_eq!(
            urls,
            ["https://a.com/x", "https://a.com/y", "https://b.com/z"]
        );
        assert_eq!(sent[1].headers.len(), 3);
        assert_eq!(
            sent[2].headers,
            [("Accept".to_owned(), "text/html".to_owned())]
        );
    }

    #[test]
    fn only_redirects_that_repeat_nothing_are_followed() {
        let post = || Request::post("https://a.com").body("x");
        let (result, sent) = play(post(), vec![redirect(307, "/y")]);
        assert_eq!((result.unwrap().status, sent.len()), (307, 1));
        let (_, sent) = play(post(), vec![redirect(303, "/y"), response(200, "{}")]);
        assert_eq!((sent[1].method.as_str(), sent[1].body.len()), ("GET", 0));
        let get = || Request::get("https://a.com");
        let (result, _) = play(get().redirects(0), vec![redirect(302, "/y")]);
        assert_eq!(result.unwrap().status, 302);
        let (result, sent) = play(get(), vec![redirect(302, "/y"); 6]);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Failed);
        assert_eq!(sent.len(), 6);
    }

    #[test]
    fn a_native_test_sends_nothing() {
        let request = Request::post("https://a.com").json(&json!({})).unwrap();
        assert_eq!(request.send().unwrap_err().kind(), ErrorKind::Unavailable);
    }
}
