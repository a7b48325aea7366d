//! The usage of paid services, of which this server has none.

use axum::Json;
use orwd_hub_store::unix_seconds;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::http::auth::Authenticated;
use crate::http::error::ApiError;
use crate::http::query::QueryParameters;

const SECONDS_OF_A_DAY: i64 = 86_400;

/// Returns a period without any usage.
pub(crate) async fn usage(
    Authenticated(_): Authenticated,
    query: QueryParameters,
) -> Result<Json<Value>, ApiError> {
    let days = query.number("days")?.unwrap_or(30);
    if !(1..=90).contains(&days) {
        return Err(ApiError::invalid(format!(
            "days is {days}; it must be 1 to 90"
        )));
    }
    let until = unix_seconds();
    let (since, until) = (date(until - days * SECONDS_OF_A_DAY)?, date(until)?);
    Ok(Json(json!({
        "since": since,
        "until": until,
        "byService": [],
        "totals": { "requests": 0, "cost": 0, "pendingRequests": 0 },
        "daily": [],
    })))
}

fn date(seconds: i64) -> Result<String, ApiError> {
    let time = OffsetDateTime::from_unix_timestamp(seconds)
        .map_err(|error| ApiError::internal("the clock is wrong", error))?;
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    Ok(format!("{year:04}-{month:02}-{day:02}T00:00:00.000Z"))
}
