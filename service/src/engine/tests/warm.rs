use super::*;
use crate::domain::bookkeeping::verify;
use crate::domain::chain::Chain;

/// The sessions in a database, by an administrator's count.
async fn sessions(engine: &Engine, made: &Made) -> Vec<Option<String>> {
    let sql = format!(
        "select pid from pg_stat_activity where datname = {} order by 1",
        Literal(&made.access.database)
    );
    ask(engine, &Ident::new("postgres").unwrap(), &sql).await.into_iter().flatten().collect()
}

async fn spare(engine: &Engine) -> (Made, Vec<MigrationFile>) {
    let made = make(engine, Source::Empty).await;
    let files =
        vec![migration("1_init", "CREATE TABLE a (id int)"), migration("2_more", "CREATE TABLE b (id int)")];
    engine.replay(&made.access, &files[..1], &mut |_| {}).await.unwrap();
    // Its session may still be on its way out.
    engine.end_sessions_of(&made.access).await.unwrap();
    (made, files)
}

#[tokio::test]
async fn a_replay_and_its_verification_take_the_sessions_that_wait() {
    on_each_server(async |engine| {
        let (made, files) = spare(engine).await;
        engine.warm_up(&made.access).await.unwrap();
        engine.warm_up(&made.access).await.unwrap();
        let waiting = sessions(engine, &made).await;
        assert_eq!(waiting.len(), 2);
        engine.tend_warm_sessions().await;
        assert_eq!(sessions(engine, &made).await, waiting, "those that answer are kept");

        let ledger = engine.ledger(&made.access).await.unwrap();
        let applied = engine.replay(&made.access, &files[1..], &mut |_| {}).await.unwrap();
        assert_eq!(applied.len(), 1);
        verify(&ledger.rows().await.unwrap(), &Chain::of(&files)).unwrap();
        let left = sessions(engine, &made).await;
        assert!(left.iter().all(|session| waiting.contains(session)), "{left:?} of {waiting:?}");
    })
    .await;
}

/// What a session does to fill its caches is undone, and one that cannot do it is as good as any.
#[tokio::test]
async fn a_rehearsal_leaves_nothing_behind() {
    on_each_server(async |engine| {
        for last in ["CREATE TABLE b (id int)", "CREATE TYPE _offshoot_rehearsal_kind AS ENUM ('taken')"] {
            let (made, mut files) = spare(engine).await;
            files[1] = migration("2_more", last);
            files.push(migration("3_last", "CREATE TABLE c (id int)"));
            engine.replay(&made.access, &files[1..2], &mut |_| {}).await.unwrap();
            engine.end_sessions_of(&made.access).await.unwrap();
            let all = "select relname from pg_class where relnamespace = 'public'::regnamespace
                       union select typname from pg_type where typnamespace = 'public'::regnamespace
                       union select to_jsonb(m)::text from public._prisma_migrations m order by 1";
            let before = ask(engine, &made.names.database, all).await;
            engine.warm_up(&made.access).await.unwrap();
            assert_eq!(ask(engine, &made.names.database, all).await, before);
            engine.replay(&made.access, &files[2..], &mut |_| {}).await.unwrap();
            verify(&engine.bookkeeping(&made.access).await.unwrap(), &Chain::of(&files)).unwrap();
        }
    })
    .await;
}

/// Another replica keeps sessions in the spare that this one is given, one of them with Prisma's lock: nobody waits for that.
#[tokio::test]
async fn what_waits_for_another_replica_keeps_nobody_waiting() {
    on_each_server(async |engine| {
        let (made, files) = spare(engine).await;
        engine.warm_up(&made.access).await.unwrap();
        let other = Engine { warm: crate::engine::warm::Warm::default(), ..engine.clone() };
        let began = std::time::Instant::now();
        other.warm_up(&made.access).await.unwrap_err();
        let applied = other.replay(&made.access, &files[1..], &mut |_| {}).await.unwrap();
        let took = began.elapsed();
        assert!(took < std::time::Duration::from_secs(5), "Prisma's lock was waited for, for {took:?}");
        assert_eq!(applied.len(), 1);
        verify(&other.bookkeeping(&made.access).await.unwrap(), &Chain::of(&files)).unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_no_longer_answers_is_opened_anew() {
    on_each_server(async |engine| {
        let (made, files) = spare(engine).await;
        engine.warm_up(&made.access).await.unwrap();
        engine.end_sessions_of(&made.access).await.unwrap();
        engine.tend_warm_sessions().await;
        let applied = engine.replay(&made.access, &files[1..], &mut |_| {}).await.unwrap();
        assert_eq!(applied.len(), 1);
        verify(&engine.bookkeeping(&made.access).await.unwrap(), &Chain::of(&files)).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_password_that_is_changed_is_not_taken_for_the_pull_request_s_doing() {
    on_each_server(async |engine| {
        let (made, files) = spare(engine).await;
        engine.warm_up(&made.access).await.unwrap();
        let (password, reader_password) = (Secret::generate(), Secret::generate());
        engine.set_passwords(&made.names, &password, &reader_password).await.unwrap();
        let access = made.names.access(&password);
        engine.replay(&access, &files[1..], &mut |_| {}).await.unwrap();
        connect(engine, &access).await.unwrap();
        assert!(connect(engine, &made.access).await.is_err(), "the old password still opens it");
    })
    .await;
}

#[tokio::test]
async fn sessions_wait_in_a_few_spares_only() {
    on_each_server(async |engine| {
        let mut made = Vec::new();
        for _ in 0..10 {
            let (spare, _) = spare(engine).await;
            engine.warm_up(&spare.access).await.unwrap();
            made.push(spare);
        }
        let mut warm = 0;
        for spare in &made {
            warm += usize::from(!sessions(engine, spare).await.is_empty());
        }
        assert_eq!(warm, 8);
        for spare in &made {
            engine.discard(&spare.names).await.unwrap();
        }
        engine.tend_warm_sessions().await;
        let (another, _) = spare(engine).await;
        engine.warm_up(&another.access).await.unwrap();
        assert_eq!(sessions(engine, &another).await.len(), 2, "those of dropped spares make room");
    })
    .await;
}
