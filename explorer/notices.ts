import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "vite";

interface Package {
  dev?: boolean;
  license?: string;
  version: string;
}

// The fonts come inside GraphiQL's style sheet, without their notices.
const FONTS = `Roboto, in the style sheet
Copyright 2011 Google Inc. Licensed under the Apache License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0

Fira Code, in the style sheet
Copyright 2014-2020 The Fira Code Project Authors (https://github.com/tonsky/FiraCode)
Licensed under the SIL Open Font License, Version 1.1: https://openfontlicense.org

Codicons, in the style sheet
Copyright Microsoft Corporation. Licensed under the Creative Commons Attribution 4.0 International License:
https://creativecommons.org/licenses/by/4.0/legalcode
`;

/** Emits the licences of all packages that the build may contain, in the order of the lock file. */
export function notices(fileName: string): Plugin {
  return {
    name: "notices",
    generateBundle() {
      const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as { packages: Record<string, Package> };
      const texts = Object.entries(lock.packages)
        .filter(([path, { dev }]) => path !== "" && !dev)
        .map(([path, { version, license }]) => {
          const files = readdirSync(path).filter((name) => /^(licen[cs]e|notice|thirdpartynotices)/i.test(name));
          const text = files.sort().map((name) => readFileSync(join(path, name), "utf8").trim());
          const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
          return [`${name} ${version} (${license ?? "see below"})`, ...text].join("\n\n");
        });
      const rule = `\n\n${"-".repeat(80)}\n\n`;
      const title = "The explorer page is built from these packages. We thank their authors.";
      this.emitFile({ type: "asset", fileName, source: [title, ...new Set(texts), FONTS].join(rule) });
    },
  };
}
