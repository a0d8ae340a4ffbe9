import { createGraphiQLFetcher, type Fetcher } from "@graphiql/toolkit";
import { defaultHeaders, type Settings } from "./settings";

/**
 * Posts operations and subscribes over graphql-transport-ws, with the values of the headers editor as connection
 * parameters. The schema is fetched before the headers editor exists, with the default headers.
 */
export function createFetcher(settings: Settings): Fetcher {
  const url = new URL(settings.graphqlUrl, window.location.href);
  const subscriptionUrl = new URL(url);
  subscriptionUrl.protocol = url.protocol === "https:" ? "wss:" : "ws:";

  const send = createGraphiQLFetcher({
    url: url.href,
    subscriptionUrl: subscriptionUrl.href,
    enableIncrementalDelivery: false,
  });
  const headers = JSON.parse(defaultHeaders(settings) || "{}") as Record<string, string>;
  return (operation, options) => send(withItsName(operation), { ...options, headers: options?.headers ?? headers });
}

/** GraphiQL updates the operation name with a delay after an edit; until then it would send the previous one. */
function withItsName<T extends { query: string; operationName?: string | null }>(operation: T): T {
  const { query, operationName } = operation;
  return operationName && !query.includes(operationName) ? { ...operation, operationName: undefined } : operation;
}
