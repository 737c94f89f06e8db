"""What wording gives away: named signals, each a few patterns, all found in one pass.

Patterns are anchored on what code, proofs and tasks look like, not on lone words: "first class fare",
"import duty" and "waterproof" are ordinary English. None has a wide bounded repeat or a look-around, so the
joint automaton stays small.

The core signals also know Chinese, Japanese, Korean, Spanish, French, German, Portuguese, Italian and Russian words.
"""

from __future__ import annotations

from pointsman.classify.patterns import PatternSet

SIGNALS: dict[str, tuple[str, ...]] = {
    # --- code ---------------------------------------------------------------------------------------------
    "code": (
        r"```",
        r"(?m)^[ \t]*(?:async )?def \w+ ?\(",
        r"(?m)^[ \t]*class \w+ ?[:({]",
        r"(?m)^[ \t]*(?:from [\w.]+ import [\w*]|import [\w.]+(?: as \w+)?;?[ \t]*$)",
        r"#include ?[<\"]",
        r"\bfunction ?\w* ?\([^()]*\) ?\{",
        r"\b(?:public|private|protected) (?:static |final |class |void |int |async )",
        r"\b(?:const|let|var) \w+ ?= ?\S",
        r"=> ?\{|\)\s?\{\n|;\n\s*\}",
        r"(?i)\bselect\s+[\w*,. ()]+\s+from\s+\w+\s*(?:;|where|join|group by|order by|limit)",
        r"(?m)^[ \t]*(?:for \w+ in \S+|while \w+|if not \w+|else|try):[ \t]*$",
        r"(?m)^[ \t]*return [\w.]+(?:[(\[;]|[ \t]*[-+*/]|$)",
        r"(?m)^(?:\$|>>>) \S",
        r"\b(?:self|this|std|np|os)(?:\.|::)\w+",
    ),
    "code_error": (
        r"Traceback \(most recent call last\)",
        r"\b[A-Z]\w+(?:Error|Exception)\b",
        r"(?i)\b(?:segmentation fault|stack ?trace|core dumped|undefined reference|null pointer|memory leak)\b",
        r"(?i)\b(?:deadlock|race condition|off[- ]by[- ]one|heisenbug)\b",
    ),
    "code_word": (
        r"(?i)\b(?:python|javascript|typescript|golang|kotlin|haskell|c\+\+|c#|sql|bash|pytorch|numpy|pandas|regex"
        r"|kubernetes|terraform|docker(?:file)?|django|react(?:\.?js)?|node\.?js|html|css|verilog|cuda|asyncio)(?:\b|$|[^\w])",
        r"(?i)\bin (?:rust|java|go|scala|swift|ruby|php|matlab|r)\b",
    ),
    "code_verb": (
        r"(?i)\b(?:implement|refactor|debug|optimi[sz]e|rewrite|code|program|fix|write|create|build|make)\b",
        r"实现|编写|写一个|调试|重构|優化|优化|実装|구현|작성",
        r"(?i)\b(?:implementa|escribe|programa|écris|implémente|schreibe|implementiere|scrivi|напиши|реализуй)\b",
    ),
    "code_object": (
        r"(?i)\b(?:functions?|scripts?|unit tests?|algorithms?|source code|code|programs?|api|endpoint|regex|query"
        r"|data structures?|parser|compiler|microservices?|schema|codebase)\b",
        r"函数|算法|代码|程序|脚本|関数|コード|함수|코드",
        r"(?i)\b(?:función|algoritmo|código|fonction|algorithme|funktion|algorithmus|funzione|функци[юя]|алгоритм)",
    ),
    "algorithm": (
        r"(?i)\b(?:time complexity|space complexity|dynamic programming|binary search|depth[- ]first|breadth[- ]first"
        r"|recursi(?:ve|on)|concurren(?:t|cy)|thread[- ]?safe|lock[- ]free|mutex|distributed|consensus|idempotent"
        r"|backpressure|sharding|big[- ]o|np[- ]hard|shortest path|linked list|hash ?map)\b",
        r"\bO\([^)]{1,12}\)",
        r"复杂度|并发|分布式|动态规划",
    ),
    # --- maths --------------------------------------------------------------------------------------------
    "latex": (
        r"\$\$", r"\\\[|\\\(", r"\\begin\{", r"\\(?:frac|int|sum|sqrt|prod|lim|infty|mathbb|alpha|theta|lambda|cdot)\b",
        r"[∫∑∏√∂∇∈∀∃≤≥≠∞]",
    ),
    "maths": (
        r"(?i)\b(?:(?:integrals?|derivatives?) (?:of|from|over)|definite integral|partial derivatives?|eigenvalues?|eigenvectors?|theorem|lemma|corollary|polynomials?|matrices|matrix (?:multiplication|product|inverse|equation)|determinant of"
        r"|differential equations?|quadratic|logarithms?|modulo|prime numbers?|irrational|homomorphism|isomorphi\w+"
        r"|converge[sd]?|convergence|topolog\w+|bijecti\w+|injecti(?:ve|on)|cardinality|combinatori\w+|vector space"
        r"|probability (?:that|of|density|distribution)|standard deviation|expected value|trigonometr\w+|hypotenuse)\b",
        r"(?i)\b(?:solve (?:for|the equation)|(?:integrate|differentiate) (?:the function|with respect|f|x|y|sin|cos)|factori[sz]e the) ",
        r"积分|导数|定理|矩阵|方程|概率|行列|微分|방정식|적분",
        r"(?i)\b(?:derivada|teorema|matriz|ecuación|dérivée|théorème|matrice|équation|ableitung|gleichung|интеграл|теорема)\b",
    ),
    "proof": (
        r"(?i)\b(?:prove|proving|disprove) (?:rigorously |formally |mathematically )?(?:that|the|it|whether|by|using|if|there)\b",
        r"(?i)\b(?:show|deduce|demonstrate) (?:rigorously |formally |mathematically )?that\b",
        r"(?i)\b(?:formal|mathematical|rigorous|inductive|direct|elementary|constructive)(?:ly)? pro(?:of|ve)\b",
        r"(?i)\bproofs? (?:that|by (?:induction|contradiction)|sketch|for the (?:theorem|lemma|claim))\b",
        r"证明|証明|증명",
        r"(?i)\b(?:demuestra|demostrar|démontre[rz]?|prouve[rz]?|beweise|beweis|dimostra|prove que|докажи\w*|доказа\w+)",
    ),
    "proof_daily": (  # what people prove to an office, not to a mathematician
        r"(?i)\b(?:prove|show|demonstrate) (?:that |whether |if |to )*(?:i|we|my|our|you|your|he|she|they|the (?:charge|payment|purchase|seller))\b",
        r"(?i)\bproof of (?:address|purchase|payment|identity|delivery|income|residence|id|insurance|ownership|vaccination)\b",
    ),
    "equation": (
        r"\d\s?[-+*/^×÷]\s?\(?\d", r"\b[a-z]\s?=\s?-?\d", r"\b[a-z]\s?\^\s?\d|\b\d?[xyz]\s?[-+]\s?\d", r"\b[xyzabn][²³]",
    ),
    # --- several steps ------------------------------------------------------------------------------------
    "steps": (
        r"(?i)\bstep[- ]by[- ]step\b|\bstepwise\b|\bshow (?:your|all|the) (?:work|working|steps|reasoning)\b",
        r"(?im)^\s*(?:step )?[2-9][.):] \S", r"(?i)\b(?:firstly|secondly|and then|after that|finally,)",
        r"逐步|一步一步|步骤|首先|ステップ|단계",
        r"(?i)\b(?:paso a paso|étape par étape|schritt für schritt|passo (?:a|per|dopo) passo|по шагам|пошагово)",
    ),
    "analysis": (
        r"(?i)\b(?:analy[sz]e|analysis|compare and contrast|critically|critique|trade-?offs?|pros and cons|derive|justify|assess"
        r"|evaluate|synthesi[sz]e|hypothes[ie]s|implications?|root cause|strategy|architect(?:ure)?|design an?)\b",
        r"(?i)\bexplain (?:how|why|the difference)\b",
        r"分析|比较|设计|解释为什么|論じ|比較|분석",
        r"(?i)\b(?:analiza|compara|analyse[rz]?|comparez|analysiere|vergleiche|analizza|проанализируй|сравни)\b",
    ),
    "thorough": (
        r"(?i)\b(?:in (?:great )?detail|detailed|comprehensive|thorough(?:ly)?|in[- ]depth|exhaustive|rigorous(?:ly)?|production[- ]ready)\b",
        r"详细|全面|詳しく|자세히|(?i)\b(?:detallad[ao]|détaillée?|ausführlich|dettagliat[ao]|подробно)",
    ),
    "constraints": (
        r"(?i)\b(?:must (?:not |be |have )|exactly|at least|at most|no more than|without using|constraints?|such that|given that|assum(?:e|ing))\b",
        r"(?i)\b(?:exactly one|only one|different|neither|either|unless|if and only if)\b",
    ),
    "puzzle": (
        r"(?i)\b(?:puzzle|clues?|knights? and knaves|truth[- ]teller|who owns|riddle|sudoku|logically|deduction|cipher|decrypt|grid of)\b",
    ),
    "writing": (
        r"(?i)\b(?:write|draft|compose|create|generate)\b.{0,20}\b(?:essay|article|story|report|proposal|blog|speech|chapter|screenplay|poem|paper|plan|novel)",
        r"写一篇|作文|(?i)\b(?:ensayo|rédige|aufsatz|saggio|эссе)",
    ),
    "expert": (
        r"(?i)\b(?:quantum|thermodynamic\w*|enzym\w+|genom\w+|molecul\w+|protein\w*|neuro\w+|pharmac\w+|pathophysiolog\w+|jurisdiction"
        r"|statut\w+|tort|plaintiff|econometric\w*|monetary policy|amorti[sz]ation|velocity|voltage|capacitor|wavelength|equilibrium"
        r"|entropy|relativity|stoichiometr\w+|isotope|differential diagnosis|epistemolog\w+|machine learning|neural network\w*|transformer"
        r"|bayesian|gradient|encryption|cryptograph\w+)\b",
    ),
    # --- easy things --------------------------------------------------------------------------------------
    "question": (
        r"(?i)\A\W*(?:(?:hi|hello|hey|please|so|and|ok)\W+)*(?:what(?:'s|’s| is| are| was| does| time| day| kind)|who(?:'s| is| was| wrote| are)|when|where"
        r"|which|whose|is|are|was|do|does|did|can|could|will|would|should|am|have|has|may"
        r"|how (?:many|much|old|long|far|big|tall|late|often|soon|do|can|to))\b",
        r"(?i)\A\W*(?:qué|cuál|cuándo|dónde|quién|cuánt|cómo|quel|quelle|quand|où|qui|combien|est-ce|was|wer|wann|wo|wie|ist|können|cosa|quando|dove|chi|qual|onde|что|кто|когда|где|сколько|как)",
        r"(?:吗|呢|什么|多少|哪里|几点|谁|何ですか|ですか|ますか|무엇|언제|어디|나요|까요)[^\n]{0,4}\z",
    ),
    "daily": (
        r"(?i)\b(?:refund|my order|order (?:number|status)|deliver(?:y|ed)|shipping|business hours|opening hours|open(?:ing)? (?:on|until|times?)|password"
        r"|invoice|subscription|return policy|my (?:account|card|balance|booking|flight|package|phone|bank|pin|luggage|reservation|appointment|bill|payment|transfer|calendar|alarm)"
        r"|appointment|reservation|customer service|top[- ]?up|exchange rate|withdraw\w*|atm|timer|alarm|reminder|weather|traffic|restaurant|playlist|credit card)\b",
        r"营业时间|退款|订单|快递|密码|配送|営業時間|返品|환불|영업시간|(?i)\b(?:pedido|reembolso|horario|commande|remboursement|horaires|bestellung|rückerstattung|öffnungszeiten|ordine|rimborso|заказ|возврат)",
    ),
    "greeting": (
        r"(?i)\A\W*(?:hi|hello|hey|thanks|thank you|good (?:morning|evening|afternoon)|bye|goodbye|ok|okay|yes|no|你好|谢谢|hola|gracias|bonjour|merci|hallo|danke|ciao|grazie|привет|спасибо)\b",
        r"\A(?:你好|谢谢|こんにちは|ありがとう|안녕)",
    ),
    "simple_task": (
        r"(?i)\b(?:translate|summari[sz]e|extract|classify|categori[sz]e|paraphrase|proofread|rephrase|correct the grammar|fix the grammar|spelling|spell|synonyms?|capital of|convert|remind me|set (?:a|an|my)|tell me|turn (?:on|off)|play)\b",
        r"翻译|总结|翻訳|要約|번역|요약|(?i)\b(?:traduce|traduis|übersetze|traduci|переведи)",
    ),
    # --- form ---------------------------------------------------------------------------------------------
    "choices": (r"(?m)^\(?[B-D][.):] ?\S", r"(?i)\boptions?:\s"),
}
"""Signal -> patterns. `code_word`, `code_verb` and `code_object` count together (`features`)."""

_OWNERS: tuple[str, ...] = tuple(name for name, patterns in SIGNALS.items() for _ in patterns)
_SET = PatternSet([pattern for patterns in SIGNALS.values() for pattern in patterns])
_END = len(_OWNERS)


def found(data: bytes) -> frozenset[str]:
    """Names of the signals that occur in `data` (UTF-8)."""
    return frozenset(_OWNERS[index] for index in _SET.hits(data) if index < _END)
