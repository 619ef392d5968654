// Makes Prisma's JavaScript driver adapter behave towards the schema engine as its native connector does,
// so that the real CLI can be run where no native engine can be downloaded.
import { PrismaPg } from "@prisma/adapter-pg";
import Result from "pg/lib/result.js";

// The engine reads catalogue columns of types the adapter refuses; their text is that of types it accepts.
const PRESENTED_AS = new Map([
  [18, 25], // "char" as text
  [19, 25], // name as text
  [1002, 1009], // "char"[] as text[]
  [1003, 1009], // name[] as text[]
  [26, 20], // oid as bigint
]);

const addFields = Result.prototype.addFields;
Result.prototype.addFields = function (fields) {
  for (const field of fields) {
    field.dataTypeID = PRESENTED_AS.get(field.dataTypeID) ?? field.dataTypeID;
  }
  return addFields.call(this, fields);
};

// The engine guards its wait for the migration lock with a timer of ten seconds that it never clears. While it
// waits, its busy connection keeps Node alive; once it has finished, the timer alone must not.
const LOCK_WAIT_MS = 10_000;
const setTimeout = globalThis.setTimeout;
globalThis.setTimeout = (...call) => {
  const timer = setTimeout(...call);
  if (call[1] >= LOCK_WAIT_MS) timer.unref();
  return timer;
};

// The native engine has one connection: what a migration changes in its session, later ones and the bookkeeping
// see, and an error does not replace it. The adapter has a pool, which does. The connection keeps Node alive only
// while a query is on its way, since the CLI does not always close what it opened.
async function onOneConnection(adapter) {
  const pool = adapter.client;
  const connection = await pool.connect().catch((error) => adapter.onError(error));
  connection.on("error", () => {}); // a lost connection is reported by the next query
  connection.unref();
  adapter.client = {
    async query(...query) {
      connection.ref();
      try {
        return await connection.query(...query);
      } finally {
        connection.unref();
      }
    },
  };
  const dispose = adapter.dispose.bind(adapter);
  adapter.dispose = async () => {
    connection.release(true);
    await dispose();
  };
  return adapter;
}

// The adapter splits a script at every `;`. The native engine sends it whole, as one simple-query message.
function sendScriptsWhole(adapter) {
  adapter.executeScript = async function (script) {
    try {
      await this.client.query(script);
    } catch (error) {
      this.onError(error);
    }
  };
  return adapter;
}

/** An adapter factory for a database URL that may say `?schema=`, as Prisma's URLs do. */
export function nativeAdapter(databaseUrl) {
  const url = new URL(databaseUrl);
  const schema = url.searchParams.get("schema") ?? "public";
  url.searchParams.delete("schema");
  const factory = new PrismaPg(
    { connectionString: url.href, options: `-c search_path="${schema}"` },
    { schema },
  );
  for (const connect of ["connect", "connectToShadowDb"]) {
    const original = factory[connect].bind(factory);
    factory[connect] = async () => sendScriptsWhole(await onOneConnection(await original()));
  }
  return factory;
}
