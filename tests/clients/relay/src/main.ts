import { ConnectionHandler, Environment, Network, RecordSource, Store } from "relay-runtime";
import { fetchDashboard } from "./Dashboard";
import { collected, fetchPage } from "./Notifications";
import { createTemplate } from "./Templates";

declare const process: { readonly env: Readonly<Record<string, string>> };

const { GRAPHQL_URL = "", TOKEN = "", SERVICE_ID = "" } = process.env;

const environment = new Environment({
  store: new Store(new RecordSource()),
  network: Network.create(async ({ text, id }, variables) => {
    const response = await fetch(GRAPHQL_URL, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${TOKEN}` },
      body: JSON.stringify({ query: text, documentId: id, variables }),
    });
    return response.json();
  }),
});

async function main() {
  const filter = { statusGroups: ["DELIVERED" as const] };
  const data = await fetchDashboard(environment, { serviceId: SERVICE_ID, filter });
  const first = collected(environment, SERVICE_ID, filter);
  await fetchPage(environment, { id: SERVICE_ID, count: 4, cursor: first.cursor, filter });
  const both = collected(environment, SERVICE_ID, filter);

  const connection = ConnectionHandler.getConnectionID(SERVICE_ID, "Templates_templates");
  const { createTemplate: made } = await createTemplate(environment, {
    input: { serviceId: SERVICE_ID, name: `Made by Relay, ${Date.now()}`, content: { sms: { body: "Hello ((name))" } } },
    connections: [connection],
  });

  console.log(
    JSON.stringify({
      admin: data?.viewer?.isPlatformAdmin,
      service: data?.service?.id,
      firstPage: first.ids.length,
      bothPages: both.ids.length,
      different: new Set(both.ids).size,
      startsWithTheFirst: both.ids.slice(0, first.ids.length).join() === first.ids.join(),
      madeFor: made?.template?.service.id,
      userErrors: made?.userErrors,
    }),
  );
}

void main();
