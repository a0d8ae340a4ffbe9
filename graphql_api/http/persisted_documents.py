"""Persisted documents: an operation gives an id out of a manifest, or the hash of a text that was sent before."""

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
"""What clients call the id: the first is the specification's."""
SHA256_PREFIX = "sha256:"
MAX_REGISTERED_BYTES = 8 << 20
"""Memory for documents that callers sent; the oldest make room."""
REGISTERED_OVERHEAD_BYTES = 384
"""Memory that each takes beside its text: its hash, and its entries in the cache."""
MAX_REGISTERED_CHARACTERS = 100_000
APOLLO_MANIFEST_FORMAT = "apollo-persisted-query-manifest"
PERSISTED_ONLY_MESSAGE = "This server answers persisted documents only: send `documentId`, and no `query`."


class PersistedDocuments:
    """The documents of a process that can be asked for by an id."""

    def __init__(self, manifest: Mapping[str, str], *, allow_arbitrary: bool = True, automatic: bool = False) -> None:
        """Know a manifest, of ids to texts; `free` answers any other text too, `automatic` remembers what is sent."""
        self.allow_arbitrary = allow_arbitrary
        self._automatic = automatic
        self._manifest = {_sha256(text): text for text in manifest.values()}
        self._manifest |= {name.removeprefix(SHA256_PREFIX): text for name, text in manifest.items()}
        self._registered: LRUCache[str, str] = LRUCache(MAX_REGISTERED_BYTES, getsizeof=_registered_bytes)

    @classmethod
    def from_settings(cls, settings: Settings) -> PersistedDocuments:
        """What the settings say; raises ValueError where they cannot be meant."""
        path, free = settings.persisted_documents, settings.free_documents
        free = path is None if free is None else free
        if path is None and not free:
            raise ValueError("FREE_DOCUMENTS is false: then set PERSISTED_DOCUMENTS, or nothing is answered.")
        if settings.automatic_documents and not free:
            raise ValueError("AUTOMATIC_DOCUMENTS remembers what anybody sends: it needs FREE_DOCUMENTS.")
        return cls(read_manifest(path) if path else {}, allow_arbitrary=free, automatic=settings.automatic_documents)

    def resolve(self, body: Mapping[str, Any]) -> Any:
        """The document of a request's body, looked up where only its id is given.

        Raises `Rejected`; its words for a hash are those at which clients of automatic documents send the text.
        """
        text, name = body.get("query"), _document_id(body)
        if text is None:
            return self._find(name)
        if not self.allow_arbitrary:
            raise OperationNotExecuted(PERSISTED_ONLY_MESSAGE)
        if self._automatic and name and isinstance(text, str) and "persistedQuery" in (body.get("extensions") or {}):
            if _sha256(text) != name:
                raise HTTPRejection(400, "`sha256Hash` is not the hash of `query`.")
            self._register(name, text)
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

    def _register(self, document_id: str, text: str) -> None:
        if document_id not in self._registered and len(text) <= MAX_REGISTERED_CHARACTERS:
            self._registered[document_id] = text


def _registered_bytes(text: str) -> int:
    return sys.getsizeof(text) + REGISTERED_OVERHEAD_BYTES


def read_manifest(path: Path) -> dict[str, str]:
    """The documents of a manifest, or of all `.json` of a folder, by their ids; raises ValueError for anything else."""
    found: dict[str, str] = {}
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    for file in files:
        try:
            documents = dict(_manifest_entries(json.loads(file.read_text(encoding="utf-8"))))
        except OSError as error:
            raise ValueError(f"PERSISTED_DOCUMENTS: {file} cannot be read ({error.strerror}).") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"PERSISTED_DOCUMENTS: {file} is no JSON object of ids and their documents.") from error
        for name, text in documents.items():
            if found.setdefault(name, text) != text:
                raise ValueError(f"PERSISTED_DOCUMENTS: in {file} the id {name} means another document than before.")
    if not found:
        raise ValueError(f"PERSISTED_DOCUMENTS: there is no document in {path}.")
    return found


def _manifest_entries(manifest: Any) -> Iterator[tuple[str, str]]:
    """Ids and texts, as code generators and Relay write them, or as Apollo does."""
    pairs = manifest.items()
    if manifest.get("format") == APOLLO_MANIFEST_FORMAT:
        pairs = [(one["id"], one["body"]) for one in manifest["operations"]]
    for name, text in pairs:
        if not isinstance(name, str) or not isinstance(text, str):
            raise TypeError
        yield name, text


def _document_id(body: Mapping[str, Any]) -> str | None:
    """The id that a body gives, without the prefix of a hash."""
    extension = (body.get("extensions") or {}).get("persistedQuery")
    if extension is None:
        name = next((body[member] for member in DOCUMENT_ID_MEMBERS if body.get(member) is not None), None)
    elif isinstance(extension, dict) and extension.get("version") in (None, 1):
        name = extension.get("sha256Hash")
    else:
        raise HTTPRejection(400, "`persistedQuery` must be an object of version 1 with a `sha256Hash`.")
    if not isinstance(name, str | None):
        raise HTTPRejection(400, "The id of a document must be a text.")
    return name.removeprefix(SHA256_PREFIX) if name else None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
