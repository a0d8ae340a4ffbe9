"""What a document may cost, decided before it runs."""

from strawberry.extensions import SchemaExtension


class Limits(SchemaExtension):
    """Refuses documents that are over budget."""
