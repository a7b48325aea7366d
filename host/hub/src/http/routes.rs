//! The routes of a router, with a list of them.
//!
//! A router of axum does not tell what it routes. All routes are added here, so
//! the list has each of them, and the tests ask about each who may use it.

use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{self, MethodRouter};
use axum::{Extension, Json, Router};
use serde::Serialize;

use super::auth::Authenticated;
use super::state::Shared;

/// A route.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Route {
    method: &'static str,
    path: &'static str,
}

/// Routes, and the list of them.
#[derive(Default)]
pub(crate) struct Routes {
    pub(super) router: Router<Shared>,
    list: Vec<Route>,
}

impl Routes {
    pub(crate) fn get<H: Handler<T, Shared>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
    ) -> Routes {
        self.add("GET", path, routing::get(handler))
    }

    pub(crate) fn post<H: Handler<T, Shared>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
    ) -> Routes {
        self.add("POST", path, routing::post(handler))
    }

    pub(crate) fn put<H: Handler<T, Shared>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
    ) -> Routes {
        self.add("PUT", path, routing::put(handler))
    }

    pub(crate) fn delete<H: Handler<T, Shared>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
    ) -> Routes {
        self.add("DELETE", path, routing::delete(handler))
    }

    pub(crate) fn any<H: Handler<T, Shared>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
    ) -> Routes {
        self.add("*", path, routing::any(handler))
    }

    fn add(
        mut self,
        method: &'static str,
        path: &'static str,
        handler: MethodRouter<Shared>,
    ) -> Routes {
        self.list.push(Route { method, path });
        self.router = self.router.route(path, handler);
        self
    }
}

/// The list of all routes.
#[derive(Clone)]
pub(crate) struct RouteList(Arc<[Route]>);

impl RouteList {
    pub(super) fn of(routes: &[&Routes]) -> RouteList {
        RouteList(
            routes
                .iter()
                .flat_map(|routes| &routes.list)
                .copied()
                .collect(),
        )
    }
}

/// Lists the routes.
pub(super) async fn listed(
    Authenticated(_): Authenticated,
    Extension(list): Extension<RouteList>,
) -> Json<Vec<Route>> {
    Json(list.0.to_vec())
}
