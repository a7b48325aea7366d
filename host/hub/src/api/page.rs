//! Pages of listings.

use crate::http::error::ApiError;
use crate::http::query::QueryParameters;

/// Rows of a page, at most. The command line takes a shorter page than it asked
/// for as the last one, and asks for 100.
const MAX_ROWS: i64 = 1000;

/// Returns the rows of a page, `limit`, and those before it, `offset`.
pub(super) fn rows(query: &QueryParameters, default: i64) -> Result<(i64, i64), ApiError> {
    let limit = limit(query, default)?;
    let offset = query.number("offset")?.unwrap_or(0);
    if offset < 0 {
        return Err(ApiError::invalid(format!(
            "offset is {offset}; it must be 0 or more"
        )));
    }
    Ok((limit, offset))
}

/// Returns the rows of a page.
pub(super) fn limit(query: &QueryParameters, default: i64) -> Result<i64, ApiError> {
    let limit = query.number("limit")?.unwrap_or(default);
    if limit < 1 {
        return Err(ApiError::invalid(format!(
            "limit is {limit}; it must be 1 or more"
        )));
    }
    Ok(limit.min(MAX_ROWS))
}
