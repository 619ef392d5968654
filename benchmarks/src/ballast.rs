//! Data that gives a template its size, as seed files of the base.

use integration::git::Change;

/// Rows of about a kilobyte, of which a page takes seven.
const ROWS_PER_MIB: u32 = 7 * 128;
/// Files of no more than this, so that no statement of a seed runs into its time limit.
const FILE_MIB: u32 = 512;

/// The settings that make the files a seed, and the files: together about so many MiB.
pub fn of_mib(mib: u32) -> Vec<Change> {
    let settings = "[[database]]\nmigrations = \"prisma/migrations\"\nseed = [\"prisma/seed/*.sql\"]\n";
    let mut files = vec![Change::write(".offshoot.toml", settings)];
    let count = mib.div_ceil(FILE_MIB);
    files.extend((0..count).map(|at| {
        let part = FILE_MIB.min(mib - at * FILE_MIB);
        // A table made by its own SELECT is not logged where `wal_level` is minimal.
        let sql = format!(
            "CREATE TABLE \"ballast_{at}\" AS SELECT id, repeat(md5(id::text), 31) AS filler FROM generate_series(1, {}) AS id;\n",
            part * ROWS_PER_MIB
        );
        Change::write(format!("prisma/seed/{at:02}_ballast.sql"), sql)
    }));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_ballast_is_cut_into_files() {
        assert_eq!(of_mib(5 * 1024).len(), 1 + 10);
        let Change::Write { bytes, .. } = &of_mib(600)[2] else { panic!("a file is written") };
        assert!(
            String::from_utf8_lossy(bytes).contains(&format!("generate_series(1, {})", 88 * ROWS_PER_MIB))
        );
    }
}
