// Runs every audit of graphql-http against a server, signed in, and prints the results as JSON.
import { serverAudits } from "graphql-http";

const { GRAPHQL_URL, TOKEN } = process.env;
const fetchFn = (url, options) =>
  fetch(url, { ...options, headers: { ...options?.headers, authorization: `Bearer ${TOKEN}` } });

const results = [];
for (const audit of serverAudits({ url: GRAPHQL_URL, fetchFn })) {
  const { status, name, reason } = await audit.fn();
  results.push({ id: audit.id, name, status, ...(reason && { reason }) });
}
console.log(JSON.stringify(results));
