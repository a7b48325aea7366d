//! The files of an environment.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use orwd_hub_store::environments::{by_id_to_change, check_relative_path};
use orwd_hub_store::files;
use serde::Deserialize;
use serde_json::{Value, json};

use super::page;
use crate::http::auth::Authenticated;
use crate::http::body::{self, MANAGEMENT};
use crate::http::error::ApiError;
use crate::http::query::QueryParameters;
use crate::http::state::Shared;
use crate::storage::upload_token::UploadToken;

/// Files of a request for upload addresses.
const MAX_FILES: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UploadRequest {
    environment_id: String,
    files: Vec<FileToUpload>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileToUpload {
    file_name: String,
}

/// Returns an address for each file. The address is the capability to store that
/// one file, for a while.
pub(crate) async fn upload_urls(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let request: UploadRequest = body::json(body, MANAGEMENT).await?;
    let environment = state
        .database
        .read(move |transaction| by_id_to_change(transaction, &request.environment_id, &caller))
        .await?;
    if !(1..=MAX_FILES).contains(&request.files.len()) {
        return Err(ApiError::invalid(format!(
            "files has {} entries; it must have 1 to {MAX_FILES}",
            request.files.len()
        )));
    }
    for file in &request.files {
        let name = &file.file_name;
        check_relative_path(name)?;
        if name.ends_with('/') {
            return Err(ApiError::invalid(format!(
                "{name:?} names a folder; name the file"
            )));
        }
        UploadToken::check_reserved(name)?;
    }
    let base = state.base_url(&headers);
    let urls: Vec<Value> = request
        .files
        .into_iter()
        .map(|file| {
            let token = UploadToken::new(&environment.id, &file.file_name).seal(&state.upload_key);
            json!({
                "fileName": file.file_name,
                "uploadUrl": format!("{base}/v1/uploads/{token}"),
            })
        })
        .collect();
    Ok(Json(json!({ "urls": urls })))
}

/// Lists the files below a prefix.
pub(crate) async fn list(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
    query: QueryParameters,
) -> Result<Json<Value>, ApiError> {
    let limit = page::limit(&query, 200)?;
    let found = state
        .database
        .read(move |transaction| {
            let environment = by_id_to_change(transaction, &id, &caller)?;
            let prefix = query.text("prefix").unwrap_or_default();
            let after = query.text("pageToken");
            files::page(
                transaction,
                &environment.id,
                &prefix,
                after.as_deref(),
                limit,
            )
        })
        .await?;
    let files: Vec<Value> = found
        .files
        .iter()
        .map(|file| json!({ "path": file.path, "size": file.size, "updated_at": file.updated_at }))
        .collect();
    let mut reply = json!({ "files": files, "folders": found.folders });
    if let (Some(next), Some(reply)) = (found.next, reply.as_object_mut()) {
        reply.insert("nextPageToken".to_owned(), next.into());
    }
    Ok(Json(reply))
}

/// Deletes a file.
pub(crate) async fn delete_file(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path((id, path)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let deleted = path.clone();
    state
        .database
        .run(move |transaction| {
            let environment = by_id_to_change(transaction, &id, &caller)?;
            files::delete_file(transaction, &environment.id, &path)
        })
        .await?;
    Ok(Json(json!({ "success": true, "path": deleted })))
}

/// Deletes a folder.
pub(crate) async fn delete_folder(
    State(state): State<Shared>,
    Authenticated(caller): Authenticated,
    Path((id, path)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let count = state
        .database
        .run(move |transaction| {
            let environment = by_id_to_change(transaction, &id, &caller)?;
            files::delete_folder(transaction, &environment.id, &path)
        })
        .await?;
    Ok(Json(json!({ "deletedCount": count })))
}
