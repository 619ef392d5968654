use super::*;

fn measured(series: Vec<Series>) -> Measured {
    let machine =
        Machine { cores: 2, build: "release".to_owned(), commit: "abc".to_owned(), ..Machine::default() };
    Measured { at: chrono::DateTime::UNIX_EPOCH, machine, quick: false, seconds: 12.0, skipped: None, series }
}

fn results() -> Results {
    let first = [
        Series::of_ms(ready::OFFSHOOT).with([40.0, 42.0, 44.0]),
        Series::of_ms("the migration on an open connection").with([5.0]),
        Series::of_ms(ready::SCRIPT).with([100.0]),
    ];
    let skipped = Measured { skipped: Some("only root can".to_owned()), ..measured(Vec::new()) };
    let figures = [("ready", measured(first.to_vec())), ("cow", skipped)];
    Results { figures: figures.map(|(name, measured)| (name.to_owned(), measured)).into() }
}

#[test]
fn ratios_come_first_and_what_is_missed_says_so() {
    let remarks = Remarks::from([("ready".to_owned(), "Most of it is connecting.\n".to_owned())]);
    let page = page(&results(), &remarks, &[]);
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("| [")).collect();
    let link = "| [One new migration on a known base](#one-new-migration-on-a-known-base): ";
    assert_eq!(
        lines,
        [
            format!("{link}above the migration on an open connection | **37.0 ms** | ≤ 25.0 ms | **missed** |"),
            format!("{link}p95 in proportion to the median | **1.04 ×** | ≤ 2.00 × | reached |"),
            format!("{link}faster than the script | **2.38 ×** | ≥ 3.00 × | **missed** |"),
            "| [A hundred branches of a 1 GiB template on copy-on-write](#a-hundred-branches-of-a-1-gib-template-on-copy-on-write) \
             | not measured: only root can | | |"
                .to_owned(),
        ]
    );
    assert!(page.contains("| Offshoot: webhook → ready | 42.0 ms | 43.8 ms | 3 |"), "{page}");
    assert!(page.contains("\nMost of it is connecting.\n"));
    assert!(!page.contains("not to be believed"));
}

#[test]
fn numbers_of_a_development_build_are_marked() {
    let mut results = results();
    results.figures.get_mut("ready").unwrap().machine.build = "dev".to_owned();
    assert!(page(&results, &Remarks::new(), &[]).contains("not to be believed"));
}

#[test]
fn the_page_is_written_again_from_what_it_left() {
    let docs = tempfile::tempdir().unwrap();
    let kept = docs.path().join("benchmarks/results.json");
    results().write(&kept).unwrap();
    write(&Results::read(&kept).unwrap(), docs.path()).unwrap();
    let page = std::fs::read_to_string(docs.path().join("benchmarks.md")).unwrap();
    assert!(page.contains("(benchmarks/rivals.svg)"), "{page}");
    assert!(docs.path().join("benchmarks/rivals.svg").is_file());
}
