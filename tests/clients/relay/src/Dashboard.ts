import { fetchQuery, graphql, type IEnvironment } from "relay-runtime";
import DashboardQuery, { type DashboardQuery as Operation } from "./__generated__/DashboardQuery.graphql";

// The compiler reads it here; only Relay's Babel plugin could run it.
export const query = () => graphql`
  query DashboardQuery($serviceId: ID!, $filter: NotificationFilter) {
    viewer {
      isPlatformAdmin
      user {
        id
        name
      }
    }
    service(id: $serviceId) {
      id
      name
      status
      organisation {
        id
        name
      }
      jobs(first: 5) {
        nodes {
          id
          status
          createdBy {
            __typename
            ... on User {
              id
              name
            }
            ... on ApiKey {
              id
              name
            }
          }
          progress {
            delivered
          }
        }
      }
      ...Notifications_service @arguments(count: 4, filter: $filter)
      ...Templates_service
    }
  }
`;

export async function fetchDashboard(environment: IEnvironment, variables: Operation["variables"]) {
  return fetchQuery<Operation>(environment, DashboardQuery, variables).toPromise();
}
