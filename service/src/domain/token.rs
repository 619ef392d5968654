//! What a bearer token of the API opens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::RepositoryName;

/// Which repositories a token opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    All,
    #[schema(value_type = String)]
    Repository(RepositoryName),
}

/// What a token's bearer may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Scope {
    pub reach: Reach,
    pub read_only: bool,
}

impl Scope {
    /// Everything: what the bootstrap administrator's token opens.
    pub const fn administrator() -> Self {
        Self { reach: Reach::All, read_only: false }
    }

    pub fn may_read(&self, repository: &RepositoryName) -> bool {
        match &self.reach {
            Reach::All => true,
            Reach::Repository(own) => own.is(repository),
        }
    }

    pub fn may_write(&self, repository: &RepositoryName) -> bool {
        !self.read_only && self.may_read(repository)
    }

    /// Whether it opens what belongs to no repository alone: the deliveries, the layers, the tokens.
    pub fn reaches_all(&self) -> bool {
        self.reach == Reach::All
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(repository: Option<&str>, read_only: bool) -> Scope {
        let reach = repository.map_or(Reach::All, |name| Reach::Repository(name.parse().unwrap()));
        Scope { reach, read_only }
    }

    #[test]
    fn a_scope_opens_what_it_names_and_no_more() {
        let shop = "acme/shop".parse().unwrap();
        let blog = "acme/blog".parse().unwrap();
        assert!(Scope::administrator().may_write(&shop) && Scope::administrator().reaches_all());
        let one = scope(Some("Acme/Shop"), false);
        assert!(one.may_write(&shop) && !one.may_read(&blog) && !one.reaches_all());
        let reader = scope(None, true);
        assert!(reader.may_read(&shop) && !reader.may_write(&shop));
    }
}
