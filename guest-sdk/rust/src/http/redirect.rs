//! Where a redirect leads, and what goes there.

/// Headers that go to another server too.
const HARMLESS: &[&str] = &["accept", "accept-encoding", "accept-language", "user-agent"];

/// Returns where a response with this status and location leads, if it is a redirect
/// that is followed from a request with this method and URL.
pub(super) fn target(
    method: &str,
    url: &str,
    status: u16,
    location: Option<&str>,
) -> Option<String> {
    let is_read = matches!(method, "GET" | "HEAD");
    match status {
        303 => {}
        301 | 302 | 307 | 308 if is_read => {}
        _ => return None,
    }
    let location = location?.trim();
    // A fragment is for the reader of a document.
    let location = location.split('#').next().unwrap_or_default();
    if location.is_empty() {
        return None;
    }
    Some(resolve(url, location))
}

/// Returns scheme, host and port of a URL as it is written.
pub(super) fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    format!("{scheme}://{}", &rest[..end]).to_ascii_lowercase()
}

/// Returns whether a header goes where a redirect leads. A body does not.
pub(super) fn keeps(name: &str, is_same: bool) -> bool {
    let name = name.to_ascii_lowercase();
    match is_same {
        true => name != "content-type",
        false => HARMLESS.contains(&name.as_str()),
    }
}

/// Returns the URL that a location is relative to another one. The host refuses a URL
/// that is none.
fn resolve(url: &str, location: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let path = path.split('?').next().unwrap_or_default();
    let path = if path.is_empty() { "/" } else { path };
    let before_query = location.split('?').next().unwrap_or_default();
    let is_absolute = before_query.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    if is_absolute {
        return location.to_owned();
    }
    if location.starts_with("//") {
        return format!("{scheme}:{location}");
    }
    if location.starts_with('?') {
        return format!("{scheme}://{authority}{path}{location}");
    }
    let whole = match location.starts_with('/') {
        true => location.to_owned(),
        false => {
            let folder = path.rfind('/').map_or("", |end| &path[..end]);
            format!("{folder}/{location}")
        }
    };
    let (path, query) = whole.split_at(whole.find('?').unwrap_or(whole.len()));
    format!("{scheme}://{authority}{}{query}", without_dots(path))
}

/// Removes the segments `.` and `..` of a path.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_relative_to_the_url_of_the_request() {
        for (url, location, expected) in [
            ("https://a.com", "/y", "https://a.com/y"),
            ("https://a.com?q=/b", "y?z", "https://a.com/y?z"),
            ("https://a.com/x/y?q=1", "z", "https://a.com/x/z"),
            ("https://a.com/x/y", "?z", "https://a.com/x/y?z"),
            ("https://a.com/x/y", "../z/./w", "https://a.com/z/w"),
            ("https://a.com/x/y", "..", "https://a.com/"),
            ("https://a.com/x", "//b.com/y", "https://b.com/y"),
            ("https://a.com/x", "http://b.com:1/y", "http://b.com:1/y"),
            ("https://a.com/x", "/y?a=b:c", "https://a.com/y?a=b:c"),
            (
                "https://a.com/x",
                "file:///etc/passwd",
                "file:///etc/passwd",
            ),
        ] {
            assert_eq!(resolve(url, location), expected, "{url} {location}");
        }
    }

    #[test]
    fn another_scheme_host_or_port_is_another_server() {
        let one = origin("https://A.com/x");
        assert_eq!(one, origin("https://a.com?y"));
        for other in ["http://a.com/x", "https://b.com/x", "https://a.com:8443/x"] {
            assert_ne!(one, origin(other), "{other}");
        }
    }
}
