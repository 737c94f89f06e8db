"""What the simulator says: deterministic, in the prompt's language, as long as the kind of prompt asks for.

Nobody thinks here. An answer says in its first sentence that it is simulated, then goes on in sentences of a small
bank until it has a plausible length: 20-40 tokens for a short fact, 200-400 for code and proofs.
"""

from __future__ import annotations

import hashlib
import re
from random import Random
from typing import Any, Literal

import msgspec

from pointsman.testing import openai_shapes as shapes
from pointsman.testing.fitting_json import fit

PromptKind = Literal["fact", "extraction", "chat", "code", "reasoning", "document"]

# Tokens of an answer, by kind of prompt: (least, most).
LENGTHS: dict[PromptKind, tuple[int, int]] = {
    "fact": (20, 40), "extraction": (30, 80), "chat": (60, 150), "document": (120, 220), "reasoning": (200, 400), "code": (200, 400),
}

_CODE = re.compile(r"```|\b(def|class|function|python|javascript|rust|sql|regex|bug|code|script|compile|implement)\b", re.I)
_REASON = re.compile(r"\b(prove|proof|derive|theorem|analy[sz]e|compare|step by step|explain (how|why)|design|trade-?offs?)\b"
                     r"|beweis|démontre|demuestra|докажи|证明|証明", re.I)
_EXTRACT = re.compile(r"\b(extract|classify|translate|list the|label|convert|reformat|sentiment)\b", re.I)
_FACT = re.compile(r"^(what|who|when|where|which|how (many|much|old)|is|are|does)\b", re.I)
_WORD = re.compile(r"[^\W\d_]{3,}")

_NO_SUBJECT = frozenset((
    "what", "when", "where", "which", "does", "have", "this", "that", "with", "from", "step", "please", "could", "would",
    "write", "explain", "about",
))

# Language: (pattern that gives it away, opening with the subject, further sentences).
_BANK: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "zh": (r"[一-鿿]", "这是关于“{}”的模拟回答。", ("首先要弄清问题的前提。", "其次，每一步都应当有依据。", "最后，把结果和已知情况进行比较。")),
    "ja": (r"[ぁ-ヿ]", "これは「{}」についての模擬回答です。", ("まず前提を確認します。", "次に、それぞれの手順に理由を付けます。", "最後に結果を見直します。")),
    "ko": (r"[가-힣]", "이것은 “{}”에 대한 모의 답변입니다. ", ("먼저 전제를 확인합니다. ", "다음으로 각 단계의 근거를 적습니다. ", "끝으로 결과를 검토합니다. ")),
    "ru": (r"[а-яё]", "Это смоделированный ответ на тему «{}». ", ("Сначала уточним условия. ", "Затем обоснуем каждый шаг. ", "В конце проверим результат. ")),
    "ar": (r"[ء-ي]", "هذه إجابة محاكاة حول «{}». ", ("أولاً نحدد المعطيات. ", "ثم نعلل كل خطوة. ", "وأخيراً نراجع النتيجة. ")),
    "hi": (r"[ऄ-ह]", "यह “{}” के बारे में एक कृत्रिम उत्तर है। ", ("पहले शर्तें देखते हैं। ", "फिर हर कदम का कारण बताते हैं। ", "अंत में परिणाम जाँचते हैं। ")),
    "el": (r"[α-ω]", "Αυτή είναι μια προσομοιωμένη απάντηση για «{}». ", ("Πρώτα ελέγχουμε τις υποθέσεις. ", "Έπειτα αιτιολογούμε κάθε βήμα. ")),
    "de": (r"(?i)[äöüß]|\b(der|die|das|und|ist|nicht|wie|eine?n?|bitte)\b", "Dies ist eine simulierte Antwort zu „{}“. ",
           ("Zuerst klären wir die Voraussetzungen. ", "Dann begründen wir jeden Schritt. ", "Zum Schluss prüfen wir das Ergebnis. ")),
    "fr": (r"(?i)[çœèêù]|\b(le|les|une|est|pour|dans|quel|quelle|vous)\b", "Ceci est une réponse simulée sur « {} ». ",
           ("D'abord, précisons les hypothèses. ", "Ensuite, justifions chaque étape. ", "Enfin, vérifions le résultat. ")),
    "es": (r"(?i)[ñ¿¡]|\b(el|los|las|una|para|cuál|qué|cómo|por)\b", "Esta es una respuesta simulada sobre «{}». ",
           ("Primero aclaramos los supuestos. ", "Después justificamos cada paso. ", "Al final comprobamos el resultado. ")),
    "en": (r"", "This is a simulated answer about {}. ",
           ("The first thing to settle is what is given and what is asked. ", "Each step follows from the one before it. ",
            "It helps to check the result against a small example. ", "A common mistake is to skip the edge cases. ",
            "In practice the simplest option is usually enough. ", "The remaining details depend on the context. ")),
}

_CODE_BLOCK = '''```python
def solve(items):
    """Simulated code about {}."""
    result = []
    for index, item in enumerate(items):
        if item is None:
            continue
        result.append((index, item))
    return result
```

'''


class Plan(msgspec.Struct, frozen=True):
    """One choice, planned to its last token before the first one is said."""

    tokens: list[str]
    """Content, or the arguments of `tool`."""
    finish: str
    """`stop`, `length` or `tool_calls`."""
    stop_reason: str | None = None
    """The stop string that ended it."""
    tool: str | None = None
    """Name of the tool that is called."""

    @property
    def text(self) -> str:
        return "".join(self.tokens)


def plan(asked: shapes.Asked, max_tokens: int, prompt: str, choice: int = 0) -> Plan:
    """The answer to a request: the same for the same body, another one for each `choice`."""
    rng = Random(hashlib.blake2b(f"{asked.model}\0{prompt}\0{choice}".encode("utf-8", "replace"), digest_size=8).digest())
    words = _WORD.findall(_user_text(asked, prompt)[-2000:])
    if tool := _tool_wanted(asked, words):
        arguments = fit(tool.get("parameters"), words or ["value"]) or {}
        return _cut(shapes.encode(arguments).decode(), max_tokens, asked, "tool_calls", str(tool.get("name", "")))
    text = _content(asked, prompt, words, rng)
    if asked.body.get("ignore_eos") is True:
        # A load generator wants exactly `max_tokens`; six bytes a token is more than any script here takes.
        text *= 1 + max_tokens * 6 // max(len(text.encode()), 1)
    return _cut(text, max_tokens, asked)


def continued(asked: shapes.Asked, max_tokens: int, prompt: str, choice: int = 0) -> Plan:
    """The rest of an answer of which the last message is the beginning (`continue_final_message`): the same text as if one had said it all."""
    messages = asked.body.get("messages", [])
    told = asked.texts[-1]
    before = msgspec.structs.replace(asked, body=asked.body | {"messages": messages[:-1]}, texts=asked.texts[:-1])
    first = "\n".join(asked.texts[:-1])
    whole = plan(before, max_tokens + shapes.count_tokens(told), first, choice)
    if not whole.text.startswith(told):
        return plan(asked, max_tokens, prompt, choice)
    tokens = shapes.tokens_of(whole.text[len(told):])
    return Plan(tokens[:max_tokens], "length") if len(tokens) > max_tokens else Plan(tokens or [""], whole.finish, whole.stop_reason)


def kind_of(prompt: str) -> PromptKind:
    """What sort of answer a prompt asks for; a coarse look, of the simulator's own."""
    if _CODE.search(prompt):
        return "code"
    if _REASON.search(prompt):
        return "reasoning"
    if len(prompt) > 3000:
        return "document"
    if _EXTRACT.search(prompt):
        return "extraction"
    return "fact" if len(prompt) < 160 and _FACT.search(prompt.strip()) else "chat"


def language_of(prompt: str) -> str:
    """Key of the sentence bank; Japanese before Chinese, since it uses both scripts."""
    for language in ("ja", "ko", "zh", "ru", "ar", "hi", "el"):
        if re.search(_BANK[language][0], prompt):
            return language
    for language in ("de", "fr", "es"):
        # Two give-aways: one "die" is English as well.
        if len(re.findall(_BANK[language][0], prompt[:500])) >= 2:
            return language
    return "en"


def _content(asked: shapes.Asked, prompt: str, words: list[str], rng: Random) -> str:
    text = _user_text(asked, prompt)
    if choices := _enum_wanted(asked):
        return choices[{"fact": 0, "extraction": 0, "chat": 1, "document": 1}.get(kind_of(text), 2) % len(choices)]
    if asked.json_wanted:
        return _json(asked, words)
    kind = kind_of(text)
    least, most = LENGTHS[kind]
    _, opening, sentences = _BANK[language_of(text)]
    subject = " ".join([w for w in words if len(w) > 3 and w.lower() not in _NO_SUBJECT][:4]) or text.strip()[:16] or "nothing"
    said = opening.format(subject[:60])
    if kind == "code":
        said += _CODE_BLOCK.format(subject[:60])
    wanted_bytes = rng.randint(least, most) * shapes.BYTES_PER_TOKEN
    start = rng.randrange(len(sentences))
    for i in range(most):
        if len(said.encode()) + len(sentences[0].encode()) > wanted_bytes and i:
            break
        said += sentences[(start + i) % len(sentences)]
    return said.rstrip()


def _json(asked: shapes.Asked, words: list[str]) -> str:
    wanted = asked.body["response_format"].get("json_schema")
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    value = fit(schema, words or ["value"]) if schema else {"answer": "simulated", "about": words[:4]}
    return shapes.encode(value).decode()


def _enum_wanted(asked: shapes.Asked) -> list[str]:
    """The alternatives of vLLM's `structured_outputs: {choice: […]}`."""
    wanted = asked.body.get("structured_outputs")
    choices = wanted.get("choice") if isinstance(wanted, dict) else None
    return [str(c) for c in choices] if isinstance(choices, list) else []


def _user_text(asked: shapes.Asked, prompt: str) -> str:
    if asked.kind != "chat":
        return prompt
    messages = asked.body.get("messages", [])
    users = [m for m in messages if isinstance(m, dict) and m.get("role") == "user"]
    return shapes.text_of(users[-1].get("content")) if users else prompt


def _tool_wanted(asked: shapes.Asked, words: list[str]) -> dict[str, Any] | None:
    """The function to call: the named one, any when required, on `auto` one that shares a word with the prompt."""
    offered = asked.body.get("tools")
    tools: list[dict[str, Any]] = [
        t["function"] for t in (offered if isinstance(offered, list) else [])
        if isinstance(t, dict) and isinstance(t.get("function"), dict)]
    choice = asked.body.get("tool_choice", "auto")
    if not tools or choice == "none" or asked.kind != "chat":
        return None
    if isinstance(choice, dict):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        return next((t for t in tools if t.get("name") == name), None)
    if choice == "required":
        return tools[0]
    last = asked.body["messages"][-1] if asked.body.get("messages") else {}
    if isinstance(last, dict) and last.get("role") == "tool":
        return None
    said = {w.lower() for w in words if len(w) > 3}
    return next((t for t in tools if said & _vocabulary(t)), None)


def _vocabulary(tool: dict[str, Any]) -> set[str]:
    """Words that suggest a tool: those of its name, and the longer ones of its description."""
    name = _WORD.findall(str(tool.get("name", "")).lower().replace("_", " "))
    return {*name, *(w for w in _WORD.findall(str(tool.get("description", "")).lower()) if len(w) > 4)}


def _cut(text: str, max_tokens: int, asked: shapes.Asked, finish: str = "stop", tool: str | None = None) -> Plan:
    """Ends the text at the first stop string and at `max_tokens`."""
    stops = asked.body.get("stop")
    wanted = [stops] if isinstance(stops, str) else [s for s in stops if isinstance(s, str)] if isinstance(stops, list) else []
    found = [(i, s) for s in wanted if s and tool is None and (i := text.find(s)) >= 0]
    stop = min(found) if found else None
    tokens = shapes.tokens_of(text[:stop[0]] if stop else text)
    if len(tokens) > max_tokens:
        return Plan(tokens[:max_tokens], "length", None, tool)
    # Even an empty answer took one token to say.
    return Plan(tokens or [""], finish, stop[1] if stop else None, tool)
