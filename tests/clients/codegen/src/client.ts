import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { print } from "graphql";

declare const process: { readonly env: Readonly<Record<string, string>> };

export const { GRAPHQL_URL = "", TOKEN = "", SERVICE_ID = "" } = process.env;

/** Posts one operation; the result has the type that the generator gave the document. */
export async function ask<Result, Variables>(
  document: TypedDocumentNode<Result, Variables>,
  variables: Variables,
): Promise<Result> {
  // Present with persisted documents.
  const meta = (document as { __meta__?: { hash?: string } }).__meta__;
  const operation = meta?.hash ? { documentId: meta.hash } : { query: print(document) };
  const response = await fetch(GRAPHQL_URL, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify({ ...operation, variables }),
  });
  const { data, errors } = (await response.json()) as { data: Result; errors?: unknown };
  if (errors) {
    throw new Error(JSON.stringify(errors));
  }
  return data;
}
