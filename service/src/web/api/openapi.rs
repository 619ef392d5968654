//! The description of the API, made from its handlers.

use axum::Json;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(title = "Offshoot", description = "A PostgreSQL database for every pull request"),
    paths(
        super::branches::list,
        super::branch::show,
        super::branch::create,
        super::branch::reset,
        super::branch::change,
        super::branch::remove,
        super::wait::events,
        super::audit::list,
        super::forks::create,
        super::forks::list,
        super::forks::delete,
        super::tokens::create,
        super::tokens::list,
        super::tokens::revoke
    ),
    modifiers(&Bearer),
    security(("bearer" = []))
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = description.components.get_or_insert_with(Default::default);
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
}
