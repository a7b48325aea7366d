//! Who looks at a page: the browser session behind its cookie.
//!
//! Over HTTPS the cookie has the prefix `__Host-`, so that no other host and no
//! plain connection can set it. Browsers refuse that prefix over plain HTTP, which
//! is for loopback addresses, so there the cookie has another name and lacks
//! `Secure`.

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use orwd_hub_store::accounts::{
    BrowserSecretHash, Caller, begin_browser_session, caller_of_browser, end_browser_session,
};
use orwd_web::{Frame, Theme};

use crate::http::error::ApiError;
use crate::http::state::{HubState, Shared};

/// Separates the tokens of forms from all other uses of BLAKE3.
const TOKEN_CONTEXT: &str = "orwd 2026-11 token of the forms of a browser session";

/// Seconds for which a browser keeps its cookies.
const COOKIE_SECONDS: u32 = 30 * 86_400;

const THEME: &str = "orwd-theme";

/// Who looks at a page.
#[derive(Clone, Debug, Default)]
pub(super) struct Viewer {
    caller: Option<Caller>,
    secret: Option<String>,
    pub(super) theme: Theme,
    path: String,
}

impl Viewer {
    /// Reads the cookies of a request. A cookie of a session that has ended counts
    /// as none.
    pub(super) async fn of(
        state: &Shared,
        headers: &HeaderMap,
        path: String,
    ) -> Result<Viewer, ApiError> {
        let theme = cookie(headers, THEME).map_or(Theme::Preferred, |name| Theme::of(&name));
        let mut viewer = Viewer {
            theme,
            path,
            ..Viewer::default()
        };
        let Some(secret) = cookie(headers, session_cookie(state)) else {
            return Ok(viewer);
        };
        let hash = BrowserSecretHash::of(&secret);
        viewer.caller = state
            .database
            .read(move |transaction| caller_of_browser(transaction, &hash))
            .await?;
        viewer.secret = viewer.caller.is_some().then_some(secret);
        Ok(viewer)
    }

    /// Returns who is signed in, if anyone is.
    pub(super) fn maybe(&self) -> Option<Caller> {
        self.caller.clone()
    }

    /// Returns who is signed in, or a 401, which becomes a redirect to the page on
    /// which one signs in.
    pub(super) fn signed_in(&self) -> Result<Caller, ApiError> {
        let missing = || ApiError::new(StatusCode::UNAUTHORIZED, "sign in to see this page");
        self.caller.clone().ok_or_else(missing)
    }

    /// Returns the token that the forms of this session send; none if nobody is
    /// signed in.
    pub(super) fn token(&self) -> Option<String> {
        let secret = self.secret.as_ref()?;
        let token = blake3::derive_key(TOKEN_CONTEXT, secret.as_bytes());
        Some(blake3::Hash::from_bytes(token).to_hex().to_string())
    }

    /// Returns whether a form has the token of this session. Without a session there
    /// is nothing to protect but the origin, which is checked for all forms.
    pub(super) fn accepts(&self, token: &str) -> bool {
        match self.token() {
            // Hashes are compared in constant time.
            Some(expected) => blake3::hash(expected.as_bytes()) == blake3::hash(token.as_bytes()),
            None => true,
        }
    }

    /// Returns what every page shows around its content.
    pub(super) fn frame(&self) -> Frame {
        Frame {
            user: self.caller.as_ref().map(|caller| caller.name.to_string()),
            token: self.token().unwrap_or_default(),
            theme: self.theme,
            path: self.path.clone(),
        }
    }

    /// Ends the session of this browser.
    pub(super) async fn end(&self, state: &Shared) -> Result<(), ApiError> {
        if let Some(secret) = &self.secret {
            let hash = BrowserSecretHash::of(secret);
            state
                .database
                .run(move |transaction| end_browser_session(transaction, &hash))
                .await?;
        }
        Ok(())
    }
}

/// Begins a session of a user in place of that of the viewer, and redirects to a
/// path. A session always has a new secret, so nobody can choose it beforehand.
pub(super) async fn sign_in(
    state: &Shared,
    viewer: &Viewer,
    user: String,
    next: &str,
) -> Result<Response, ApiError> {
    viewer.end(state).await?;
    let secret = blake3::Hash::from_bytes(rand::random())
        .to_hex()
        .to_string();
    let (hash, name) = (BrowserSecretHash::of(&secret), user.clone());
    state
        .database
        .run(move |transaction| begin_browser_session(transaction, &name, &hash))
        .await?;
    tracing::info!(user, "browser signed in");
    let name = session_cookie(state);
    let secure = if is_https(state) { "; Secure" } else { "" };
    let value = format!(
        "{name}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={COOKIE_SECONDS}{secure}"
    );
    with_cookie(redirect(next), &value)
}

/// Adds the cookie of a theme to a response.
pub(super) fn with_theme(response: Response, theme: Theme) -> Result<Response, ApiError> {
    let value = format!(
        "{THEME}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={COOKIE_SECONDS}",
        theme.as_str()
    );
    with_cookie(response, &value)
}

/// Redirects to a path of this platform, with a GET.
pub(super) fn redirect(path: &str) -> Response {
    let path = HeaderValue::from_str(local(path)).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, path)]).into_response()
}

/// Returns a path of this platform, and `/` for any other address.
pub(super) fn local(path: &str) -> &str {
    let rest = path.strip_prefix('/');
    // Browsers read a second slash, and a backslash as well, as the beginning of
    // a host, and skip control characters.
    let is_path = rest.is_some_and(|rest| !rest.starts_with(['/', '\\']))
        && path.bytes().all(|byte| byte.is_ascii_graphic());
    if is_path { path } else { "/" }
}

fn with_cookie(mut response: Response, cookie: &str) -> Result<Response, ApiError> {
    let value = HeaderValue::from_str(cookie)
        .map_err(|error| ApiError::internal("cookie not set", error))?;
    response.headers_mut().append(SET_COOKIE, value);
    Ok(response)
}

fn is_https(state: &HubState) -> bool {
    let url = state.config.public_url.as_deref();
    url.is_some_and(|url| url.starts_with("https://"))
}

fn session_cookie(state: &HubState) -> &'static str {
    if is_https(state) {
        "__Host-orwd-session"
    } else {
        "orwd-session"
    }
}

/// Returns the value of a cookie.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let values = headers.get_all(COOKIE).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(given, _)| *given == name)
        .map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_here() {
        for path in ["/", "/a/b?c=d", "/a%20b"] {
            assert_eq!(local(path), path);
        }
        for path in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil",
            "javascript:a",
            "/a\r\nSet-Cookie: a",
            "/\t/evil.example",
            "a",
        ] {
            assert_eq!(local(path), "/", "{path:?}");
        }
    }

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(
            COOKIE,
            HeaderValue::from_static("xorwd-session=1; orwd-session=2"),
        );
        assert_eq!(cookie(&headers, "orwd-session").as_deref(), Some("2"));
        assert_eq!(cookie(&headers, "session"), None);
    }

    #[test]
    fn a_form_needs_the_token_of_its_own_session() {
        let viewer = |secret: &str| Viewer {
            secret: Some(secret.to_owned()),
            ..Viewer::default()
        };
        let (one, other) = (viewer("one"), viewer("other"));
        let token = one.token().unwrap();
        assert!(one.accepts(&token));
        assert!(!other.accepts(&token) && !one.accepts(""));
        assert!(!token.contains("one"), "the token does not tell the secret");
    }
}
