//! The interface `orwd:network/http`, as guests import it.

use orwd_bindings::network::orwd::network::http as wit;
use orwd_model::{HttpError, HttpErrorCode, HttpRequest, HttpResult};
use wasmtime::component::HasData;

use crate::http::state::HttpState;

/// Gives the interface access to the state.
pub(crate) struct HasHttp;

impl HasData for HasHttp {
    type Data<'a> = &'a mut HttpState;
}

impl wit::Host for HttpState {
    async fn send(
        &mut self,
        request: wit::Request,
    ) -> wasmtime::Result<Result<wit::Response, wit::Error>> {
        Ok(result(HttpState::send(self, received(request)).await?))
    }

    async fn start(&mut self, request: wit::Request) -> wasmtime::Result<Result<u32, wit::Error>> {
        Ok(HttpState::start(self, received(request)).map_err(error))
    }

    async fn wait(&mut self) -> wasmtime::Result<Option<wit::Finished>> {
        let finished = HttpState::wait(self).await?;
        Ok(finished.map(|(number, found)| wit::Finished {
            number,
            result: result(found),
        }))
    }

    async fn cancel(&mut self, number: u32) -> wasmtime::Result<()> {
        HttpState::cancel(self, number);
        Ok(())
    }
}

fn received(request: wit::Request) -> HttpRequest {
    let headers = request.headers.into_iter();
    HttpRequest {
        method: request.method,
        url: request.url,
        headers: headers.map(|header| (header.name, header.value)).collect(),
        body: request.body,
    }
}

fn error(error: HttpError) -> wit::Error {
    wit::Error {
        code: code(error.code),
        message: error.message,
    }
}

fn result(result: HttpResult) -> Result<wit::Response, wit::Error> {
    let response = result.map_err(error)?;
    let headers = response.headers.into_iter();
    Ok(wit::Response {
        status: response.status,
        headers: headers
            .map(|(name, value)| wit::Header { name, value })
            .collect(),
        body: response.body,
    })
}

fn code(code: HttpErrorCode) -> wit::ErrorCode {
    match code {
        HttpErrorCode::NotGranted => wit::ErrorCode::NotGranted,
        HttpErrorCode::Refused => wit::ErrorCode::Refused,
        HttpErrorCode::Limit => wit::ErrorCode::Limit,
        HttpErrorCode::Timeout => wit::ErrorCode::Timeout,
        HttpErrorCode::Failed => wit::ErrorCode::Failed,
        HttpErrorCode::InDoubt => wit::ErrorCode::InDoubt,
        HttpErrorCode::Unavailable => wit::ErrorCode::Unavailable,
    }
}
