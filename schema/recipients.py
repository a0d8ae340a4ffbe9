"""What a list of recipients looks like against one template."""

from schema.core import plain


@plain
class RecipientCheck:
    """What a list of recipients looks like against one template."""

    valid: bool
    """True when a job made from it would be accepted."""
