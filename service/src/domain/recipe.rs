//! What it takes to build a layer anew: content that is addressed by hash elsewhere, named here.

use serde::{Deserialize, Serialize};

use super::chain::{Chain, MigrationFile};
use super::content::Content;
use super::ids::Oid;
use super::seed::SeedFile;

/// A file of the repository, by where it was found and git's name for its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingredient {
    pub path: String,
    pub oid: Oid,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Recipe {
    pub extensions: Vec<String>,
    /// In the order of the layer's chain.
    pub migrations: Vec<Ingredient>,
    pub seeds: Vec<Ingredient>,
}

impl Recipe {
    pub fn of(extensions: &[String], migrations: &[MigrationFile], seeds: &[SeedFile]) -> Self {
        let ingredient = |path: &str, oid: &Oid| Ingredient { path: path.to_owned(), oid: oid.clone() };
        Self {
            extensions: extensions.to_vec(),
            migrations: migrations.iter().map(|file| ingredient(&file.path, &file.oid)).collect(),
            seeds: seeds.iter().map(|file| ingredient(&file.path, &file.oid)).collect(),
        }
    }

    /// All that has to be at hand.
    pub fn oids(&self) -> Vec<Oid> {
        self.migrations.iter().chain(&self.seeds).map(|file| file.oid.clone()).collect()
    }

    /// The chain's files, given the content of each; none where one is not at hand.
    pub fn migrations(
        &self,
        chain: &Chain,
        content: impl Fn(&Oid) -> Option<Content>,
    ) -> Option<Vec<MigrationFile>> {
        let files = chain.migrations().iter().zip(&self.migrations);
        files
            .map(|(migration, file)| {
                Some(MigrationFile::new(&migration.name, &file.path, file.oid.clone(), &content(&file.oid)?))
            })
            .collect()
    }

    /// The seed's files, given the content of each; none where one is not at hand.
    pub fn seeds(&self, content: impl Fn(&Oid) -> Option<Content>) -> Option<Vec<SeedFile>> {
        self.seeds
            .iter()
            .map(|file| Some(SeedFile::new(&file.path, file.oid.clone(), &content(&file.oid)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn content(bytes: &'static [u8]) -> Content {
        Content::new(Bytes::from_static(bytes))
    }

    fn oid(digit: char) -> Oid {
        digit.to_string().repeat(40).parse().unwrap()
    }

    #[test]
    fn what_was_written_down_makes_the_same_again() {
        // The bytes that are no UTF-8 are replaced before they are hashed; git names them as they are.
        let migrations = [
            MigrationFile::new("1", "m/1/migration.sql", oid('a'), &content(b"SELECT 1;")),
            MigrationFile::new("2", "m/2/migration.sql", oid('b'), &content(b"SELECT '\xe9';")),
        ];
        let seeds = [SeedFile::new("seed/1.sql", oid('c'), &content(b"SELECT 2;"))];
        let recipe = Recipe::of(&["citext".to_owned()], &migrations, &seeds);
        let text = serde_json::to_string(&recipe).unwrap();
        let recipe: Recipe = serde_json::from_str(&text).unwrap();
        assert_eq!(recipe.oids(), [oid('a'), oid('b'), oid('c')]);
        let stored = |wanted: &Oid| match wanted.as_str().chars().next() {
            Some('a') => Some(content(b"SELECT 1;")),
            Some('b') => Some(content(b"SELECT '\xe9';")),
            Some('c') => Some(content(b"SELECT 2;")),
            _ => None,
        };
        assert_eq!(recipe.migrations(&Chain::of(&migrations), stored).unwrap(), migrations);
        assert_eq!(recipe.seeds(stored).unwrap(), seeds);
        assert_eq!(recipe.seeds(|_| None), None);
    }
}
