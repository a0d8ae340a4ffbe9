/** Settings from the server, as JSON in the `settings` element; all are optional. */
export interface Settings {
  /** Path of operations; subscriptions use the same path over a WebSocket. */
  graphqlUrl: string;
  /** A bearer token; only a development server sets it. */
  token?: string;
  /** Id of a service for the examples. */
  serviceId?: string;
  /** Id of a text message template of the service. */
  templateId?: string;
}

export function readSettings(): Settings {
  const text = document.getElementById("settings")?.textContent ?? "{}";
  return { graphqlUrl: "/graphql", ...(JSON.parse(text) as Partial<Settings>) };
}

/** The request headers of a new tab, as the headers editor shows them. */
export function defaultHeaders({ token }: Settings): string {
  return token ? JSON.stringify({ Authorization: `Bearer ${token}` }, null, 2) : "";
}
