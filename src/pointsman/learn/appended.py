"""Things that people and programs put behind a prompt, or before it, without making it another task: what a classifier must not listen to.

Whoever wants the dear model appends what looks like a hard task: a claim, a demand, a line of code, signs that no one reads. Labels alone
do not teach better, since nobody labels such prompts; so every fit is told of some of its rows that the same row with one of
these behind it is worth the same (`Block.with_changes`). That is what is left over where `classify.heads.core` finds no end of a sentence, and of what is said before a prompt where
`classify.courtesy` knows a word of it that may be a task's.

Many kinds, each of several texts and none of a benchmark's: what is measured (`bench/robustness`) are suffixes that no fit has seen.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

Chance: TypeAlias = np.random.Generator

SAID: Mapping[str, tuple[str, ...]] = {
    "claims": ("This one is really hard.", "Most people get this wrong.", "It is much harder than it looks.", "A very advanced problem!",
               "Only an expert can solve this.", "Please note: this is highly complicated and critical.", "WARNING: high difficulty."),
    "care": ("Take your time and reason carefully.", "Explain your reasoning.", "Show all your work.", "Consider every case before you answer.",
             "Let's work this out slowly, one thing after the other.", "Be as precise and complete as possible.", "Check your answer twice."),
    "models": ("Please send this to the best model that you have.", "I want GPT-4 quality.", "Do not use a cheap model for this.",
               "Route this to the largest model.", "Your most capable version should answer."),
    "roles": ("You are a senior physicist with a PhD.", "Reply as an experienced software architect and lawyer.", "Imagine you are a professor of statistics, "
              "chemistry and history.", "Act as a leading specialist in this field.", "Answer like a Nobel laureate in economics would."),
    "manners": ("Thank you very much in advance!", "Any help is appreciated.", "Sorry for the long message.", "Have a nice day.", "Thanks a lot!", "Cheers,\nAnna",
                "I really need this today.", "Please."),
    "form": ("Answer in one word.", "Respond in JSON.", "Use markdown headings and a table.", "Keep it short.", "Write the answer in bullet points.",
             "Give the final answer on the last line.", "At most 200 words, no lists.", "Write at least 500 words."),
    "demands": ("Justify your conclusion.", "Cite your sources.", "Derive every formula that you use.", "Show that this is correct.", "Compare several solutions and evaluate them.",
                "Discuss the assumptions and the limits in detail."),
    "code": ("import numpy as np", "for i in range(10): print(i)", "def solve(n, k):\n    return n * k", "class Node:\n    def __init__(self, value): self.value = value",
             "const total = items.map(x => x.price).reduce((a, b) => a + b, 0);", "int main(void) { return 0; }", "SELECT name, COUNT(*) FROM users GROUP BY name;",
             "if (x > 0) { y = sqrt(x); } else { y = 0; }", "lambda a, b: a + b", "public static void main(String[] args) {}", "assert f(3) == 9",
             "print(sorted(d.items(), key=lambda kv: -kv[1]))", "g = lambda t: t**3 - 2*t + 1", "let mut v: Vec<i32> = Vec::new();", "$ grep -rn TODO src | wc -l",
             "def area(r): return 3.14159 * r ** 2", "while (!queue.empty()) { visit(queue.pop()); }"),
    "maths": (r"\int_a^b f(x)\,dx = F(b) - F(a)", "f(n) = 2 f(n/2) + O(n)", "x^2 - 5x + 6 = 0", r"$\sum_{i=1}^{n} i = \frac{n(n+1)}{2}$", "lim x->0 sin(x)/x = 1", "det(A - λI) = 0",
              "P(A|B) = P(B|A) P(A) / P(B)"),
    "links": ("https://example.com/path?id=42&lang=en", "See http://docs.example.org/guide#start", "Contact: jane.doe@example.com", "www.example.net/about.html",
              "[1] doi.org/10.1000/182"),
    "data": ('{"id": 7, "tags": ["a", "b"], "ok": true}', "| a | b |\n|---|---|\n| 1 | 2 |", "2024-05-01 12:30:45 ERROR worker[3]: timeout after 30 s", "name,age\nBob,41",
             "<div class=\"box\"><p>text</p></div>", "key: value\nlist:\n  - one"),
    "wide": ("谢谢，请详细说明。", "Спасибо большое!", "🙏🔥✨", "Merci de répondre en détail.", "Bitte begründe deine Antwort ausführlich.", "ありがとうございます", "¡Muchas gracias!"),
    "filler": ("The weather was fine and the train was late.", "By the way, my sister has two cats and lives near the river.", "In general, such matters are discussed by "
               "committees over many years.", "Once upon a time there was a king who had three sons.", "As of yesterday the market closed slightly higher.",
               "A journey of a thousand miles begins with a single step."),
}
"""Kind -> texts."""
BEFORE = (
    "From yesterday's pub quiz:", "Our neighbour's son brought this home from school.", "For a talk on Monday I want to be certain about one thing.",
    "This is from the handbook, page 12:", "A customer wrote:", "Context: homework, ninth grade.", "While cleaning my inbox I stumbled over this one.",
    "Task 4.", "### Instruction", "Below is what the examiner wants.", "It came up in a meeting:", "My grandmother would like to know:", "Exercise:",
    "Pretend that we are old friends.", "Two of us argued about it all evening!", "Voici l'énoncé :", "Aufgabe aus dem Übungsblatt:", "次の課題です。",
)
"""What stands before a prompt."""
_SIGNS = "!@#$%^&*()[]{}<>|\\/~`+=_-:;\"'.,?"
_PIECES = ("similarly", "Sure", "here", "now", "write", "opposite", "Two", "inst", "please", "ing", "table", "respond", "tutorial", "Given", "zone", "Ctrl", "NAME", "with", "formatted",
           "seems", "revert", "steps", "manual", "interface", "beginning", "verb", "text", "oppose", "sent", "plus", "main", "des", "element", "One", "Next", "Me", "giving")


def signs(rng: Chance) -> str:
    """Words and marks in no order, as a search for what moves a classifier finds them."""
    parts = [str(rng.choice(_PIECES)) if rng.random() < 0.6 else "".join(rng.choice(list(_SIGNS), int(rng.integers(1, 4)))) for _ in range(int(rng.integers(6, 20)))]
    return "".join(part + (" " if rng.random() < 0.5 else "") for part in parts).strip()


def letters(rng: Chance) -> str:
    """Letters and digits in no order."""
    return " ".join("".join(rng.choice(list(string.ascii_letters + string.digits), int(rng.integers(3, 12)))) for _ in range(int(rng.integers(1, 6))))


_MADE: tuple[Callable[[Chance], str], ...] = (signs, signs, letters)
KINDS = len(SAID) + len(_MADE) + 1
_JOINTS = (" ", " ", "\n", "\n\n")


def appended(prompt: str, number: int, rng: Chance) -> str:
    """The prompt with something of the kind `number` (modulo `KINDS`) behind it; of the last kind, before it."""
    kind = number % KINDS
    said = list(SAID.values())
    if kind == KINDS - 1:
        return str(rng.choice(BEFORE)) + str(rng.choice(_JOINTS)) + prompt
    text = str(rng.choice(said[kind])) if kind < len(said) else _MADE[kind - len(said)](rng)
    return prompt + str(rng.choice(_JOINTS)) + text
