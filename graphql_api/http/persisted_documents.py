"""Persisted documents: clients send an id from a manifest, or the hash of a document that was sent before."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache

from graphql_api.http.rejections import HTTPRejection, OperationNotExecuted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from graphql_api.settings import Settings

DOCUMENT_ID_MEMBERS = ("documentId", "id", "doc_id")
"""Names that clients give to the id; the first is the specification's."""
SHA256_PREFIX = "sha256:"
MAX_REGISTERED_BYTES = 8 << 20
"""Memory for registered documents; the least recently used are evicted."""
REGISTERED_OVERHEAD_BYTES = 416
"""Memory of each registered document besides its text: its hash, and its entry in the cache."""
MAX_REGISTERED_CHARACTERS = 100_000
APOLLO_MANIFEST_FORMAT = "apollo-persisted-query-manifest"
PERSISTED_ONLY_MESSAGE = "This server accepts persisted documents only: send `documentId`, and no `query`."


class PersistedDocuments:
    """The documents that can be requested by an id."""

    def __init__(self, manifest: Mapping[str, str], *, allow_arbitrary: bool = True, automatic: bool = False) -> None:
        """`manifest` maps ids to documents; `automatic` registers documents that are sent with their hash."""
        self.allow_arbitrary = allow_arbitrary
        self._automatic = automatic
        self._manifest = {_sha256(text): text for text in manifest.values()}
        self._manifest |= {document_id.removeprefix(SHA256_PREFIX): text for document_id, text in manifest.items()}
        self._registered: LRUCache[str, str] = LRUCache(MAX_REGISTERED_BYTES, _registered_bytes)

    @classmethod
    def from_settings(cls, settings: Settings) -> PersistedDocuments:
        """Read the settings and the manifest; raises ValueError where settings contradict each other."""
        path, allow_arbitrary = settings.persisted_documents, settings.free_documents
        if allow_arbitrary is None:
            allow_arbitrary = path is None
        if path is None and not allow_arbitrary:
            raise ValueError("FREE_DOCUMENTS=false requires PERSISTED_DOCUMENTS.")
        if settings.automatic_documents and not allow_arbitrary:
            raise ValueError("AUTOMATIC_DOCUMENTS registers the documents of any client: it requires FREE_DOCUMENTS.")
        manifest = read_manifest(path) if path else {}
        return cls(manifest, allow_arbitrary=allow_arbitrary, automatic=settings.automatic_documents)

    def resolve(self, body: Mapping[str, Any]) -> Any:
        """The document of a request's body, looked up by its id where the body has no text.

        Raises HTTPRejection, for an unknown hash with the message on which clients send the whole document.
        """
        text, document_id = body.get("query"), _document_id(body)
        if text is None:
            return self._find(document_id)
        if not self.allow_arbitrary:
            raise OperationNotExecuted(PERSISTED_ONLY_MESSAGE)
        if (
            self._automatic
            and document_id
            and isinstance(text, str)
            and "persistedQuery" in (body.get("extensions") or {})
        ):
            if _sha256(text) != document_id:
                raise HTTPRejection(400, "`sha256Hash` is not the hash of `query`.")
            if document_id not in self._registered and len(text) <= MAX_REGISTERED_CHARACTERS:
                self._registered[document_id] = text
        return text

    def _find(self, document_id: str | None) -> str:
        if document_id is None:
            raise HTTPRejection(
                400,
                "`query` must be the text of a GraphQL document." if self.allow_arbitrary else PERSISTED_ONLY_MESSAGE,
            )
        text = self._manifest.get(document_id)
        if text is None:
            text = self._registered.get(document_id)
        if text is not None:
            return text
        if self._manifest or self._automatic:
            raise OperationNotExecuted("PersistedQueryNotFound", code="PERSISTED_QUERY_NOT_FOUND")
        raise OperationNotExecuted("PersistedQueryNotSupported", code="PERSISTED_QUERY_NOT_SUPPORTED")


def read_manifest(path: Path) -> dict[str, str]:
    """Read documents by id from a manifest, or from every `.json` of a folder; raises ValueError."""
    documents: dict[str, str] = {}
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    for file in files:
        try:
            entries = dict(_manifest_entries(json.loads(file.read_text(encoding="utf-8"))))
        except OSError as error:
            raise ValueError(f"PERSISTED_DOCUMENTS: {file} cannot be read ({error.strerror}).") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"PERSISTED_DOCUMENTS: {file} is not a JSON object of ids and documents.") from error
        for document_id, text in entries.items():
            if documents.setdefault(document_id, text) != text:
                raise ValueError(f"PERSISTED_DOCUMENTS: {file} has another document for the id {document_id}.")
    if not documents:
        raise ValueError(f"PERSISTED_DOCUMENTS: {path} has no documents.")
    return documents


def _manifest_entries(manifest: Any) -> Iterator[tuple[str, str]]:
    """Ids and documents, in the format of code generators and Relay, or of Apollo."""
    pairs = manifest.items()
    if manifest.get("format") == APOLLO_MANIFEST_FORMAT:
        pairs = [(operation["id"], operation["body"]) for operation in manifest["operations"]]
    for document_id, text in pairs:
        if not isinstance(document_id, str) or not isinstance(text, str):
            raise TypeError
        yield document_id, text


def _document_id(body: Mapping[str, Any]) -> str | None:
    """The id in a body, without the prefix `sha256:`; raises HTTPRejection."""
    extension = (body.get("extensions") or {}).get("persistedQuery")
    if extension is None:
        document_id = next((body[member] for member in DOCUMENT_ID_MEMBERS if body.get(member) is not None), None)
    elif isinstance(extension, dict) and extension.get("version") in (None, 1):
        document_id = extension.get("sha256Hash")
    else:
        raise HTTPRejection(400, "`persistedQuery` must be an object of version 1 with a `sha256Hash`.")
    if not isinstance(document_id, str | None):
        raise HTTPRejection(400, "The id of a document must be a string.")
    return document_id.removeprefix(SHA256_PREFIX) if document_id else None


def _registered_bytes(text: str) -> int:
    return sys.getsizeof(text) + REGISTERED_OVERHEAD_BYTES


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
