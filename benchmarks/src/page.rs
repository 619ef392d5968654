//! `docs/benchmarks.md`, from the raw numbers and the remarks: ratios first, then how, then the tables.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use crate::figures::{ALL, Figure, ready, sizes, thousand};
use crate::machine::Machine;
use crate::pictures::{Axes, Line, bars, lines};
use crate::results::{Measured, Results, Series, Unit};

/// By figure: what somebody found out about its numbers, as Markdown.
type Remarks = BTreeMap<String, String>;

const BEGINNING: &str = "# Benchmarks\n\n\
    Written by `make bench`; do not edit it. The raw numbers are in [benchmarks/results.json](benchmarks/results.json), the remarks in \
    [benchmarks/remarks.toml](benchmarks/remarks.toml). `make bench ONLY=ready,forks` measures single tables again, `make bench QUICK=1` \
    only tries whether all of it works.\n";

const METHOD: &str = "Everything is measured from outside, over HTTP and SQL, against the release binary with its embedded PostgreSQL. GitHub is \
    simulated in the measuring process, over real git repositories, and answers at once where nothing else is said; its own work is part of every \
    time. As root each figure has a fresh XFS for the server's data, as `offshoot storage create` makes it; without root it is on the disk as that is. The \
    service has measured which way of cloning is the fastest there, as it does half a minute after any start. The rivals run on the same server, so with the same settings, and in the same run, in turns with Offshoot. The chain is generated at the \
    size and shape of a real one: 434 files of 250 kB in all, a median of 200 bytes, a tenth above 1.3 kB, one of 16 kB, enums, foreign keys, \
    functions, 99 indexes built `CONCURRENTLY` one to a file, 72 tables at the end. A warm-up builds the template first. \
    p95 lies in proportion between the two nearest runs; a table with few runs says so in its last column.\n";

/// Writes the page and its pictures.
pub fn write(results: &Results, docs: &Path) -> Result<()> {
    let directory = docs.join("benchmarks");
    std::fs::create_dir_all(&directory)?;
    let remarks = read_remarks(&directory.join("remarks.toml"))?;
    let pictures = draw(results, &directory)?;
    let path = docs.join("benchmarks.md");
    std::fs::write(&path, page(results, &remarks, &pictures))
        .with_context(|| format!("write {}", path.display()))
}

fn read_remarks(path: &Path) -> Result<Remarks> {
    match std::fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).with_context(|| format!("understand {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Remarks::new()),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

/// The figures that were measured or could not be, in the page's order.
fn measured(results: &Results) -> impl Iterator<Item = (&'static Figure, &Measured)> {
    ALL.iter().filter_map(|figure| Some((figure, results.figures.get(figure.name)?)))
}

fn page(results: &Results, remarks: &Remarks, pictures: &[Picture]) -> String {
    let mut page = BEGINNING.to_owned();
    if measured(results).any(|(_, measured)| measured.quick || measured.machine.build != "release") {
        page.push_str("\n**Some of these numbers are from few runs or a development build: they are not to be believed.**\n");
    }
    page.push_str("\n## What is reached\n\n| | measured | to reach | |\n|---|---|---|---|\n");
    for (figure, measured) in measured(results) {
        let link = format!("[{}](#{})", figure.title, anchor(figure.title));
        for claim in (figure.claims)(measured) {
            let met = if claim.is_met { "reached" } else { "**missed**" };
            line(
                &mut page,
                format_args!("| {link}: {} | **{}** | {} | {met} |", claim.what, claim.measured, claim.goal),
            );
        }
        if let Some(why) = &measured.skipped {
            line(&mut page, format_args!("| {link} | not measured: {why} | | |"));
        }
    }
    for Picture { file, says } in pictures {
        line(&mut page, format_args!("\n![{says}](benchmarks/{file})"));
    }
    page.push_str("\n## Machine and method\n\n");
    if let Some((_, first)) = measured(results).next() {
        line(&mut page, format_args!("{}\n", machine(&first.machine)));
    }
    page.push_str(METHOD);
    for (figure, measured) in measured(results) {
        page.push_str(&section(figure, measured, remarks.get(figure.name)));
    }
    page
}

fn machine(machine: &Machine) -> String {
    let Machine { cores, processor, memory_mib, kernel, postgres, .. } = machine;
    format!(
        "{cores} cores ({processor}), {:.0} GiB of memory, Linux {kernel}, {postgres}.",
        *memory_mib as f64 / 1024.0
    )
}

fn section(figure: &Figure, measured: &Measured, remark: Option<&String>) -> String {
    let mut section = format!("\n## {}\n\n{}\n", figure.title, figure.method);
    if let Some(why) = &measured.skipped {
        line(&mut section, format_args!("\nNot measured here: {why}."));
        return section;
    }
    section.push_str("\n| | median | p95 | runs |\n|---|---:|---:|---:|\n");
    for series in &measured.series {
        line(&mut section, format_args!("{}", row(series)));
    }
    if let Some(remark) = remark {
        line(&mut section, format_args!("\n{}", remark.trim()));
    }
    let Machine { commit, build, file_system, .. } = &measured.machine;
    let (day, seconds) = (measured.at.format("%Y-%m-%d"), measured.seconds);
    line(
        &mut section,
        format_args!(
            "\nMeasured on {day} at {commit} ({build} build), with the data on {file_system}, in {seconds:.0} s."
        ),
    );
    section
}

fn row(series: &Series) -> String {
    let unit = series.unit.symbol();
    let say = |value: Option<f64>| match value {
        Some(value) if value.abs() < 100.0 && series.unit != Unit::Count => format!("{value:.1} {unit}"),
        Some(value) => format!("{value:.0} {unit}").trim_end().to_owned(),
        None => "–".to_owned(),
    };
    let over = series.over.map(|over| format!(" ({over})")).unwrap_or_default();
    let p95 = if series.values.len() > 1 { say(series.p95()) } else { String::new() };
    format!("| {}{over} | {} | {p95} | {} |", series.name, say(series.median()), series.values.len())
}

/// A heading's address, as GitHub makes it.
fn anchor(title: &str) -> String {
    let kept = title.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("writing to memory does not fail");
}

/// A picture in the page.
struct Picture {
    file: &'static str,
    says: &'static str,
}

/// Draws what the numbers at hand suffice for.
fn draw(results: &Results, directory: &Path) -> Result<Vec<Picture>> {
    let mut pictures = Vec::new();
    let found = |name: &str| results.figures.get(name).filter(|measured| measured.skipped.is_none());
    if let Some(measured) = found("ready") {
        let named = [ready::OFFSHOOT, ready::SCRIPT, ready::PRISMA_CLI];
        let medians = named.iter().filter_map(|name| Some((name.replace('`', ""), measured.median(name)?)));
        let picture = Picture {
            file: "rivals.svg",
            says: "Bars: one new migration by Offshoot, by a script and by Prisma's CLI",
        };
        bars(
            &directory.join(picture.file),
            "One new migration on 434: the median",
            "ms",
            &medians.collect::<Vec<_>>(),
        )?;
        pictures.push(picture);
    }
    if let Some(measured) = found("sizes") {
        let named = [sizes::OFFSHOOT, sizes::FILE_COPY, sizes::WAL_LOG].map(|name| over(measured, name));
        let axes = Axes {
            title: "Until a branch is ready, by the size of its template",
            x: "MiB",
            y: "ms (logarithmic)",
            is_logarithmic: true,
        };
        let picture = Picture {
            file: "sizes.svg",
            says: "Lines over the template's size: Offshoot with a spare stays level",
        };
        lines(&directory.join(picture.file), axes, &named)?;
        pictures.push(picture);
    }
    if let Some(measured) = found("thousand") {
        let mut p95 = over(measured, thousand::OFFSHOOT);
        p95.name.push_str(", p95");
        let of = measured.series.iter().filter(|series| series.name == thousand::OFFSHOOT);
        p95.points = of.filter_map(|series| Some((series.over?, series.p95()?))).collect();
        let median =
            Line { name: format!("{}, median", thousand::OFFSHOOT), ..over(measured, thousand::OFFSHOOT) };
        let axes = Axes {
            title: "Until a branch is ready, by how many are alive",
            x: "branches",
            y: "ms",
            is_logarithmic: false,
        };
        let picture = Picture { file: "branches.svg", says: "A line over the number of branches alive" };
        lines(&directory.join(picture.file), axes, &[median, p95])?;
        pictures.push(picture);
    }
    Ok(pictures)
}

/// The medians of a series over what it is over.
fn over(measured: &Measured, name: &str) -> Line {
    let of = measured.series.iter().filter(|series| series.name == name);
    Line {
        name: name.replace('`', ""),
        points: of.filter_map(|series| Some((series.over?, series.median()?))).collect(),
    }
}

#[cfg(test)]
mod tests;
