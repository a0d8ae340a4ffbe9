const PREFIX = "graphiql:";
const SECRETS = /"(password|\w*token|smsCode)"/i;

/**
 * The browser's storage without secrets: request headers (GraphiQL's history stores them regardless of
 * `shouldPersistHeaders`) and variables that hold a password, a token or a code. An entry read from the history
 * gets the current headers, because selecting it would otherwise sign the user out.
 */
export function createStorage(headers: string): Storage {
  return {
    get length() {
      return localStorage.length;
    },
    key: (index) => localStorage.key(index),
    clear: () => localStorage.clear(),
    removeItem: (name) => localStorage.removeItem(name),
    getItem(name) {
      const text = localStorage.getItem(name);
      return text && isHistory(name) ? rewrite(text, "headers", () => headers) : text;
    },
    setItem(name, text) {
      localStorage.setItem(name, withoutSecrets(name, text));
    },
  };
}

/** Whether the explorer has not been opened in this browser before. */
export function isFirstVisit(): boolean {
  return localStorage.getItem(`${PREFIX}visiblePlugin`) === null;
}

function isHistory(name: string): boolean {
  return name === `${PREFIX}queries` || name === `${PREFIX}favorites`;
}

function withoutSecrets(name: string, text: string): string {
  if (name === `${PREFIX}variables`) {
    return withoutSecretVariables(text) as string;
  }
  if (isHistory(name) || name === `${PREFIX}tabState`) {
    return rewrite(rewrite(text, "headers", () => null), "variables", withoutSecretVariables);
  }
  return text;
}

function withoutSecretVariables(variables: unknown): unknown {
  return typeof variables === "string" && SECRETS.test(variables) ? "" : variables;
}

function rewrite(json: string, name: string, change: (value: unknown) => unknown): string {
  return JSON.stringify(JSON.parse(json), (key, value: unknown) => (key === name ? change(value) : value));
}
