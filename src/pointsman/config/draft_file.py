"""A draft as the text of a configuration file: commented, with secrets as references, as a person would begin it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import msgspec

from pointsman.config.draft import Draft, Model, Offer, place_in_words
from pointsman.config.jsonschema import EDITOR_LINE, FILE_NAME

_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")


class Choices(msgspec.Struct, frozen=True):
    """What a person may decide beside the models. Defaults as in the reference."""

    quality: float = 0.8
    host: str = "127.0.0.1"
    port: int = 4000
    key: str | None = None
    """Reference to the clients' key (`${NAME}` or `file:PATH`); None = nobody is asked for one, and only loopback is served."""
    content: str = "none"
    name: str = "pointsman.yaml"
    """What the file is called, for the commands in its first lines."""

    @property
    def admin_port(self) -> int:
        """The admin listener's: the next one, so that a second router beside the first needs only its own port."""
        return self.port + 1 if 0 < self.port < 65535 else 0


def text_of(draft: Draft, choices: Choices) -> str:
    """The whole file. Loads without problems when the variables that it names are set."""
    return "\n".join(_lines(draft, choices)) + "\n"


def variables_of(draft: Draft) -> tuple[str, ...]:
    """The environment variables that the file refers to for keys of endpoints."""
    models = [*(model for _, model in draft.rungs), *draft.by_name, *draft.embeddings]
    keyed = (offer.source for model in models for offer in model.offers)
    return tuple(dict.fromkeys(source.variable for source in keyed if source.variable is not None and source.key is not None))


def _lines(draft: Draft, choices: Choices) -> Iterator[str]:
    yield EDITOR_LINE
    yield f"# (`pointsman config schema > {FILE_NAME}` writes that schema: editors then complete and check this file)"
    yield "#"
    yield "# A first configuration, from what was found. Keys are references to the environment: none stands here."
    yield f"#   pointsman check {choices.name} --live     is it sound, and does every endpoint answer?"
    yield f"#   pointsman serve --config {choices.name}   serve it; when you save a change, it is read again"
    yield ""
    yield from _sections(choices)
    yield "# The ladder, cheapest and weakest first. A tier with `model` and `endpoints` in place is a pool of the tier's name."
    yield "tiers:"
    for rung, (tier, model) in enumerate(draft.rungs):
        yield f"  # {_words(place_in_words(draft, rung))}"
        yield f"  {tier}:"
        yield from _pool(model, "    ")
        yield ""
    pools = _pools(draft)
    if pools:
        yield "# On no tier: `model` reaches them by name. To put one on the ladder, move it up or name it in a tier's `pools`."
        yield "pools:"
        for name, model, is_embedding in pools:
            if not is_embedding:
                yield f"  # {_words(model.why)}"
            yield f"  {_quoted(name)}:"
            yield from _pool(model, "    ", is_embedding=is_embedding)
        yield ""
    yield "routes:"
    yield "  auto:                      # what clients put into `model`"
    yield f"    ladder: [{', '.join(tier for tier, _ in draft.rungs)}]"
    if len(draft.rungs) == 1:
        yield "    # One rung routes nothing: add a second tier, larger or smaller, and its name here."
    yield f"    quality: {choices.quality:g}             # P(acceptable answer) that a tier must reach; raise it to pay for more"


def _sections(choices: Choices) -> Iterator[str]:
    yield "server:"
    yield f"  host: {_quoted(choices.host)}          # only this machine; to serve a network, name an address and give auth.keys"
    yield f"  port: {choices.port}"
    yield "admin:"
    yield f"  port: {choices.admin_port}               # state, records, reload; its token is generated into .pointsman/admin.token"
    yield ""
    if choices.key is not None:
        yield "auth:"
        yield "  keys:"
        yield f"    - {{name: first-client, key: {_quoted(choices.key)}}}   # clients send it as their API key"
        yield ""
    yield "records:"
    yield f"  content: {choices.content}              # whether prompts and answers are kept: none, or all"
    yield ""


def _pool(model: Model, indent: str, *, is_embedding: bool = False) -> Iterator[str]:
    yield f"{indent}model: {_quoted(model.name)}"
    known = [f"context: {model.context}"] if model.context is not None else []
    known += ["embeddings: true"] if is_embedding else []
    if known:
        yield f"{indent}capabilities: {{{', '.join(known)}}}"
    yield f"{indent}endpoints:"
    for offer in model.offers:
        yield from _endpoint(model, offer, f"{indent}  ")


def _endpoint(model: Model, offer: Offer, indent: str) -> Iterator[str]:
    source = offer.source
    yield f"{indent}- url: {_quoted(source.url)}   # {_words(source.title)}"
    if source.provider is not None:
        yield f"{indent}  provider: {source.provider}"
    if offer.engine != "openai":
        yield f"{indent}  engine: {offer.engine}"
    if offer.id != model.name:
        yield f"{indent}  model: {_quoted(offer.id)}"
    if source.key is not None:
        yield f'{indent}  api_key: "${{{source.variable}}}"'
    if offer.price is not None:
        cached = "" if offer.price.cached_input is None else f", cached_input: {_plain(offer.price.cached_input)}"
        yield (f"{indent}  usd_per_million: {{input: {_plain(offer.price.input)}, output: {_plain(offer.price.output)}{cached}}}"
               f"   # {_words(offer.price_note)}; check it")
    elif source.is_local:
        yield f"{indent}  # gpu: {{type: RTX 4090, usd_per_hour: 0.51}}   # what it costs you; without a price, savings are unknown"
    else:
        yield f"{indent}  # usd_per_million: {{input: 0, output: 0}}   # the price is not known here; without it, costs are unknown"


def _pools(draft: Draft) -> list[tuple[str, Model, bool]]:
    """Pools on no tier, each with a name of its own."""
    taken = {tier for tier, _ in draft.rungs}
    named = []
    for model, is_embedding in (*((m, False) for m in draft.by_name), *((m, True) for m in draft.embeddings)):
        base = _NO_NAME.sub("-", model.name).strip("-._")[:56] or "pool"
        name, number = base, 1
        while name in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name)
        named.append((name, model, is_embedding))
    return named


def _quoted(text: str) -> str:
    """A YAML double-quoted scalar; JSON's escapes are among YAML's. Plain where plain is safe for a reader."""
    return text if re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*[A-Za-z_/-]|\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", text) and text.lower() not in (
        "true", "false", "yes", "no", "on", "off", "null") else json.dumps(text)


def _plain(dollars: float) -> str:
    """Never in exponents, which the file's reader takes for text."""
    return f"{dollars:.9f}".rstrip("0").rstrip(".")


def _words(text: str) -> str:
    """Fit for a comment: one line of printable characters."""
    return "".join(c if c.isprintable() else "?" for c in text)
