//! Endpoints of services that run elsewhere: each address that such a service
//! answers is passed on to it.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::any;
use hilum_contracts::service::ServiceName;
use hilum_platform::remote::elsewhere::{Shards, at_its_shard};
use hilum_platform::remote::{Neighbour, passing_on};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::Endpoints;

/// The endpoints of all services: those that are answered here, those that are
/// not, and the document of both.
pub(super) struct Merged {
    rest: OpenApiRouter,
    auth: OpenApiRouter,
    elsewhere: Router,
    described: Vec<(&'static str, OpenApi)>,
}

impl Merged {
    /// With those of every process, below `/api/v1`.
    pub(super) fn new(rest: OpenApiRouter) -> Self {
        Self {
            rest,
            auth: OpenApiRouter::new(),
            elsewhere: Router::new(),
            described: Vec::new(),
        }
    }

    /// Adds those of a service, below `root`: `/api/v1` or `/auth`. `shards`: has what is
    /// about a tenant of another shard answered there, by the service that is named.
    pub(super) fn add(
        &mut self,
        root: &'static str,
        endpoints: Endpoints,
        shards: Option<(Shards, ServiceName)>,
    ) {
        match endpoints {
            Endpoints::Here(mut router) => {
                if let Some(shards) = shards {
                    router = router.layer(from_fn_with_state(shards, at_its_shard));
                }
                let of = match root {
                    "/auth" => &mut self.auth,
                    _ => &mut self.rest,
                };
                *of = std::mem::take(of).merge(router);
            }
            Endpoints::At(neighbour, described) => {
                let mut router = Router::new();
                for path in described.paths.paths.keys() {
                    router = router.route(&format!("{root}{path}"), any(pass_on));
                }
                let mut router = router.with_state(neighbour);
                if let Some(shards) = shards {
                    router = router.layer(from_fn_with_state(shards, at_its_shard));
                }
                self.elsewhere = std::mem::take(&mut self.elsewhere).merge(router);
                self.described.push((root, described));
            }
        }
    }

    /// What is answered here, what is passed on, and what `document` says of both.
    pub(super) fn end(self, document: OpenApi) -> (Router, Router, OpenApi) {
        let (here, mut document) = OpenApiRouter::with_openapi(document)
            .nest("/api/v1", self.rest)
            .nest("/auth", self.auth)
            .split_for_parts();
        for (root, described) in self.described {
            document = document.nest(root, described);
        }
        (here, self.elsewhere, document)
    }
}

/// Everything below `root`, answered by a neighbour.
pub(super) fn below(root: &str, neighbour: &Neighbour) -> Router {
    Router::new()
        .route(&format!("{root}/{{*rest}}"), any(pass_on))
        .with_state(neighbour.clone())
}

async fn pass_on(State(neighbour): State<Neighbour>, request: Request) -> Response {
    passing_on::pass_on(neighbour, request).await
}
