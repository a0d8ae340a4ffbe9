import type { CodegenConfig } from "@graphql-codegen/cli";
import config from "./codegen";

const generated = config.generates["src/generated/"];
const { presetConfig } = generated as { presetConfig: object };

const persisted: CodegenConfig = {
  ...config,
  schema: "schema.graphql",
  generates: {
    "src/generated/": { ...generated, presetConfig: { ...presetConfig, persistedDocuments: true } },
  },
};

export default persisted;
