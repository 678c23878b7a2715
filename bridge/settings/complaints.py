"""What pyyaml says of a file that is no YAML, in words that say what to look for. Nothing of the file is repeated in it."""

from __future__ import annotations

import re

import yaml

_QUOTED = re.compile(r"""("'"|'(?:[^'\\]|\\[^']{1,9}|<[^']*>)')|'[^']*'""")
"""What pyyaml puts in quotes: a character or a kind of token, kept in group 1, or text of the file."""

_BETTER = (
    (r"found character '\\t' that cannot start any token", "there is a tab where YAML wants spaces"),
    (r"found character '([^\\])' that cannot start any token", r"text that begins with \1 must be quoted"),
    (r"but found another document", "it has a second document, and one is read"),
    (
        r"mapping values are not allowed here",
        "there is a ':' where none can be: is the line indented like those beside it, does the key above end with a ':', "
        "is a text with a ':' in quotes?",
    ),
    (
        r"expected <block end>, but found '(<block (mapping|sequence) start>|\?|-)'",
        "it is indented like none of the lines above that it could belong to",
    ),
    (r"could not find expected ':'", "it is a key without a ':'"),
)


def complaint(error: yaml.MarkedYAMLError) -> tuple[int, str]:
    """The line, 0 where pyyaml names none, and what is wrong with it."""
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    began = error.context_mark.line + 1 if error.context_mark else line
    said = error.problem or "it cannot be read"
    context = error.context or ""
    if said == "found unexpected end of stream" and "quoted scalar" in context:
        return began, "a quote is opened and never closed"
    for pattern, better in _BETTER:
        if found := re.fullmatch(pattern, said):
            # A key is only missed when the next line is there; it stands where the search for its ':' began.
            return (began if "':'" in said else line), found.expand(better)
    why = _QUOTED.sub(lambda quoted: quoted[1] or "…", said)
    if context.startswith("while parsing a flow") and began < line:
        why += f"; the bracket was opened in line {began}"
    return line, why
