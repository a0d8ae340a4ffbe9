import { commitMutation, graphql, type IEnvironment } from "relay-runtime";
import CreateMutation, {
  type TemplatesCreateMutation as Operation,
} from "./__generated__/TemplatesCreateMutation.graphql";

// The compiler reads it here; only Relay's Babel plugin could run it.
export const fragment = () => graphql`
  fragment Templates_service on Service {
    templates(first: 100) @connection(key: "Templates_templates") {
      edges {
        node {
          id
          name
          channel
          placeholders {
            name
          }
        }
      }
    }
  }
`;

export const mutation = () => graphql`
  mutation TemplatesCreateMutation($input: CreateTemplateInput!, $connections: [ID!]!) {
    createTemplate(input: $input) {
      template @appendNode(connections: $connections, edgeTypeName: "TemplateEdge") {
        id
        name
        service {
          id
        }
      }
      userErrors {
        __typename
        message
        code
        path
      }
    }
  }
`;

export async function createTemplate(environment: IEnvironment, variables: Operation["variables"]) {
  return new Promise<Operation["response"]>((resolve, reject) => {
    commitMutation<Operation>(environment, {
      mutation: CreateMutation,
      variables,
      onCompleted: (response, errors) => (errors ? reject(new Error(JSON.stringify(errors))) : resolve(response)),
      onError: reject,
    });
  });
}
