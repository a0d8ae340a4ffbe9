// Runs every audit of graphql-http against a server, as somebody who is signed in, and prints what each found as JSON.
import { serverAudits } from "graphql-http";

const { GRAPHQL_URL, TOKEN } = process.env;
const fetchFn = (url, options) =>
  fetch(url, { ...options, headers: { ...options?.headers, authorization: `Bearer ${TOKEN}` } });

const found = [];
for (const audit of serverAudits({ url: GRAPHQL_URL, fetchFn })) {
  const { status, name, reason } = await audit.fn();
  found.push({ id: audit.id, name, status, ...(reason && { reason }) });
}
console.log(JSON.stringify(found));
