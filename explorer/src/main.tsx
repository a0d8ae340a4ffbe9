import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "@graphiql/plugin-explorer/style.css";
import "./style.css";
import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { GraphiQL } from "graphiql";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createExamples, examplesPlugin } from "./examples";
import { createFetcher } from "./fetcher";
import { RepeatButton } from "./repeat";
import { defaultHeaders, readSettings } from "./settings";
import { createStorage, isFirstVisit } from "./storage";

const settings = readSettings();
const headers = defaultHeaders(settings);
const fetcher = createFetcher(settings);
const examples = createExamples(settings);
const EXAMPLES = examplesPlugin(examples, settings.token !== undefined);
const plugins = [EXAMPLES, HISTORY_PLUGIN, explorerPlugin({ showAttribution: false })];
const storage = createStorage(headers);
const firstVisit = isFirstVisit();

function Explorer() {
  return (
    <GraphiQL
      fetcher={fetcher}
      plugins={plugins}
      {...(firstVisit && { visiblePlugin: EXAMPLES })}
      defaultHeaders={headers}
      storage={storage}
      defaultTabs={examples.filter(({ tab }) => tab)}
      defaultEditorToolsVisibility="variables"
      inputValueDeprecation
      schemaDescription
      shouldPersistHeaders={false}
    >
      <GraphiQL.Logo>
        <h1 className="title">Notify GraphQL</h1>
      </GraphiQL.Logo>
      <GraphiQL.Toolbar>
        {({ prettify, merge, copy }) => (
          <>
            <RepeatButton />
            {prettify}
            {merge}
            {copy}
          </>
        )}
      </GraphiQL.Toolbar>
    </GraphiQL>
  );
}

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Explorer />
    </StrictMode>,
  );
}
