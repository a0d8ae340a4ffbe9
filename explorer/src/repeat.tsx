import { ReloadIcon, ToolbarButton, useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { useEffect, useState } from "react";

const PAUSE = 1000;

/** Repeats the query of the tab a second after each response, until it is pressed again or another tab is selected. */
export function RepeatButton() {
  const { run } = useGraphiQLActions();
  const { asking, tab, onlyQueries } = useGraphiQL((state) => ({
    asking: state.isFetching,
    tab: state.tabs[state.activeTabIndex]?.id,
    // A mutation must not be repeated automatically.
    onlyQueries: state.operations?.every(({ operation }) => operation === "query") ?? false,
  }));
  const [repeatedTab, setRepeatedTab] = useState<string>();
  const repeats = onlyQueries && repeatedTab !== undefined && repeatedTab === tab;

  useEffect(() => {
    if (repeats && !asking) {
      const timer = setTimeout(run, PAUSE);
      return () => clearTimeout(timer);
    }
  }, [repeats, asking, run]);

  return (
    <ToolbarButton
      label={repeats ? "Stop repeating" : onlyQueries ? "Repeat every second" : "Repeat every second (queries only)"}
      aria-pressed={repeats}
      disabled={!onlyQueries}
      className="repeat"
      onClick={() => {
        setRepeatedTab(repeats ? undefined : tab);
        if (!repeats && !asking) {
          run();
        }
      }}
    >
      <ReloadIcon className="graphiql-toolbar-icon" aria-hidden="true" />
    </ToolbarButton>
  );
}
