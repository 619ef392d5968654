//! Measuring what each method of cloning costs on this server, with databases of our own that go afterwards.

use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{CloneMethods, extent};
use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::engine::ident::{Ident, Literal};
use crate::engine::identity::ROLE_COMMENT;
use crate::engine::instance::{InstanceNames, lock_making};

/// Each method clones each size this often. The median decides, so three bear one that was held up.
const ROUNDS: usize = 3;
/// At the most at a time: what is measured, a copy of it, and the WAL of both.
const WRITTEN: i64 = 200 << 20;
/// About 40 MB beside an empty database's 7: far enough apart to tell the price of a byte, near enough to be cheap.
const FILL: &str = "CREATE TABLE public.filler AS
    SELECT i, pg_catalog.repeat(pg_catalog.md5(i::text), 31) AS text FROM pg_catalog.generate_series(1, 34000) AS i";

/// Some 600 files of hardly anything: far enough from an empty database's 300 to tell the price of a file.
const CROWD: &str = "DO $$ BEGIN FOR i IN 1..150 LOOP
    EXECUTE pg_catalog.format('CREATE TABLE public.crowd_%s (id int PRIMARY KEY, text text)', i); END LOOP; END $$";

/// The filled database, the one of many tables, and the clone, one at a time, that is made of them or of an empty one.
struct Scratch {
    filled: InstanceNames,
    crowded: InstanceNames,
    copy: InstanceNames,
}

impl Scratch {
    /// Named as instances are, so that a sweep removes what a crash left.
    fn new() -> Result<Self, EngineError> {
        let id = Uuid::new_v4().simple();
        Ok(Self {
            filled: InstanceNames::new(&format!("{id}_a"))?,
            copy: InstanceNames::new(&format!("{id}_b"))?,
            crowded: InstanceNames::new(&format!("{id}_c"))?,
        })
    }
}

impl Engine {
    /// Measures each method with a small and a larger database of our own. Takes some seconds on a server with nothing else to do,
    /// ends early and tidily when told to stop, and leaves nothing behind.
    pub async fn calibrate_clones(&self, stop: &CancellationToken) -> Result<CloneMethods, EngineError> {
        self.room_for(WRITTEN).await?;
        let scratch = Scratch::new()?;
        let measured = stop.run_until_cancelled(self.measure(&scratch)).await;
        // The session that holds the locks is gone by now, or finishes what it had begun.
        let mut tidied = Vec::new();
        for names in [&scratch.copy, &scratch.filled, &scratch.crowded] {
            tidied.push(self.discard(names).await);
        }
        measured.transpose()?;
        tidied.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(self.clone_methods())
    }

    async fn measure(&self, scratch: &Scratch) -> Result<(), EngineError> {
        let refused = || EngineError::refused("measure how databases are cloned");
        // Held all the time by the session that makes and drops: nobody sweeps away what is being measured, and who tidies waits for
        // the statement that was given up. Filling, in a session of its own, is ended by the drop.
        let making = self.instance_lock(&scratch.filled).await?;
        let client = making.client();
        lock_making(client, &scratch.copy).await?;
        lock_making(client, &scratch.crowded).await?;
        let (filled, crowded) = (&scratch.filled.database, &scratch.crowded.database);
        for (database, content) in [(filled, FILL), (crowded, CROWD)] {
            let create = format!("CREATE DATABASE {database} TEMPLATE template0 CONNECTION LIMIT 0");
            client.batch_execute(&create).await.map_err(refused())?;
            mark(client, database).await.map_err(refused())?;
            let inside = self.client_in(database).await?;
            inside.batch_execute(content).await.map_err(refused())?;
            drop(inside);
        }
        // Else the first to copy files would pay for what was written here.
        client.batch_execute("CHECKPOINT").await.map_err(refused())?;
        let templates = [Ident::new("template0")?, filled.clone(), crowded.clone()];
        for _ in 0..ROUNDS {
            for template in &templates {
                for method in self.clone_methods().methods() {
                    let extent = extent(client, template).await.map_err(refused())?;
                    let copy = &scratch.copy.database;
                    match self.clone_by(client, copy, template, method, extent).await {
                        Ok(()) => {
                            mark(client, copy).await.map_err(refused())?;
                            let drop = format!("DROP DATABASE {copy} WITH (FORCE)");
                            client.batch_execute(&drop).await.map_err(refused())?;
                        }
                        Err(error) if super::is_refused(&error) => {
                            self.cloning.state().methods.rule_out(method);
                        }
                        Err(error) => return Err(refused()(error)),
                    }
                }
            }
        }
        Ok(())
    }
}

async fn mark(client: &Client, database: &Ident) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(&format!("COMMENT ON DATABASE {database} IS {}", Literal(ROLE_COMMENT))).await
}
