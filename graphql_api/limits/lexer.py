"""A lexer for documents by regular expressions, where graphql-core reads character by character."""

from __future__ import annotations

import re

from graphql import DocumentNode, Lexer, Source, Token, TokenKind
from graphql.language.block_string import dedent_block_string_lines
from graphql.language.parser import Parser

# Unbounded repetitions are possessive, so that matching takes linear time.
_IGNORED = re.compile(r"(?:[ \t\n\r,\ufeff]++|#[^\n\r]*+)*+")
_NAME = re.compile(r"[A-Za-z_][0-9A-Za-z_]*+")
_UNICODE_ESCAPE = r"\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}"
_SURROGATE_PAIR_ESCAPE = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
# At most eight digits, no surrogate, nothing above 10FFFF.
_BRACED_UNICODE_ESCAPE = (
    r"\\u\{(?=[0-9a-fA-F]{1,8}\})0*+(?![dD][89a-fA-F][0-9a-fA-F]{2}\})(?:10[0-9a-fA-F]{4}|[0-9a-fA-F]{0,5})\}"
)
_STRING = re.compile(
    rf'"((?:[^"\\\n\r\ud800-\udfff]++|\\["\\/bfnrt]|{_UNICODE_ESCAPE}|{_SURROGATE_PAIR_ESCAPE}|{_BRACED_UNICODE_ESCAPE})*+)'
)
_BLOCK_STRING = re.compile(r'"""((?:[^"\\\ud800-\udfff]++|"(?!"")|\\(?!"""))*+)')
_LINE_END = re.compile(r"\r\n|\n|\r")
_ESCAPE = re.compile(r"\\(?:u\{(.+?)\}|u(.{4})|(.))")
_ESCAPED_CHARACTERS = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_PUNCTUATION = {kind.value: kind for kind in TokenKind if len(kind.value) == 1 and kind is not TokenKind.DOT}


def parse(text: str, max_tokens: int) -> DocumentNode:
    """Parse a document; raises GraphQLSyntaxError, also for one of more than `max_tokens`."""
    source = Source(text)
    return Parser(source, max_tokens=max_tokens, lexer=RegexLexer(source)).parse_document()


class RegexLexer(Lexer):
    """Reads common tokens, and leaves the rest, such as syntax errors, to graphql-core."""

    def read_next_token(self, start: int) -> Token:
        """The next token; comments are skipped."""
        body = self.source.body
        end = _IGNORED.match(body, start).end()  # type: ignore[union-attr]  # it matches the empty string too
        if end > start:
            lines = body.count("\n", start, end) + body.count("\r", start, end) - body.count("\r\n", start, end)
            if lines:
                self.line += lines
                self.line_start = max(body.rfind("\n", start, end), body.rfind("\r", start, end)) + 1
        name = _NAME.match(body, end)
        if name is not None:
            return Token(TokenKind.NAME, end, name.end(), self.line, 1 + end - self.line_start, name[0])
        kind = _PUNCTUATION.get(body[end : end + 1])
        if kind is not None:
            return Token(kind, end, end + 1, self.line, 1 + end - self.line_start)
        return super().read_next_token(end)

    def read_string(self, start: int) -> Token:
        """A string in single quotation marks (`"`)."""
        body = self.source.body
        match = _STRING.match(body, start)
        if match is None:
            return super().read_string(start)
        end, text = match.end(), match[1]
        if "\\" in text:
            text = _ESCAPE.sub(
                lambda escape: _ESCAPED_CHARACTERS[escape[3]] if escape[3] else chr(int(escape[1] or escape[2], 16)),
                text,
            )
            if not text.isascii():  # surrogate pairs become characters
                text = text.encode("utf-16", "surrogatepass").decode("utf-16")
        if body[end : end + 1] == '"':
            return self.create_token(TokenKind.STRING, start, end + 1, text)
        rest = super().read_string(end - 1)  # reports the error, or reads a rare form
        return self.create_token(TokenKind.STRING, start, rest.end, text + (rest.value or ""))

    def read_block_string(self, start: int) -> Token:
        """A block string."""
        body = self.source.body
        match = _BLOCK_STRING.match(body, start)
        end = match.end() if match else start
        if match is None or body.startswith('\\"""', end):
            return super().read_block_string(start)
        if not body.startswith('"""', end):
            return super().read_block_string(end - 3)  # reports the error
        lines = _LINE_END.split(match[1])
        text = "\n".join(dedent_block_string_lines(lines))
        token = self.create_token(TokenKind.BLOCK_STRING, start, end + 3, text)
        self.line += len(lines) - 1
        if len(lines) > 1:
            self.line_start = end - len(lines[-1])
        return token
