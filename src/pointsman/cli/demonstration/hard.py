"""The hard few: prompts for which people reach for the largest model. Written for the demo."""

from __future__ import annotations

from typing import Final

PROOFS: Final = (
    "Prove that the square root of 3 is irrational.",
    "Prove by induction that the sum of the first n odd numbers is n^2, then give a second proof without induction.",
    "Prove that there are infinitely many primes of the form 4k + 3.",
    "Show that every bounded monotone sequence of real numbers converges. State clearly where completeness is used in the proof.",
    r"Let $f: [a, b] \to \mathbb{R}$ be continuous and injective. Prove that $f$ is strictly monotone.",
    "Prove that in any group of six people there are three who all know each other or three who are all strangers; then show that "
    "five people are not enough.",
    r"Prove that $\sum_{k=1}^{n} \binom{n}{k} k = n 2^{n-1}$ in two ways, once by a counting argument and once by differentiation.",
    "Prove that a tree with n vertices has n - 1 edges, and deduce that every connected graph has a spanning tree.",
    r"Evaluate the integral $\int_0^{\infty} \frac{\sin x}{x}\,dx$ and justify every exchange of limits in your derivation.",
)

CODE: Final = (
    "Implement a thread-safe LRU cache with per-entry expiry in Python without external libraries; get and put must be O(1) amortised. "
    "Explain the locking, prove the bound, and write unit tests for eviction, expiry and concurrent access.",
    "Design and implement an algorithm that finds the k shortest loopless paths in a weighted directed graph. Give the complexity, "
    "a proof sketch of correctness and Python code with type hints.",
    "This function sometimes deadlocks in production. Find all causes, explain the interleavings step by step and rewrite it:\n"
    "```python\ndef transfer(a, b, amount):\n    with a.lock:\n        with b.lock:\n            if a.balance < amount:\n"
    "                raise ValueError('insufficient')\n            a.balance -= amount\n            b.balance += amount\n"
    "            audit.put((a.id, b.id, amount))  # bounded queue, maxsize=100\n```\nThe audit worker takes `a.lock` to read names.",
    "Write a recursive descent parser in Rust for arithmetic expressions with variables, function calls and right-associative "
    "exponentiation. Report errors with positions, prove that it terminates, and avoid left recursion.",
    "Optimise this query for 400 million rows, and explain the plan before and after:\n```sql\nSELECT c.country, count(DISTINCT o.customer_id)\n"
    "FROM orders o JOIN customers c ON c.id = o.customer_id\nWHERE date_trunc('month', o.created_at) = '2025-03-01'\n"
    "AND o.status NOT IN (SELECT status FROM hidden_statuses)\nGROUP BY c.country;\n```",
    "Implement Raft leader election in Go: terms, randomised timeouts, vote persistence. List the invariants and show for each which "
    "line keeps it. Then describe how you would test partitions deterministically.",
    "Derive the dynamic programming recurrence for optimal binary search trees, prove Knuth's monotonicity lemma and implement the "
    "O(n^2) algorithm in C++ with an example.",
    "Write a lock-free single-producer single-consumer ring buffer in C11. Justify each memory order with the happens-before edges it "
    "creates and prove that no element is lost or read twice.",
    "Refactor this class into testable parts with dependency injection; keep behaviour, name every seam, and give the full code and tests:\n"
    "```python\nclass Report:\n    def run(self):\n        rows = psycopg2.connect(os.environ['DB']).cursor().execute(SQL).fetchall()\n"
    "        total = sum(r[2] for r in rows if r[3] != 'void')\n        smtp = smtplib.SMTP('mail'); smtp.sendmail(FROM, TO, f'{total}')\n"
    "        open('/var/log/report', 'a').write(str(datetime.now()) + str(total))\n```",
    "Implement an incremental garbage collector (tri-colour, write barrier) for a toy interpreter in Python, prove that no reachable "
    "object is freed, and analyse the worst-case pause.",
)

ANALYSES: Final = (
    "Design a multi-region payment ledger that stays correct when one region is unreachable for an hour. Analyze the trade-offs between "
    "consistency, latency and cost step by step, derive the failure modes and recommend one design with a migration plan.",
    "A drug trial with 1,240 patients reports a hazard ratio of 0.81 (95 % CI 0.66 to 1.00), p = 0.049, after two interim looks. Analyze in "
    "detail what can be concluded, which corrections are needed, and derive the adjusted significance threshold.",
    "Analyze the legal and technical risks of training a model on customers' support mails under the GDPR: lawful basis, purpose limitation, "
    "erasure, transfers. Give a comprehensive assessment with mitigations, and mark what needs a lawyer.",
    "Three pumps fill a tank: A alone in 6 hours, B alone in 9, and C empties it in 12. A starts, B joins after one hour, C opens by mistake "
    "forty minutes later and is shut when the tank is three quarters full. Derive, step by step, when the tank is full.",
    "Derive the Black-Scholes equation from a self-financing hedging argument, state each assumption, and analyze which of them fail on a "
    "market that closes at night; compare two remedies quantitatively.",
    "Write a comprehensive competition analysis framework for a hospital network that considers merging: theories of harm, market definition, "
    "econometric evidence, remedies. Explain the identification strategy in detail and its limits.",
)

ABROAD: Final = (
    ("de", "Beweise, dass es unendlich viele Primzahlen gibt, und gib danach einen zweiten Beweis, der die Divergenz der Summe der Kehrwerte nutzt."),
    ("zh", "证明：任意一个连通图都有生成树，并分析克鲁斯卡尔算法的时间复杂度，逐步说明其正确性。"),
    ("ja", "√2 が無理数であることを証明し、次に一般の素数 p に対して √p が無理数であることを背理法で証明してください。"),
    ("es", "Demuestra el teorema del valor medio a partir del teorema de Rolle y analiza paso a paso dónde falla si la función no es derivable."),
)

DOCUMENT_TASKS: Final = (
    ("minutes", "Summarise the decisions of these minutes, with who owns each and by when; then analyze which of them contradict each other."),
    ("minutes", "From these minutes, list every figure that was reported twice with different values and explain the likely cause of each."),
    ("lease", "Review this lease for a tenant: list the unusual clauses, rank them by risk and propose a wording for the three worst."),
    ("lease", "Compare the notice periods and the penalties in this lease; are they consistent with each other? Quote the sections."),
    ("incident", "Write a blameless post-mortem from this incident log: timeline, root causes, contributing factors and five actions."),
    ("incident", "Find the first sign of trouble in this log, explain step by step how it led to the outage, and say what would have caught it."),
    ("minutes", "Translate the decisions in these minutes into German, and add a table of the open questions with an owner for each."),
)
"""(kind of document, what to do with it); the documents are in `documents`."""
