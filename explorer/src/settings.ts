/** What the server tells the page, in the JSON of its `settings` element; every part is optional. */
export interface Settings {
  /** Where to post operations; subscriptions go to the same path over a web socket. */
  graphqlUrl: string;
  /** A bearer token that works at once; only a development server gives one. */
  token?: string;
  /** A service for the examples. */
  serviceId?: string;
  /** One of its text message templates. */
  templateId?: string;
}

export function readSettings(): Settings {
  const text = document.getElementById("settings")?.textContent ?? "{}";
  return { graphqlUrl: "/graphql", ...(JSON.parse(text) as Partial<Settings>) };
}

/** The request headers that a new tab starts with, as the headers editor shows them. */
export function defaultHeaders({ token }: Settings): string {
  return token ? JSON.stringify({ Authorization: `Bearer ${token}` }, null, 2) : "";
}
