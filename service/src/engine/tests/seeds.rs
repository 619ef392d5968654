use super::*;
use crate::domain::failure::{Failure, FailureKind};
use crate::domain::seed::SeedFile;

fn file(path: &str, text: &str) -> SeedFile {
    SeedFile::new(
        path,
        "cd".repeat(20).parse().unwrap(),
        &Content::new(Bytes::copy_from_slice(text.as_bytes())),
    )
}

async fn seed(engine: &Engine, made: &Made, files: &[SeedFile]) -> Result<(), Failure> {
    match engine.seed(&made.access, files).await {
        Ok(()) => Ok(()),
        Err(ReplayError::Author { failure, .. }) => Err(*failure),
        Err(error) => panic!("{error:?}"),
    }
}

async fn count(engine: &Engine, made: &Made, table: &str) -> Option<String> {
    ask(engine, &made.names.database, &format!("select count(*) from {table}")).await.remove(0).remove(0)
}

#[tokio::test]
async fn sql_and_csv_files_are_run_in_order() {
    on_each_server(async |engine| {
        let made = make(engine, Source::Empty).await;
        let tables = "CREATE TABLE \"User\" (id int PRIMARY KEY, \"full Name\" text); CREATE TABLE p (u int REFERENCES \"User\" DEFERRABLE INITIALLY DEFERRED);";
        engine.replay(&made.access, &[migration("1", tables)], &mut |_| {}).await.unwrap();
        let users = "\u{feff}id,\"full Name\"\n1,Ann\n2,\"O'Hara, \"\"Bob\"\"\nsecond line\"\n";
        let files = [
            file("s/1_User.csv", users),
            file("s/2.sql", "SET search_path = ''; INSERT INTO public.p VALUES (1);"),
            file("s/3.sql", "INSERT INTO p VALUES (2); COMMIT;"),
            file("s/public.p.csv", "u\n1\n"),
        ];
        seed(engine, &made, &files).await.unwrap();
        assert_eq!(count(engine, &made, "public.\"User\"").await.as_deref(), Some("2"));
        assert_eq!(count(engine, &made, "public.p").await.as_deref(), Some("3"));

        let failure = seed(engine, &made, &[file("s/4.sql", "INSERT INTO p VALUES (1);\nINSERT INTO p VALUES (nope);")]).await.unwrap_err();
        assert_eq!((failure.kind, failure.file.as_str()), (FailureKind::Seed, "s/4.sql"));
        assert_eq!((failure.line, failure.column), (Some(2), Some(23)));
        let failure = seed(engine, &made, &[file("s/5.sql", "INSERT INTO p VALUES (99);")]).await.unwrap_err();
        assert_eq!((failure.line, failure.sqlstate.as_deref()), (None, Some("23503")), "at COMMIT");
        assert_eq!(count(engine, &made, "public.p").await.as_deref(), Some("3"), "a failed file leaves nothing");

        let failure = seed(engine, &made, &[file("s/User.csv", "id,full Name\n3,C\nfour,D\n")]).await.unwrap_err();
        assert_eq!((failure.line, failure.sqlstate.as_deref()), (Some(3), Some("22P02")));
        let failure = seed(engine, &made, &[file("s/nowhere.csv", "id\n1\n")]).await.unwrap_err();
        assert_eq!(failure.sqlstate.as_deref(), Some("42P01"));
        let failure = seed(engine, &made, &[file("s/User.csv", "")]).await.unwrap_err();
        assert_eq!(failure.line, Some(1));
    })
    .await;
}
