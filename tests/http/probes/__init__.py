"""Probes: requests that are unusual or wrong in one way each, as bytes, and the responses that they must get.

requests    how requests and probes are built
heads       methods, paths, query strings, headers
bodies      JSON, media types, forms
documents   documents, and the values in them
"""

from tests.http.probes.bodies import CONTENT_TYPE_PROBES, JSON_PROBES, MULTIPART_PROBES
from tests.http.probes.documents import DOCUMENT_PROBES, NODE_PROBES, SCALAR_PROBES
from tests.http.probes.heads import GET_PROBES, HEADERS_PROBES, METHOD_PROBES

__all__ = ["PROBES"]

PROBES = [
    *JSON_PROBES,
    *CONTENT_TYPE_PROBES,
    *MULTIPART_PROBES,
    *METHOD_PROBES,
    *GET_PROBES,
    *HEADERS_PROBES,
    *SCALAR_PROBES,
    *NODE_PROBES,
    *DOCUMENT_PROBES,
]
