// PostGraphile as its documentation advises for production, on 127.0.0.1:PORT and the database of DATABASE_URL.
import { createServer } from "node:http";
import { postgraphile } from "postgraphile";
import { grafserv } from "postgraphile/grafserv/node";
import { makePgService } from "postgraphile/adaptors/pg";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { jsonPgSmartTags } from "postgraphile/utils";

// The database has no foreign key from a message to its template as it is now: ours declares the relation, so do we here.
// Two tables stop PostGraphile: one has a column `row_id`, which is its name of every `id`, and one an enum with a space.
const relations = jsonPgSmartTags({
  version: 1,
  config: {
    class: {
      change_log: { attribute: { row_id: { tags: { name: "changed_id" } } } },
      report_requests: { tags: { behavior: "-*" }, attribute: { status: { tags: { behavior: "-*" } } } },
      notifications: { tags: { foreignKey: "(template_id) references templates (id)|@fieldName template" } },
    },
  },
});

const instance = postgraphile({
  extends: [PostGraphileAmberPreset],
  plugins: [relations],
  // It hides orders and conditions that no single-column index serves: ours has the compound ones.
  disablePlugins: ["PgIndexBehaviorsPlugin"],
  pgServices: [
    makePgService({
      connectionString: process.env.DATABASE_URL,
      schemas: ["public"],
      poolConfig: { max: Number(process.env.POOL_SIZE) },
    }),
  ],
  grafserv: { graphqlPath: "/graphql", websockets: false, graphiql: false, watch: false },
  grafast: { explain: false },
});

if (process.argv.includes("--print-schema")) {
  const { printSchema } = await import("postgraphile/graphql");
  console.log(printSchema(await instance.getSchema()));
  process.exit(0);
}

const server = createServer();
server.keepAliveTimeout = 65_000;
await instance.createServ(grafserv).addTo(server);
server.listen(Number(process.env.PORT), "127.0.0.1");
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(0));
