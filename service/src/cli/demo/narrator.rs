//! The demo's voice: what goes on in one moving line, what happened in lines that stay.

use std::io::Write as _;
use std::time::Duration;

use console::style;
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::report;
use super::stage::Stage;

/// Reports longer than this are shortened here; the pull request has them whole.
const REPORT_LINES: usize = 24;
/// Wider is hard to read, and where output is no terminal its width is unknown.
const WIDEST: usize = 110;

pub(super) struct Narrator {
    bar: ProgressBar,
    colours: bool,
    width: usize,
}

impl Narrator {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.enable_steady_tick(Duration::from_millis(100));
        let width = console::Term::stdout().size_checked().map_or(WIDEST, |(_, columns)| columns.into());
        Self { bar, colours: console::colors_enabled(), width: width.clamp(60, WIDEST) }
    }

    pub(super) fn introduce(&self) {
        self.say(&style("Offshoot: a PostgreSQL database for every pull request").bold().to_string());
        self.paragraph(
            "Five sample repositories on a GitHub that is simulated in this process; everything else is real: webhooks, \
             git, PostgreSQL, migrations. Nothing leaves this machine. The URLs open in psql as long as the demo is up.",
        );
    }

    /// A line that stays. Where nobody reads any more, as after `| head`, what is up must still be ended in order.
    pub(super) fn say(&self, line: &str) {
        self.bar.suspend(|| _ = writeln!(std::io::stdout(), "{line}"));
    }

    /// What goes on for some seconds: moving on a terminal, a line elsewhere.
    pub(super) fn working(&self, what: &str) {
        if self.bar.is_hidden() {
            self.say(&format!("… {what}"));
        }
        self.waiting(what);
    }

    /// What is waited for, for a moment: nothing to keep.
    pub(super) fn waiting(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// Nothing is waited for.
    pub(super) fn rest(&self) {
        self.bar.finish_and_clear();
    }

    pub(super) fn scene(&self, number: usize, title: &str, text: &str) {
        self.say("");
        self.say(&style(format!("{number}. {title}")).bold().cyan().to_string());
        self.paragraph(text);
    }

    fn paragraph(&self, text: &str) {
        for line in report::wrap(text, self.width.min(93) - 3) {
            self.say(&format!("   {}", style(line).dim()));
        }
    }

    pub(super) fn deed(&self, line: &str) {
        self.say(&format!("   {} {line}", style("▸").cyan()));
    }

    pub(super) fn good(&self, line: &str) {
        self.say(&format!("   {} {line}", style("✔").green().bold()));
    }

    /// The pull request is at fault, as the story has it.
    pub(super) fn bad(&self, line: &str) {
        self.say(&format!("   {} {line}", style("✘").red().bold()));
    }

    /// The story did not come true.
    pub(super) fn untrue(&self, difference: &str) {
        self.say(&format!("   {} {difference}", style("NOT AS EXPECTED").red().reverse()));
    }

    /// What there is besides: a URL, or why there is none.
    pub(super) fn aside(&self, text: &str) {
        self.say(&format!("     {}", style(text).dim()));
    }

    /// The comment on a pull request, in a frame.
    pub(super) fn comment(&self, where_it_is: &str, comment: &str) {
        let edge = |text: &str| style(text.to_owned()).dim();
        self.say(&format!("     {} {}", edge("╭─"), style(format!("comment on {where_it_is}")).dim()));
        let lines: Vec<String> = report::lines(comment, self.colours)
            .iter()
            .flat_map(|line| report::wrap(line, self.width - 9))
            .collect();
        for line in lines.iter().take(REPORT_LINES) {
            self.say(format!("     {} {line}", edge("│")).trim_end());
        }
        if lines.len() > REPORT_LINES {
            self.say(&format!("     {} … {} more lines", edge("│"), lines.len() - REPORT_LINES));
        }
        self.say(&format!("     {}", edge("╰─")));
    }

    /// What can be done while everything stays up.
    pub(super) fn invite(&self, stage: &Stage, url: Option<&str>) {
        self.rest();
        let program =
            std::env::current_exe().map_or_else(|_| "offshoot".to_owned(), |path| path.display().to_string());
        let (server, token) = (&stage.api.server, stage.api.token.expose());
        let heading = |text: &str| self.say(&format!("\n   {}", style(text).bold()));
        self.say(&format!(
            "\n{}",
            style("All of it is still up. Ctrl-C ends it and removes everything it made.").bold().cyan()
        ));
        if let Some(url) = url {
            heading("Look into a pull request's database (any URL of the table will do)");
            self.say(&format!("   {} '{url}'", stage.psql));
        }
        heading("Open the dashboard and log in with the token");
        self.say(&format!("   {server}/        {token}"));
        heading("Ask the service, as CI and people do");
        self.say(&format!("   export OFFSHOOT_PUBLIC_URL={server} OFFSHOOT_API_TOKEN={token}"));
        self.say(&format!("   {program} branch list"));
        self.say(&format!("   {program} url --repo flowhq/flowhq --pr 1"));
        self.say(&format!("   {program} branch reset --repo flowhq/flowhq --pr 1"));
        heading("Or by HTTP, after the same export");
        self.say(
            r#"   curl -sH "Authorization: Bearer $OFFSHOOT_API_TOKEN" $OFFSHOOT_PUBLIC_URL/api/v1/branches"#,
        );
        self.say("   curl -s $OFFSHOOT_PUBLIC_URL/api/openapi.json");
        self.say("");
    }
}
