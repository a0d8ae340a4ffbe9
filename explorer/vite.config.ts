import { defineConfig } from "vite";
import { notices } from "./notices.ts";

export default defineConfig({
  base: "./",
  plugins: [notices("assets/notices.txt")],
  build: {
    outDir: "../graphql_api/static/graphiql",
    emptyOutDir: true,
    // A data: address in a script or page would need a wider content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 5000,
    reportCompressedSize: false,
    target: "es2022",
    rolldownOptions: {
      // A change of our code must not rename the large bundle of dependencies.
      output: { codeSplitting: { groups: [{ name: "packages", test: /node_modules\/(?!monaco-editor|prettier)/ }] } },
      // "use client" means nothing outside a server that renders React.
      onLog: (level, log, handle) => log.code !== "MODULE_LEVEL_DIRECTIVE" && handle(level, log),
    },
  },
  worker: { format: "es" },
});
