import { ask } from "./client";
import { graphql, unmask, type FragmentType } from "./generated";
import type { DashboardQuery, NotificationStatusGroup } from "./generated/graphql";

const Row = graphql(`
  fragment NotificationRow on Notification {
    id
    channel
    recipient
    status
    statusText
    statusGroup
    createdAt
    template {
      id
      name
    }
    content {
      subject
      text
    }
    sms {
      fragmentCount
    }
    cost {
      total {
        amount
        currency
      }
    }
  }
`);

const Dashboard = graphql(`
  query Dashboard($serviceId: ID!, $filter: NotificationFilter, $first: Int = 20, $after: String) {
    service(id: $serviceId) {
      id
      name
      status
      features
      organisation {
        name
        type
      }
      dailyLimits {
        channel
        used
        remaining
      }
      statistics {
        total {
          requested
          failureRate
        }
        byChannel {
          channel
          counts {
            delivered
          }
        }
      }
      templates(first: 50, orderBy: { field: NAME }) {
        totalCount
        nodes {
          id
          name
          ...Placeholders
          versions(first: 1) {
            nodes {
              version
              savedBy {
                name
              }
            }
          }
        }
      }
      jobs(first: 5) {
        nodes {
          id
          status
          createdBy {
            __typename
            ... on User {
              name
            }
            ... on ApiKey {
              prefix
            }
          }
          progress {
            total
            fractionComplete
          }
          notifications(first: 2) {
            nodes {
              jobRowNumber
            }
          }
        }
      }
      notifications(first: $first, after: $after, filter: $filter) {
        totalCount
        edges {
          cursor
          node {
            ...NotificationRow
          }
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
    }
  }

  fragment Placeholders on TemplateContent {
    placeholders {
      name
      conditional
    }
  }
`);

const Thing = graphql(`
  query Thing($id: ID!) {
    node(id: $id) {
      __typename
      id
      ... on Service {
        name
      }
      ... on Notification {
        statusText
      }
    }
  }
`);

export type Service = NonNullable<DashboardQuery["service"]>;

export async function dashboard(serviceId: string, groups: NotificationStatusGroup[], after: string | null = null) {
  const { service } = await ask(Dashboard, { serviceId, filter: { statusGroups: groups }, first: 5, after });
  if (!service?.notifications) {
    throw new Error("The service or its messages cannot be seen.");
  }
  return { ...service, notifications: service.notifications };
}

export function identify(row: FragmentType<typeof Row>): { id: string; group: NotificationStatusGroup } {
  const { id, statusGroup } = unmask(Row, row);
  return { id, group: statusGroup };
}

export async function typeOf(id: string): Promise<string | undefined> {
  return (await ask(Thing, { id })).node?.__typename;
}
