"""What a caller learns of a fault: a refusal as it is, and of anything else an id under which it was logged."""

from strawberry.extensions import SchemaExtension


class Masking(SchemaExtension):
    """Masks what is not ours to tell."""
