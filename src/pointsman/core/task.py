"""Kinds of work that can be told from a request before it is answered: what a verifier's word is worth differs between them.

Few on purpose: each must be common enough that an owner has labels for it, and cheap to tell. What a request asks for by its form (tools, a JSON
schema) comes before what its words are about.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

Task = Literal["tools", "json", "code", "maths", "choices", "text"]
TASKS: Final[tuple[str, ...]] = get_args(Task)
"""`tools`: tools are offered; `json`: a JSON schema is asked for; `code`; `maths`: formulas, equations, proofs; `choices`: multiple
choice; `text`: everything else."""
