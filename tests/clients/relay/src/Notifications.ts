import { commitLocalUpdate, ConnectionHandler, fetchQuery, graphql, type IEnvironment } from "relay-runtime";
import RefetchQuery, {
  type NotificationsRefetchQuery as Operation,
} from "./__generated__/NotificationsRefetchQuery.graphql";

const KEY = "Notifications_notifications";

// The compiler reads it here; only Relay's Babel plugin could run it.
export const fragment = () => graphql`
  fragment Notifications_service on Service
  @refetchable(queryName: "NotificationsRefetchQuery")
  @argumentDefinitions(
    count: { type: "Int", defaultValue: 10 }
    cursor: { type: "String" }
    filter: { type: "NotificationFilter" }
  ) {
    notifications(first: $count, after: $cursor, filter: $filter)
      @connection(key: "Notifications_notifications", filters: ["filter"]) {
      edges {
        node {
          id
          channel
          recipient
          statusText
          createdAt
          template {
            id
            name
          }
          templateVersion {
            id
            version
            name
          }
          service {
            id
            name
          }
        }
      }
    }
  }
`;

export async function fetchPage(environment: IEnvironment, variables: Operation["variables"]) {
  return fetchQuery<Operation>(environment, RefetchQuery, variables).toPromise();
}

/** The ids in the connection that Relay has put together from the pages so far, and the cursor for the next one. */
export function collected(environment: IEnvironment, serviceId: string, filter: Operation["variables"]["filter"]) {
  const state: { ids: string[]; cursor: string | null } = { ids: [], cursor: null };
  commitLocalUpdate(environment, (store) => {
    const service = store.get(serviceId);
    const connection = service && ConnectionHandler.getConnection(service, KEY, { filter });
    for (const edge of connection?.getLinkedRecords("edges") ?? []) {
      state.ids.push(String(edge?.getLinkedRecord("node")?.getValue("id")));
    }
    state.cursor = (connection?.getLinkedRecord("pageInfo")?.getValue("endCursor") as string | undefined) ?? null;
  });
  return state;
}
