//! `.offshoot.toml` from anybody: it is read, or refused with a place inside the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use offshoot::domain::config::Config;
use offshoot::domain::detect;
use offshoot::domain::seed;
use offshoot::domain::tree::Tree;

fuzz_target!(|bytes: &[u8]| {
    match Config::parse(bytes) {
        Ok(config) => {
            let empty = Tree::default();
            for database in &config.databases {
                seed::select(&database.seed, &empty).expect("patterns were checked");
                let inside =
                    |path: &String| !path.starts_with('/') && !path.split('/').any(|part| part == "..");
                assert!(database.migrations.as_ref().is_none_or(inside), "{:?}", database.migrations);
            }
            if let Ok(detected) = detect::detect(&config, &empty, &empty) {
                assert_eq!(detected.databases.len(), config.databases.len().max(1));
            }
        }
        Err(failure) => {
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
            let outside = |line: u32| line == 0 || line as usize > lines;
            assert!(!failure.line.is_some_and(outside), "line {:?} of {lines}", failure.line);
        }
    }
});
