// Runs a query twice with clients of automatic persisted documents; prints requests and responses of each as JSON.
import { ApolloClient, ApolloLink, gql as document, HttpLink, InMemoryCache } from "@apollo/client/core";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { Client as Urql, fetchExchange } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";
import { createHash } from "node:crypto";

const { GRAPHQL_URL, TOKEN, SERVICE_ID } = process.env;
const headers = { authorization: `Bearer ${TOKEN}` };
const variables = { id: SERVICE_ID };
const sha256 = (text) => createHash("sha256").update(text).digest("hex");

/** A `fetch` that records of each request its method, and whether it has the text or the hash of the document. */
function recording(sent) {
  return (url, options) => {
    const body = options.method === "GET" ? Object.fromEntries(new URL(url).searchParams) : JSON.parse(options.body);
    sent.push(`${options.method} ${body.query ? "text" : "hash"}`);
    return fetch(url, options);
  };
}

async function twice(name, make) {
  const sent = [];
  const run = make(recording(sent), `query ${name}($id: ID!) { service(id: $id) { id name } }`);
  const received = [await run(), await run()].map(({ data, error }) => {
    if (error) throw error;
    return data.service.id;
  });
  return { sent, received };
}

function apollo(fetch, query) {
  const link = ApolloLink.from([new PersistedQueryLink({ sha256 }), new HttpLink({ uri: GRAPHQL_URL, headers, fetch })]);
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  return () => client.query({ query: document(query), variables, fetchPolicy: "network-only" });
}

function urql(preferGetForPersistedQueries) {
  return (fetch, query) => {
    const client = new Urql({
      url: GRAPHQL_URL,
      exchanges: [persistedExchange({ preferGetForPersistedQueries }), fetchExchange],
      fetchOptions: { headers: { ...headers, "graphql-require-preflight": "1" } },
      preferGetMethod: false,
      fetch,
    });
    return () => client.query(query, variables, { requestPolicy: "network-only" });
  };
}

const results = {
  apollo: await twice("Apollo", apollo),
  urql: await twice("Urql", urql(false)),
  "urql, by GET": await twice("UrqlByGet", urql(true)),
};
console.log(JSON.stringify(results));
process.exit();
