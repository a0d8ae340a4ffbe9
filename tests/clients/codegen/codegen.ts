import type { CodegenConfig } from "@graphql-codegen/cli";

const { GRAPHQL_URL = "", TOKEN = "" } = process.env;

const config: CodegenConfig = {
  schema: { [GRAPHQL_URL]: { headers: { Authorization: `Bearer ${TOKEN}` } } },
  documents: ["src/*.ts"],
  generates: {
    "src/generated/": {
      preset: "client",
      presetConfig: { fragmentMasking: { unmaskFunctionName: "unmask" } },
      config: {
        strictScalars: true,
        scalars: { Date: "string", DateTime: "string", Decimal: "string", JSON: "unknown" },
        enumsAsTypes: true,
        nonOptionalTypename: true,
        useTypeImports: true,
      },
    },
  },
};

export default config;
