"""What a command says in one sentence to whoever started it, instead of a stack of frames."""


class Complaint(Exception):
    """The command cannot go on; its text tells why, and what to do."""
