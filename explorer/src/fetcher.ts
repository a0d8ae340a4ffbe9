import { createGraphiQLFetcher, type Fetcher } from "@graphiql/toolkit";
import { defaultHeaders, type Settings } from "./settings";

/**
 * Posts operations and subscribes over graphql-transport-ws, where the headers editor's values become the connection's
 * parameters. The schema is asked for before the headers editor exists, so the default headers stand in until then.
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

/** GraphiQL learns an operation's name a moment after it is typed; until then it would send the one before. */
function withItsName<T extends { query: string; operationName?: string | null }>(operation: T): T {
  const { query, operationName } = operation;
  return operationName && !query.includes(operationName) ? { ...operation, operationName: undefined } : operation;
}
