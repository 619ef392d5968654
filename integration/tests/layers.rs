//! Layers: what is cloned is what a replay from empty makes, what is kept is what is used, and nobody is ever in one.

mod checked;
mod cloned;
mod killed;
mod trimmed;

use anyhow::{Context, Result, ensure};
use http::Method;
use integration::git::Change;

use crate::shop::SHOP;
use crate::world::World;

/// The shop with a seed of one row.
fn seeded() -> [Change; 2] {
    [
        Change::write(".offshoot.toml", "[[database]]\nname = \"main\"\nseed = [\"seed/*.sql\"]\n"),
        Change::write("seed/1.sql", "insert into items (name) values ('first');\n"),
    ]
}

impl World {
    /// Creates the shop, whose first layer a pull request asks for that is closed again.
    async fn open_used_shop(&self, more: &[Change]) -> Result<()> {
        self.open_shop_with(more)?;
        let (branch, sha) = self.propose("first", &[Change::write("readme.md", "one")])?;
        self.offshoot.branch_at(&branch, &sha, &[200, 409]).await?;
        self.github.close(SHOP, branch.number)?;
        self.settle().await
    }

    /// Pushes to the shop's `main` and waits until its layer is built and all that follows is done.
    async fn advance(&self, changes: &[Change]) -> Result<()> {
        self.github.push(SHOP, "main", changes)?;
        self.settle().await
    }

    /// The migrations that the complete layers hold, the oldest layer first.
    async fn layers(&self) -> Result<Vec<i32>> {
        let sql = "select jsonb_array_length(chain) as length from layers where complete order by created_at";
        let rows = self.offshoot.administrator().await?.query(sql, &[]).await?;
        rows.iter().map(|row| Ok(row.try_get("length")?)).collect()
    }

    /// The outcomes of all checks, in their order, and the text of the last one's findings.
    async fn checks(&self) -> Result<(Vec<String>, String)> {
        let sql = "select outcome, findings::text as findings from layer_checks order by id";
        let rows = self.offshoot.administrator().await?.query(sql, &[]).await?;
        let outcomes = rows.iter().map(|row| Ok(row.try_get("outcome")?)).collect::<Result<_>>()?;
        let findings = rows.last().map(|row| row.try_get("findings")).transpose()?;
        Ok((outcomes, findings.unwrap_or_default()))
    }
}

#[tokio::test]
async fn the_pages_show_what_there_is_and_only_to_whom_it_may_concern() -> Result<()> {
    let world = World::start().await?;
    world.open_shop_with(&seeded())?;
    let (branch, sha) = world.propose("color", &[crate::shop::column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    world.settle().await?;
    let layers = world.page("/layers").await?;
    for shown in ["1 migration", "1 seed file", crate::shop::INIT, "tip of acme/shop main", "not yet"] {
        ensure!(layers.contains(shown), "no {shown:?} in {layers}");
    }
    let deliveries = world.page("/deliveries").await?;
    ensure!(
        deliveries.contains("pull_request.opened") && deliveries.contains("acme/shop #1"),
        "{deliveries}"
    );

    let body = serde_json::json!({ "name": "other", "repository": "acme/other", "read_only": true });
    let made = world.offshoot.call(Method::POST, "/api/v1/tokens", Some(&body)).await?;
    let token = made.body["token"].as_str().context("a token")?.to_owned();
    for path in ["/layers", "/deliveries"] {
        let url = format!("{}{path}", world.offshoot.url());
        let page = reqwest::Client::new().get(url).bearer_auth(&token).send().await?.text().await?;
        ensure!(!page.contains("acme/shop") && !page.contains(crate::shop::INIT), "{page}");
    }
    world.finish().await
}
