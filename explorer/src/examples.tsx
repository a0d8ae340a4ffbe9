import { useGraphiQL, useGraphiQLActions, type GraphiQLPlugin } from "@graphiql/react";
import completeSignIn from "./examples/CompleteSignIn.graphql?raw";
import createApiKey from "./examples/CreateApiKey.graphql?raw";
import createJob from "./examples/CreateJob.graphql?raw";
import createTemplate from "./examples/CreateTemplate.graphql?raw";
import findMessages from "./examples/FindMessages.graphql?raw";
import latestJob from "./examples/LatestJob.graphql?raw";
import serviceDashboard from "./examples/ServiceDashboard.graphql?raw";
import signIn from "./examples/SignIn.graphql?raw";
import viewer from "./examples/Viewer.graphql?raw";
import type { Settings } from "./settings";

export interface Example {
  title: string;
  description: string;
  query: string;
  /** JSON, as the variables editor shows it. */
  variables: string;
  /** Whether it is opened as a tab on the first visit. */
  tab: boolean;
}

// Numbers that Ofcom reserves for drama.
const RECIPIENTS = `phone number,name,day
07700900101,Ada,Monday
07700900102,Grace,Tuesday
07700900103,Zoë,Wednesday
`;

export function createExamples({ serviceId = "", templateId = "" }: Settings): Example[] {
  const example = (title: string, description: string, query: string, variables?: object, tab = true): Example => ({
    title,
    description,
    query,
    variables: variables ? JSON.stringify(variables, null, 2) : "",
    tab,
  });

  return [
    example("Who am I?", "The signed-in person or key, and where they belong.", viewer),
    example("Service dashboard", "Figures, limits, templates, jobs and messages in one request.", serviceDashboard, {
      serviceId,
    }),
    example("Create an API key", "The key itself is shown this once.", createApiKey, {
      input: { serviceId, name: "Explorer", type: "TEST" },
    }),
    example("Create a template", "A text message with placeholders, and its preview.", createTemplate, {
      input: {
        serviceId,
        name: "Made in the explorer",
        content: { sms: { body: "Hello ((name)), we look forward to seeing you on ((day))." } },
      },
    }),
    example("Create a job from a CSV file", "One message for each row.", createJob, {
      input: { serviceId, templateId, source: { csv: { fileName: "people.csv", content: RECIPIENTS } } },
    }),
    example("Watch the latest job", "Its progress and its messages, row by row.", latestJob, { serviceId }),
    example(
      "Find messages",
      "Filtered, and page by page.",
      findMessages,
      { serviceId, filter: { statusGroups: ["FAILED"] }, after: null },
      false,
    ),
    example(
      "Sign in",
      "First step: the password.",
      signIn,
      { input: { emailAddress: "", password: "" } },
      false,
    ),
    example(
      "Complete signing in",
      "Second step: the code or the link that was sent.",
      completeSignIn,
      { input: { challengeToken: "", proof: { smsCode: "" } } },
      false,
    ),
  ];
}

/** The panel that lists the examples; each opens in a tab of its own. */
export function examplesPlugin(examples: Example[], signedIn: boolean): GraphiQLPlugin {
  return { title: "Examples", icon: ExamplesIcon, content: () => <Examples examples={examples} signedIn={signedIn} /> };
}

function Examples({ examples, signedIn }: { examples: Example[]; signedIn: boolean }) {
  const { addTab, changeTab } = useGraphiQLActions();
  const { tabs, queryEditor, variableEditor } = useGraphiQL((state) => ({
    tabs: state.tabs,
    queryEditor: state.queryEditor,
    variableEditor: state.variableEditor,
  }));

  function open({ query, variables }: Example) {
    const present = tabs.findIndex((tab) => tab.query === query && (tab.variables ?? "") === variables);
    if (present >= 0) {
      changeTab(present);
    } else {
      addTab();
      queryEditor?.setValue(query);
      variableEditor?.setValue(variables);
    }
    queryEditor?.focus();
  }

  return (
    <section className="examples" aria-labelledby="examples-title">
      <h2 id="examples-title">Examples</h2>
      {signedIn ? (
        <p>The headers already hold a token, and the variables the ids, of this server’s demo data.</p>
      ) : (
        <p>
          Most of them need a token, in the headers: <code>{'{"Authorization": "Bearer …"}'}</code>
        </p>
      )}
      <ul>
        {examples.map((example) => (
          <li key={example.title}>
            <button type="button" onClick={() => open(example)}>
              <strong>{example.title}</strong>
              <span>{example.description}</span>
            </button>
          </li>
        ))}
      </ul>
      <p>
        Run with <kbd>Ctrl</kbd>-<kbd>Enter</kbd>. Free software: <a href="./assets/notices.txt">notices</a>.
      </p>
    </section>
  );
}

function ExamplesIcon() {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden="true">
      <path d="M4 5h16M4 12h16M4 19h10" strokeLinecap="round" />
    </svg>
  );
}
