//! The service's figures, as Prometheus reads them.

use anyhow::{Context, Result};

use super::{API_TOKEN, Offshoot};

impl Offshoot {
    /// All figures, in Prometheus' text format.
    pub async fn figures(&self) -> Result<String> {
        let answer = self.http.get(format!("{}/metrics", self.url())).bearer_auth(API_TOKEN).send().await?;
        Ok(answer.error_for_status().context("ask for the figures")?.text().await?)
    }

    /// One figure, by its name and labels as they are written: `offshoot_branches{state="ready"}`.
    pub async fn figure(&self, series: &str) -> Result<f64> {
        let figures = self.figures().await?;
        let line = figures.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.with_context(|| format!("no {series} in {figures}"))?.parse().context("a number")
    }

    /// A setting from the next start on; none takes it away.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        self.options.environment.retain(|(known, _)| known != name);
        self.options.environment.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }
}
