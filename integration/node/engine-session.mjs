// The CLI's schema engine without the CLI: one process for any number of databases, where starting the CLI for
// each would cost half a second. A request is a line of JSON on standard input, its answer one on standard output.
//   {"command": "deploy" | "diagnose", "url": "postgres://…", "migrations": "/absolute/directory"}
//   {"ok": …} | {"error": "message", "code": "P3009"}
import { bindMigrationAwareSqlAdapterFactory } from "@prisma/driver-adapter-utils";
import * as glue from "@prisma/schema-engine-wasm/schema_engine_bg";
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { nativeAdapter } from "./native-adapter.mjs";

async function loadEngine() {
  const script = createRequire(import.meta.url).resolve("@prisma/schema-engine-wasm/schema_engine_bg");
  const module = await WebAssembly.compile(await readFile(join(dirname(script), "schema_engine_bg.wasm")));
  const { exports } = await WebAssembly.instantiate(module, { "./schema_engine_bg.js": glue });
  glue.__wbg_set_wasm(exports);
  exports.__wbindgen_start();
}

const content = (path) =>
  readFile(path, "utf-8").then(
    (value) => ({ tag: "ok", value }),
    (error) => ({ tag: "error", value: error.message }),
  );

// As the CLI lists them: direct child directories, by the collation of the default locale.
async function migrationsList(baseDir) {
  const entries = (await readdir(baseDir, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  const names = entries.map((entry) => entry.name).sort((a, b) => a.localeCompare(b));
  const lockfile = await content(join(baseDir, "migration_lock.toml"));
  const directory = async (name) => ({
    path: name,
    migrationFile: { path: "migration.sql", content: await content(join(baseDir, name, "migration.sql")) },
  });
  return {
    baseDir,
    lockfile: { path: "migration_lock.toml", content: lockfile.tag === "ok" ? lockfile.value : null },
    shadowDbInitScript: "",
    migrationDirectories: await Promise.all(names.map(directory)),
  };
}

async function answer({ command, url, migrations }) {
  const input = { migrationsList: await migrationsList(migrations), filters: { externalTables: [], externalEnums: [] } };
  // The engine keeps what it connected; closing it here is what ends its session in the database.
  const factory = nativeAdapter(url);
  const connected = [];
  const connect = factory.connect;
  factory.connect = async () => {
    const adapter = await connect();
    connected.push(adapter);
    return adapter;
  };
  const bound = bindMigrationAwareSqlAdapterFactory(factory);
  const engine = await glue.SchemaEngine.new({ datamodels: undefined }, () => {}, bound);
  try {
    switch (command) {
      case "deploy":
        return { ok: await engine.applyMigrations(input) };
      case "diagnose":
        return { ok: await engine.diagnoseMigrationHistory({ ...input, optInToShadowDatabase: false }) };
      default:
        return { error: `unknown command ${command}` };
    }
  } catch (error) {
    return { error: error.message, code: error.code };
  } finally {
    engine.free();
    await Promise.allSettled(connected.map((adapter) => adapter.dispose()));
  }
}

await loadEngine();
for await (const line of createInterface({ input: process.stdin })) {
  const reply = await answer(JSON.parse(line)).catch((error) => ({ error: String(error) }));
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
