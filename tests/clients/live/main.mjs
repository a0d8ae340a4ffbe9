// Queries and subscribes with common clients over each of their transports; prints the results as JSON.
import { ApolloClient, ApolloLink, gql as document, HttpLink, InMemoryCache } from "@apollo/client/core";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { Client as Urql, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient as createSse } from "graphql-sse";
import { createClient as createWs } from "graphql-ws";
import { OperationTypeNode } from "graphql";
import WebSocket from "ws";

const { GRAPHQL_URL, TOKEN, SERVICE_ID, TEMPLATE_ID } = process.env;
const headers = { authorization: `Bearer ${TOKEN}` };
const SERVICE = "query Service($id: ID!) { service(id: $id) { id } }";
const CREATE = `mutation Create($input: CreateJobInput!) { createJob(input: $input) { job { id } userErrors { message } } }`;
const FOLLOW = "subscription Follow($id: ID!) { jobProgress(jobId: $id) { job { id status } progress { delivered isFinal } } }";
const service = { id: SERVICE_ID };
const input = {
  serviceId: SERVICE_ID,
  templateId: TEMPLATE_ID,
  source: { csv: { fileName: "live.csv", content: "phone number,name,day\n07700900101,Jo,Monday\n07700900102,Mo,Friday\n" } },
};

/** Queries a service, creates a job and subscribes to it until it ends. */
async function through(execute, subscribe) {
  const serviceId = (await execute(SERVICE, service)).service.id;
  const { job, userErrors } = (await execute(CREATE, { input })).createJob;
  if (job === null) throw new Error(JSON.stringify(userErrors));
  const events = [];
  for await (const event of subscribe(FOLLOW, { id: job.id })) events.push(event.jobProgress);
  const { delivered, isFinal } = events.at(-1).progress;
  return { serviceId, sameJob: events.every((event) => event.job.id === job.id), last: [delivered, isFinal] };
}

/** The values that a callback receives. */
async function* each(subscribe) {
  const waiting = [];
  let wake = () => {};
  const put = (item) => (waiting.push(item), wake());
  subscribe({ next: (value) => put({ value }), error: (error) => put({ error }), complete: () => put({ done: true }) });
  for (;;) {
    while (waiting.length === 0) await new Promise((resolve) => (wake = resolve));
    const { value, error, done } = waiting.shift();
    if (error) throw error;
    if (done) return;
    if (value.errors ?? value.error) throw new Error(JSON.stringify(value.errors ?? value.error));
    yield value.data;
  }
}

async function first(events) {
  for await (const event of events) return event;
}

const ws = createWs({ url: GRAPHQL_URL.replace("http", "ws"), webSocketImpl: WebSocket, connectionParams: headers });
const sse = createSse({ url: GRAPHQL_URL, headers });
const over = (client) => (query, variables) => each((sink) => client.subscribe({ query, variables }, sink));
const once = (follow) => (query, variables) => first(follow(query, variables));

/** urql, which subscribes over a WebSocket, or over server-sent events. */
function urql(options, ...exchanges) {
  const client = new Urql({
    url: GRAPHQL_URL,
    exchanges: [...exchanges, fetchExchange],
    fetchOptions: { headers },
    preferGetMethod: false,
    ...options,
  });
  const done = ({ data, error }) => {
    if (error) throw error;
    return data;
  };
  return [
    async (query, variables) => done(await (/^mutation/.test(query) ? client.mutation(query, variables) : client.query(query, variables))),
    (query, variables) =>
      each((sink) => client.subscription(query, variables).subscribe((result) => {
        if (result.data || result.error) sink.next(result);
        if (result.data?.jobProgress.progress.isFinal) sink.complete();
      })),
  ];
}

function apollo() {
  const link = ApolloLink.split(
    ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
    new GraphQLWsLink(ws),
    new HttpLink({ uri: GRAPHQL_URL, headers }),
  );
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  return [
    async (query, variables) => {
      const result = /^mutation/.test(query)
        ? await client.mutate({ mutation: document(query), variables })
        : await client.query({ query: document(query), variables });
      return result.data;
    },
    (query, variables) => each((sink) => client.subscribe({ query: document(query), variables }).subscribe(sink)),
  ];
}

const subscriptions = subscriptionExchange({
  forwardSubscription: ({ query, variables }) => ({
    subscribe: (sink) => ({ unsubscribe: ws.subscribe({ query, variables }, sink) }),
  }),
});

const results = {
  "graphql-ws": await through(once(over(ws)), over(ws)),
  "graphql-sse": await through(once(over(sse)), over(sse)),
  "urql over a socket": await through(...urql({}, subscriptions)),
  "urql over events": await through(...urql({ fetchSubscriptions: true })),
  "apollo over a socket": await through(...apollo()),
};
await ws.dispose();
sse.dispose();
console.log(JSON.stringify(results));
process.exit();
