// The configuration `PrismaCli` (integration/src/prisma.rs) runs the real CLI with. All of it comes from the
// environment, so that neither a URL nor a password is ever on a command line.
import { nativeAdapter } from "./native-adapter.mjs";

export default {
  experimental: { adapter: true },
  engine: "js",
  schema: process.env.PRISMA_SCHEMA_PATH,
  migrations: { path: process.env.PRISMA_MIGRATIONS_PATH },
  adapter: async () => nativeAdapter(process.env.DATABASE_URL),
};
