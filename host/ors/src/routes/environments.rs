//! Routes about environments and their tasks
//! (`docs/src/reference/wire-contract.md#section-6`).

use orwd_session::{SessionService, TaskList};
use serde_json::json;

use super::context::RequestContext;
use super::router::TargetEnv;
use crate::decode::requests::{SplitRequest, TaskRangeRequest, TaskRequest};
use crate::encode::response::{self, RouteResponse};
use crate::encode::wire::{TaskBody, Wire};
use crate::error::request_error::RequestError;

impl<S: SessionService> RequestContext<'_, S> {
    pub(super) fn tools(&mut self, target: TargetEnv<'_>) -> Result<RouteResponse, RequestError> {
        let listing = self.service.tools(&self.environment(target)?);
        Ok(response::json(&Wire(&listing)))
    }

    pub(super) fn splits(&mut self, target: TargetEnv<'_>) -> Result<RouteResponse, RequestError> {
        let splits = self.service.splits(&self.environment(target)?);
        Ok(response::json(&Wire(&*splits)))
    }

    pub(super) async fn tasks(
        &mut self,
        target: TargetEnv<'_>,
    ) -> Result<RouteResponse, RequestError> {
        let body = self.read_body().await?;
        let request = SplitRequest::read(self.parse_json(&body)?)?;
        let env = self.environment(target)?;
        let tasks = self.service.tasks(&self.principal, &env, &request.split);
        let tasks = tasks.await?;
        self.list(&tasks, target.name(&env))
    }

    pub(super) async fn num_tasks(
        &mut self,
        target: TargetEnv<'_>,
    ) -> Result<RouteResponse, RequestError> {
        let body = self.read_body().await?;
        let request = SplitRequest::read(self.parse_json(&body)?)?;
        let env = self.environment(target)?;
        let count = self
            .service
            .num_tasks(&self.principal, &env, &request.split)
            .await?;
        Ok(response::json(&json!({ "num_tasks": count })))
    }

    pub(super) async fn task(
        &mut self,
        target: TargetEnv<'_>,
    ) -> Result<RouteResponse, RequestError> {
        let body = self.read_body().await?;
        let TaskRequest { split, index } = TaskRequest::read(self.parse_json(&body)?)?;
        let env = self.environment(target)?;
        let found = self.service.task(&self.principal, &env, &split, index);
        let task = &found.await?;
        let env_name = target.name(&env);
        Ok(response::json(&TaskBody { task, env_name }))
    }

    pub(super) async fn task_range(
        &mut self,
        target: TargetEnv<'_>,
    ) -> Result<RouteResponse, RequestError> {
        let body = self.read_body().await?;
        let request = TaskRangeRequest::read(self.parse_json(&body)?)?;
        let env = self.environment(target)?;
        let TaskRangeRequest { split, start, stop } = request;
        let bounds = (start, stop);
        let tasks = self
            .service
            .task_range(&self.principal, &env, &split, bounds);
        let tasks = tasks.await?;
        self.list(&tasks, target.name(&env))
    }

    fn list(&self, list: &TaskList, env_name: &str) -> Result<RouteResponse, RequestError> {
        let response = response::tasks(list, env_name, self.memory, &self.client());
        response.map_err(|_| RequestError::ResponsesBusy)
    }
}
