"""What wording gives away: named signals, each a few patterns, found in two passes: what a text is made of, and what is asked.

Patterns are anchored on what code, proofs and tasks look like, not on lone words: a discount code, import duty, a
function room, a tax deduction and a waterproof jacket are everyday matters. Where one wording serves both, a second
signal names the everyday use (`code_daily`, `proof_daily`), and `features` lets it cancel the weak evidence.
No look-around and no wide bounded repeat, so the automata stay small. RE2's `\\b` knows ASCII letters only: words that
begin or end with another letter stand outside it.

The core signals also know Chinese, Japanese, Korean, Spanish, French, German, Portuguese, Italian and Russian words.
"""

from __future__ import annotations

from pointsman.classify.kernel.build import found as kernel_found
from pointsman.classify.patterns import PatternSet

_TASK = r"(?:[^ \n]+ ){0,2}"
"""Up to two words between a verb and what it is about: "write a small Python function"."""

_LEAD = r"(?:\A\s*|[.!?:;,] |\n|。|\d[.)] )(?:(?:please|then|can you|could you|would you) )?"
"""Where a sentence starts, a courtesy included."""

_OPENING = r"\A\W*(?:(?:please|pls|can you|could you|would you|i need you to|hi|hello|hey|ok)\W+)*"
"""Where the text starts, courtesies included."""

SIGNALS: dict[str, tuple[str, ...]] = {
    # --- code ---------------------------------------------------------------------------------------------
    "code": (
        r"```",
        r"(?m)^[ \t]*(?:async )?def \w+ ?\(",
        r"(?m)^[ \t]*class [A-Z]\w+[:({]",
        r"(?m)^[ \t]*from [a-z_][\w.]* import [\w*(]",
        r"(?m)^[ \t]*import (?:\w+\.[\w.]+|\w+ as \w+|(?:os|sys|re|json|math|time|random|numpy|pandas|torch|asyncio|logging|typing)\b)",
        r"#include ?[<\"]",
        r"\bfunction \w+\(|\bfunction ?\(",
        r"\b(?:public|private|protected) (?:static |void |int |async |override |class [A-Z])",
        r"\b(?:const|let|var) \w\w+ ?= ?\S",
        r"=> ?\{|\)\s?\{\n|;\n\s*\}",
        r"(?i)\bselect\s+(?:\* from|distinct \w+ from|count\()|\b(?:create table|insert into|alter table) \w+ ?\(",
        r"\bFROM\s+[a-z]\w*\s+(?:WHERE|JOIN|GROUP|ORDER|LIMIT|[a-z]{1,2}\b)|\bSELECT \*",
        r"(?m)^[ \t]*(?:for \w+ in \S+|while \w+|if not \w+|else|try):[ \t]*$",
        r"(?m)^[ \t]+return [\w.]+(?:[(\[;]|[ \t]*[-+*/]|$)",
        r"(?m)^(?:\$ [a-z]|>>> \S)",
        r"\bself\.[a-z_]+|\bthis\.\w+ ?[=(;]|\bstd::\w|\b(?:np|os)\.[a-z]+[(.]",
    ),
    "code_error": (
        r"Traceback \(most recent call last\)",
        r"\b[A-Z]\w+(?:Error|Exception)\b",
        r"(?m)^\s+at [\w$.<>]+\([\w.]+:\d+\)",
        r"(?i)\b(?:segmentation fault|segfault|stack ?trace|core dumped|undefined reference|null pointer|memory leak|kernel panic)\b",
        r"(?i)\b(?:race condition|off[- ]by[- ]one|heisenbug|(?:this|the code|it|threads?|queries|transactions?|goroutines?) deadlocks?)\b",
    ),
    "code_lang": (
        r"(?i)\b(?:javascript|typescript|golang|kotlin|haskell|sql|postgres(?:ql)?|mysql|sqlite|pytorch|numpy|regex(?:es|p)?|kubernetes"
        r"|terraform|dockerfile|graphql|node\.?js|html|css|verilog|asyncio|php|matlab|jquery|tensorflow|fastapi|react\.?js|leetcode"
        r"|spring boot|ruby on rails|regular expressions?)\b",
        r"\b[Cc](?:\+\+|#)",
        r"(?i)\b(?:python|java|bash|perl|pandas|docker|django|flask|react)[ -](?:code|functions?|scripts?|class(?:es)?|programs?|programming"
        r"|decorators?|modules?|packages?|librar(?:y|ies)|lists?|dict(?:ionary)?|dataframes?|components?|hooks?|apps?|api|developers?"
        r"|backend|generators?|methods?|tests?|compose|images?|containers?|[23]|funktion|skript|programm|streams?)\b",
        r"(?i)\b(?:rust|go|ruby|scala|swift|r|lua|julia|dart|vue|angular) (?:functions?|scripts?|programs?|structs?|compiler|snippet|syntax|crate"
        r"|goroutines?|channels?|iterators?|closures?|components?|dataframes?)\b",
        r"(?i)\b(?:in|en|em|using|mit) (?:python|bash|pandas)\b|(?:python|java) ?[\x{3040}-\x{d7af}]|[\x{3040}-\x{d7af}] ?python|на (?:python|bash|java)\b",
        r"\bgit (?:commit|rebase|merge|push|pull|log|branch|stash|clone|checkout|reset)",
    ),
    "code_in": (r"(?i)\bin (?:rust|java|go|scala|swift|ruby|r|perl|react|django)(?:[.,;:?!\n]|$| (?:that|which|to|with|using|and|for|without))",),
    "code_verb": (
        r"(?i)\b(?:implement|refactor|debug|optimi[sz]e|rewrite|code|program|fix|write|create|build|make|convert|review|parse)\b",
        r"实现|编写|写|调试|重构|優化|优化|実装|作成|書|구현|작성",
        r"(?i)\b(?:implementa|escribe|programa|crea|implémente|schreibe?n?|implementiere|scrivi)\b|écris|напиши|реализуй",
    ),
    "code_phrase": (
        rf"(?i)\b(?:implement|refactor|debug|optimi[sz]e|rewrite|write|create|build|make|develop|code|give me|generate|fix) (?:me )?(?:an? |the |this |my )?{_TASK}"
        r"(?:functions?|scripts?|programs?|code|api|endpoints?|quer(?:y|ies)|microservices?|schema)\b",
        rf"(?i)\b(?:implement|refactor|debug|optimi[sz]e) {_TASK}(?:class(?:es)?|methods?|modules?|loop|queue|cache|stack|tree|graph|heap|parser|server|client|service)\b",
        r"(?i)\b(?:function|method|program|script) (?:that|which) (?:returns?|takes?|prints?|reads?|checks?|computes?|calculates?|sorts?|parses?|finds?|counts?|converts?|reverses?|merges?|downloads?|renames?|sends?)\b",
        rf"(?i)\b(?:write|build|create|implement|develop|code|design) {_TASK}(?:web app(?:lication)?|web ?scraper|crawler|(?:discord|telegram|slack) bot|compiler|parser|interpreter|cli tool|browser extension|lru cache|rate limiter|unit tests?|algorithm)\b",
        r"(?:写|编写|实现|设计|生成|优化|调试|解释)(?:一个|一段|这段|这个|下面的|个)?(?:函数|算法|代码|脚本|程序|接口)|(?:関数|コード|スクリプト|プログラム|アルゴリズム)を(?:書|実装|作)|(?:함수|코드|스크립트|알고리즘|프로그램)를? ?(?:작성|구현|만들|짜)",
        r"(?i)(?:\b(?:escribe|crea|implementa|programa|implémente|crée|schreibe?|implementiere|erstelle|scrivi|escreva|implemente)|écris|напиши|реализуй)(?:те|-moi|n sie)? "
        r"(?:[^ \n]+ ){0,3}(?:funci[óo]n|função|script|algoritmo|c[óo]digo|programa|fonction|algorithme|programme|funktion|algorithmus|skript|programm|funzione|функци|алгоритм|скрипт|программ|код)",
    ),
    "code_daily": (
        r"(?i)\b(?:zip|post|postal|promo|promotion|promotional|discount|coupon|voucher|gift|qr|bar|area|country|dress|door|gate|access|entry|entrance|security|verification"
        r"|confirmation|pin|sort|swift|iban|bic|booking|referral|invite|invitation|tax|building|fire|highway|penal|civil|criminal|labou?r|morse|colou?r|diall?ing|region|airport"
        r"|currency|product|sms|otp|one[- ]time|reset|activation|redemption|wi-?fi|cheat|moral|honou?r|ethical|genetic|secret|lock|alarm|airline|hotel|store|student|rabatt|buzzer|flight|order|"
        r"tracking|passcode|unlock|backup|recovery|authentication|2fa|parking|pay|loyalty|membership|event|ticket|hs|naics|vehicle|paint|error|fault) codes?\b",
        r"(?i)\bcodes? (?:of (?:conduct|ethics|practice|hono[u]?r|silence)|for (?:my|the|a) (?:discount|order|door|gate|sale|hotel|building|garage)|word|from (?:my|the) (?:sms|text|email|bank))\b",
        r"(?i)\b(?:loyalty|training|exercise|work-?out|fitness|rewards?|degree|master'?s|bachelor'?s|phd|exchange|mentor(?:ing|ship)?|volunteer|tv|television|radio|theat(?:re|er)|concert|event|wedding|music|sports?|after-?school|summer"
        r"|nutrition|diet|study|scholarship|internship|residency|flyer|mileage|points|rehab|weight[- ]loss|walking|running|strength|gym|yoga|benefits?|graduate|undergraduate|school|university|health|wellness|reading|onboarding|affiliate|referral|space|nuclear|funeral|church"
        r"|government|aid|relief|home|marathon|detox|stretching|warm-?up|educational|outreach|community) program(?:me)?s?\b",
        r"(?i)\b(?:liver|kidney|muscle|heart|brain|thyroid|executive|cognitive|bodily|immune|lung|sexual|gut|cell|bladder|joint|nerve|thyroid|social|formal|corporate) functions?\b|\bfunction (?:room|hall|venue|space)\b",
        r"(?i)\b(?:movie|film|phone|call|sales|video|play|tv|voicemail|podcast|commercial|radio|wedding|comedy|sketch|cold[- ]call|youtube|tiktok|interview|puppet) scripts?\b|\bscripts? for (?:a |an |the |my |our )?(?:\w+ )?(?:play|film|movie|video|podcast|commercial|speech|phone|call|voicemail|wedding|ad|sketch|show|ceremony|meditation)\b",
        r"(?i)\bquer(?:y|ies) (?:about|regarding|on|to|with) (?:my|the|a|your|our)\b|\b(?:billing|customer|booking|quick|general) quer(?:y|ies)\b|\bschema (?:therapy|therapist)\b",
        r"(?i)\b(?:skin|night ?time|morning|bedtime|dance|cleaning) routines?\b|\bcom(?:puter)? program\b|\btalent program",
        r"(?i)c[óo]digo (?:postal|promocional|de (?:descuento|vestimenta|barras|área|verificación|desconto|barras)|qr|penal|civil|pix)|code (?:postal|promo|civil|pénal|secret|de la route|vestimentaire|barre|de réduction)|codice (?:fiscale|postale|sconto|promo|civile|penale)|programa de (?:entrenamiento|ejercicios?|treino|fidelidad|puntos|radio|televisión)|programme (?:d'entraînement|tv|de fidélité|scolaire)|trainingsprogramm|промокод|программ\S+ (?:тренировок|лояльности|передач)",
        r"邮政编?代码|优惠代码|区号代码|法律程序|登机程序|バーコード|ドレスコード|QRコード|クーポンコード|バーコード|プロモーションコード|드레스 ?코드|바코드|할인 ?코드|쿠폰 ?코드",
    ),
    "code_object": (
        r"(?i)\b(?:unit tests?|source code|data structures?|compilers?|microservices?|codebase|rest(?:ful)? apis?|api (?:endpoints?|calls?|requests?|keys?|server|gateway)"
        r"|stored procedures?|pull request|linked lists?|binary (?:search )?trees?|hash ?(?:maps?|tables?)|(?:for|while) loops?|database (?:schema|index|quer(?:y|ies))|json (?:schema|parser)"
        r"|stack overflow error|web ?hooks?|dataframes?|codegen|coroutines?|garbage collect(?:or|ion)|type hints?|docstrings?)\b",
        r"函数|代码|関数|함수",
    ),
    "algorithm": (
        r"(?i)\b(?:time complexity|space complexity|dynamic programming|binary search|depth[- ]first|breadth[- ]first"
        r"|recursi(?:ve|on)|concurrency|thread[- ]?safe|lock[- ]free|mutex|distributed (?:systems?|locks?|consensus|caches?|database|transactions?|queue|training|rate|key|tracing)"
        r"|consensus (?:algorithm|protocol)|idempotent|idempotency|backpressure|sharding|sharded|big[- ]o notation|np[- ](?:hard|complete)|shortest path|linked list|hash ?map|eventual(?:ly)? consisten\w+|exactly[- ]once)\b",
        r"\bO\((?:1|n|m|k|log|V|E|2\^)[^)]{0,12}\)",
        r"复杂度|高并发|并发|分布式|动态规划|計算量|分散システム|분산 시스템|복잡도",
        r"(?i)complejidad (?:temporal|del algoritmo)|complexité (?:temporelle|de l'algorithme)|laufzeitkomplexität|verteilt\w* system|sistema distribuido|распредел[её]нн\S+ систем",
    ),
    # --- maths --------------------------------------------------------------------------------------------
    "latex": (
        r"\$\$[^$\s]|\$\\|\$[a-zA-Z] ?[=^_<>$+]", r"\\\[|\\\(", r"\\begin\{", r"\\(?:frac|int|sum|sqrt|prod|lim|infty|mathbb|alpha|theta|lambda|cdot|times|leq?|geq?|text|pi)\b",
        r"[∫∑∏∂∇∈∀∃]|√ ?[\d(x]",
    ),
    "maths": (
        r"(?i)\b(?:(?:integrals?|derivatives?) (?:of|from|over)|definite integral|partial derivatives?|eigenvalues?|eigenvectors?|theorem|lemma|corollary|polynomials?|matrices|matrix (?:multiplication|product|inverse|equation)|determinant of"
        r"|differential equations?|quadratic|logarithms?|modulo|prime numbers?|irrational numbers?|homomorphism|isomorphi\w+"
        r"|(?:series|sequence|integral|sum) converges?|convergence of|topological|bijecti\w+|injective|surjective|cardinality|combinatorial|combinatorics|vector spaces?"
        r"|probability (?:density|distribution)|standard deviation|expected value|trigonometr\w+|hypotenuse|positive integers?|real numbers?|complex numbers?|integer solutions|find all (?:real|integers?|positive|pairs|primes?|functions)|relatively prime|finite field|abelian|bounded above)\b",
        r"(?i)\b(?:solve (?:for|the (?:\w+ )?equations?)|(?:integrate|differentiate) (?:the function|with respect|f|x|y|sin|cos)|factori[sz]e the (?:expression|polynomial)) ",
        r"(?i)\bfind the (?:\w+ )?(?:probability|value|sum|number|area|volume|minimum|maximum|remainder|product|limit|roots?) (?:of|that)\b|\bwhat is the (?:probability|remainder|sum of the|smallest positive|greatest common)\b",
        r"定积分|不定积分|导数|定理|矩阵|方程|不等式|行列式|微分|방정식|적분|行列の|積分",
        r"(?i)\b(?:derivada|teorema|ecuación|ecuaciones|dérivée|théorème|ableitung|gleichung|integrale|equazione|derivata)\b|équation|equação|интеграл|теорем|уравнени|производн",
    ),
    "proof": (
        rf"(?i){_LEAD}(?:formally |rigorously )?(?:prove|disprove|show|deduce|demonstrate) (?:rigorously |formally |mathematically |by \w+ )?that\b",
        r"(?i)\b(?:prove|proving|disprove) (?:rigorously |formally |mathematically )?(?:that (?:the|any|every|all|each|there|if|for|no|an?|it|\S+ (?:is|are|has))|there|by (?:induction|contradiction)|using|if|it (?:by|using))\b",
        rf"(?i){_LEAD}(?:prove|disprove) (?:the |this |\w+'s )",
        r"(?i)\b(?:and|then|hence|thus) (?:show|prove) that\b",
        r"(?i)\b(?:mathematical|rigorous|inductive|elementary|constructive)(?:ly)? pro(?:of|ve)\b",
        r"(?i)\bproofs? (?:by (?:induction|contradiction)|sketch|(?:for|of) (?:the |\w+'s )(?:\w+ )?(?:theorem|lemma|claim|inequality|conjecture))\b",
        r"(?i)\b(?:give|write|present|construct|complete) (?:me )?(?:an? |the )?(?:\w+ )?proof\b",
        r"(?:\A\s*|请|試|试|来|法|步|，|。)证明[^件书]|求证|を証明せよ|ことを証明|を証明して|証明してください|증명하|증명해",
        r"(?i)\b(?:demuestr[ae] (?:que|el|la)|demostrar que|démontre[rz]? (?:que|le|la)|prouve[rz]? que|beweisen?(?: sie)?,? (?:dass|den|die|das)|dimostra(?:re)? (?:che|il|la)|prove que|demonstre que)|докажи|доказать|доказательство теорем",
    ),
    "proof_daily": (  # what people prove to an office, not to a mathematician
        r"(?i)\b(?:prove|show|demonstrate|proof) (?:to \w+ )?(?:that |whether |if |to )*(?:i|i'm|i've|we|my|our|you|your|he|she|they|someone|people|(?:the|a|an) (?:charge|payment|purchase|seller|landlord|tenant|company|bank|employer|neighbou?r|driver"
        r"|other driver|insurance|contractor|airline|boss|dealer|store|shop|item|package|parcel|car|card|police|accident|product|ring|painting|bag|photo|email|signature))\b",
        r"(?i)\bproof of (?:address|purchase|payment|identity|delivery|income|residence|residency|id|insurance|ownership|vaccination|employment|funds|life|age|enrol\w*|citizenship|concept|receipt|onward|travel|marriage|title|birth)\b",
        r"(?i)\bque (?:j'|j’|je |yo |mi |eu |meu |minha |he |ya )|\bdass (?:ich|mein|wir)|\bche (?:ho|il mio)|что (?:я|мы|мой|моя)\b|证明(?:我|自己)|身元|住所を|在職|収入を|본인|재직|wrong\b",
    ),
    "equation": (  # operators between operands, not a date, a telephone number, a range or half a cup
        r"\b\d*[xyzn] ?[-+*/] ?\d+ ?[-+*/=)]|\b\d+ ?[-+*] ?\d*[xyzn]\b|\b\d[xyz]\b ?[-+=]",
        r"\b[a-zA-Z0-9)] ?\^ ?[{(-]?\w|\b[xyzabn][²³]|[a-z\d)]\*\*\d",
        r"(?:^|[\s(,])[a-z] ?= ?-?\d|\b[a-zA-Z]\([a-z](?:, ?[a-z])?\) ?=",
        r"\d ?[+*×÷] ?\d+ ?[-+*/×÷]|\) ?[-+*/×÷] ?[\d(]|\d ?[-+*/×÷] ?\(\d|\d - \d+ [-+*/] ",
    ),
    "reckon": (  # with numbers around it: a word problem
        r"(?i)\bhow (?:many|much|far|old|long|fast)\b|\b(?:what (?:is|was|are|will)|find|calculate|determine) (?:the|her|his|their) (?:\w+ )?(?:total|average|percent|percentage|remaining|cost|profit|sum|number|difference)\b",
        r"(?i)多少|几个|いくつ|いくら|何個|몇 ?개|얼마|\b(?:cuánt[oa]s?|combien de|wie ?viele?|quant[ie]|quanto)\b|сколько",
    ),
    "units": (
        r"\d ?(?:m/s|km/s|ft/s|kg/m|g/mol|g/cm|N/m|rad/s|mol\b|moles?\b|kPa|MPa|Pa\b|psi|k?J\b|[MkG]?eV\b|nm\b|[µμ]m\b|[kMG]Hz\b|ohms?\b|Ω|[µμ]F|pF|[kM]?N\b|[mM]W\b|mA\b|mL\b|atm\b|cal/|Btu|lb/|ft\^|cm\^|m\^)",
        r"10 ?(?:\^|\*\*) ?[{(]?[-−]?\d|\\times 10|[x×] ?10\^?[-−]?\d",
        r"\b(?:velocity|acceleration|momentum|wavelength|electric field|magnetic field|capacitors?|resistors?|thermodynamic\w*|entropy|enthalpy|stoichiometr\w+|isotopes?|molar|torque|viscosity|adiabatic|isothermal|photons?|diffraction|inductance|kinetic energy|half-life|ideal gas|specific heat|pipe flow|Reynolds)\b",
    ),
    # --- several steps ------------------------------------------------------------------------------------
    "steps": (
        r"(?i)\bstep[- ]by[- ]step\b|\bstepwise\b|\bshow (?:your|all|the) (?:work|working|steps|reasoning)\b",
        r"(?im)^\s*(?:step )?[2-9][.):] \S", r"(?i)\b(?:firstly|secondly)\b",
        r"逐步|一步一步|步骤|ステップ|단계",
        r"(?i)\b(?:paso a paso|schritt für schritt|passo (?:a|per|dopo) passo)|étape par étape|по шагам|пошагово",
    ),
    "analysis": (
        r"(?i)\b(?:analy[sz]e|critically|critique|trade-?offs?|derive|justify|synthesi[sz]e|hypothes[ie]s|implications?|root cause|compare and contrast|to what extent"
        r"|(?:systems?|software|cloud|microservice|event-driven|multi-region|data|technical) architecture|counter-?arguments?|failure modes?|steelman|second-order|threat model|game[- ]theor\w+|causal\w*|evaluate (?:the|whether|how|this)|assess (?:the|whether|how)"
        r"|strateg(?:y|ies) (?:for|to|that)|(?:in-depth|statistical|legal|cost-benefit|literary|comparative|sensitivity|financial|swot|policy|data|critical) analysis|analysis of)\b",
        rf"(?i)\b(?:design|architect|plan) {_TASK}(?:systems?|architecture|database|protocol|algorithm|experiment|study|trial|strategy|pipeline|platform|framework|curriculum|infrastructure|migration|rollout|backend)\b",
        r"分析|系统设计|架构|优缺点|异同|论述|論じ|比較し|分析|분석|비교",
        r"(?i)\b(?:analiza|analice|analise|compara (?:y|los|las|el)|analyse[rz]? |comparez|analysieren?|vergleichen? sie|vergleiche|analizza|confronta)\b|проанализируй|сравни",
    ),
    "thorough": (
        r"(?i)\b(?:in (?:great |full |more )?detail\b|in[- ]depth|production[- ](?:ready|grade|quality)|rigorously|exhaustively"
        r"|(?:detailed|comprehensive|thorough|rigorous|exhaustive) (?:\w+ ){0,2}(?:analysis|guide|overview|plan|report|review|explanation|study|strategy|list|essay|comparison|description|summary|proposal|answer|design|evaluation|assessment|derivation|treatment|proof|argument|specification|critique))\b",
        r"详细|詳しく|자세히|(?i)\b(?:en detalle|en détail|ausführlich|in dettaglio|dettagliatamente|em detalhe)|подробно",
    ),
    "demands": (
        r"(?i)\b(?:must (?:not |be |have |also |support|handle)|should (?:not |handle|support))\b",
    ),
    "bounds": (
        r"(?i)\b(?:exactly|at least|at most|no more than|no fewer than)\b",
    ),
    "givens": (
        r"(?i)\b(?:without using|constraints?|such that|given that|assum(?:e|ing)|subject to|if and only if|under the condition)\b",
    ),
    "exclusions": (
        r"(?i)\b(?:exactly one|only one|different|neither|either|unless|respectively)\b",
    ),
    "puzzle": (
        r"(?i)\b(?:logic(?:al)? (?:puzzle|grid|problem)|(?:is a|following|this) (?:\w+ )?(?:puzzle|riddle|cryptogram)|puzzle:|clues?:|(?:these|following) clues|knights? and (?:knaves|liars)|truth[- ]teller|always (?:lies?|tells? the truth)|pioneers?|solve (?:this|the) (?:\w+ )?(?:sudoku|puzzle|cipher|cryptarithm|maze)"
        r"|(?:encrypted|caesar|substitution|vigen[eè]re) (?:\w+ )?(?:cipher|text|message)|decrypt (?:this|the)|crossing puzzle|deduce (?:who|which|what)|different houses?|houses? in a row|n-?queens|tower of hanoi|countdown game|grid (?:below|represents))\b",
        r"逻辑题|骑士|推理题|論理パズル|논리 퍼즐|(?i)acertijo lógico|énigme logique|logikrätsel",
    ),
    "writing": (
        rf"(?i)\b(?:write|draft|compose|create|generate|prepare) {_TASK}(?:essay|article|story|report|proposal|blog|chapter|screenplay|white ?paper|research paper|business plan|thesis|novel|literature review|brief|manuscript|grant application|legal memo\w*)\b",
        r"写一篇|作文|小论文|論文を書|에세이|(?i)\b(?:(?:escribe|redacta) un (?:ensayo|artículo|informe)|rédige\w*|aufsatz|saggio|redação)|эссе|сочинение",
        r"(?i)\b\d{3,5}[- ]words?\b",
    ),
    "expert": (
        r"(?i)\b(?:quantum (?:mechanic\w*|state|field|comput\w+|entangle\w+)|molecular|genom\w+|neurotransmitter\w*|neurolog(?:ical|y) exam\w*|pharmacokinetic\w*|pharmacodynamic\w*|contraindicat\w+|patholog(?:y|ical|ic)|pathophysiolog\w+|jurisdictions?|common law|case law"
        r"|statute of|statutory|tort|plaintiff|defendant|liabilit(?:y|ies)|negligence|breach of contract|fiduciary|gdpr|econometric\w*|monetary policy|fiscal policy|amorti[sz]ation|equilibrium|relativity|differential diagnosis|epistemolog\w+|ontolog\w+|utilitarian\w*|deontolog\w+"
        r"|machine learning|neural networks?|bayesian|cryptograph\w+|transformer (?:model|architecture|block)|stochastic|regression|heteroskedast\w+|confidence interval|p-value|randomi[sz]ed|elasticity|arbitrage|derivative pricing|immunolog\w+|oncolog\w+|myocardial|serum|creatinine|metasta\w+|constitutional)\b",
        r"法律责任|违约|药代动力学|鉴别诊断|量子力学|宏观经济|判例|鑑別診断|감별진단|(?i)\b(?:jurisprudencia|responsabilidad civil|diagnóstico diferencial|responsabilité civile|jurisprudence|haftung|rechtsprechung|differentialdiagnose)\b|гражданск\S+ ответственност|дифференциальн\S+ диагно",
    ),
    # --- easy things --------------------------------------------------------------------------------------
    "question": (
        r"(?i)\A\W*(?:(?:hi|hello|hey|please|so|and|ok|sorry)\W+)*(?:what(?:'s|’s|s)?\b|who(?:'s|s)?\b|whom\b|when|where"
        r"|which|whose|is|are|was|do|does|did|can|could|will|would|should|am|have|has|may"
        r"|how (?:many|much|old|long|far|big|tall|late|often|soon|do|can|to|is|are))\b",
        r"(?i)\A\W*(?:qué|cuál|cuándo|dónde|quién|cuánt|cómo|quel|quelle|quand|où|qui|combien|est-ce|was|wer|wann|wo|wie|ist|können|cosa|quando|dove|chi|qual|onde|что|кто|когда|где|сколько|как)",
        r"(?:吗|呢|什么|多少|哪里|几点|谁|何ですか|ですか|ますか|무엇|언제|어디|나요|까요)[^\n]{0,4}\z",
    ),
    "daily": (
        r"(?i)\b(?:refund|my order|order (?:number|status|#)|deliver(?:y|ed)|shipping|shipped|business hours|opening hours|open(?:ing)? (?:on|until|times?)|password|passport"
        r"|invoice|receipt|subscription|return policy|warranty|my (?:account|card|balance|booking|flight|package|parcel|phone|bank|pin|luggage|reservation|appointment|bill|payment|transfer|calendar|alarm|car|dog|cat|mom|mother|dad|wife|husband|son|daughter|boss|landlord|hair|ticket|trip|birthday|wedding|hotel|room|house|kitchen|garden|gym)"
        r"|appointment|reservation|customer service|top[- ]?up|exchange rate|withdraw\w*|atm|timer|alarm|reminder|weather|restaurant|playlist|credit card|recipe|cookies?|dinner|lunch|breakfast|coffee|hotel|flights?|tickets?|birthday|gift|present for|shopping|grocer\w+|movie|song|pharmacy|dentist|doctor"
        r"|(?:zip|postal|promo|discount|coupon|voucher|qr|dress|area|country|door|gate|verification|security) codes?|shoes?|jacket|jeans|t-?shirt)\b",
        r"营业时间|退款|订单|快递|密码|天气|餐厅|航班|生日|优惠|积分|酒店|配送|営業時間|返品|天気|予約|レストラン|환불|영업시간|주문|날씨|예약|(?i)\b(?:pedido|reembolso|horario|receta|cumpleaños|vuelo|commande|remboursement|horaires|recette|anniversaire|bestellung|rückerstattung|öffnungszeiten|rezept|geburtstag|wetter|rechnung|ordine|rimborso|ricetta|compleanno|receita|aniversário|voo|заказ|возврат|погода|рецепт)|погод|заказ|рецепт",
    ),
    "greeting": (
        r"(?i)\A\W*(?:hi|hello|hey|yo|sup|thanks|thank you|thx|good (?:morning|evening|afternoon|night)|bye|goodbye|ok|okay|yes|no|cool|great|perfect|你好|谢谢|hola|gracias|bonjour|merci|hallo|danke|ciao|grazie|olá|obrigad[oa]|привет|спасибо)\b",
        r"\A\W*(?:你好|您好|谢谢|早上好|こんにちは|ありがとう|おはよう|안녕|감사|Привет|привет|Спасибо|спасибо)",
    ),
    "simple_task": (
        rf"(?i){_OPENING}(?:translate|summari[sz]e|extract|classify|categori[sz]e|paraphrase|proofread|rephrase|correct|fix the (?:grammar|spelling)|spell|convert \d|remind me|set (?:a|an|my|the)|tell me|turn (?:on|off)|play|add|list|name|give me|define|book|order|call|find me|suggest|recommend|rewrite|shorten|count|sort|alphabeti[sz]e|capitali[sz]e)\b",
        r"(?i)\b(?:synonyms? (?:for|of)|antonyms? (?:for|of)|capital of|how do you say|as json)\b",
        r"翻译|总结|翻訳|要約|번역|요약|(?i)\b(?:traduce|traduis|traduisez|traduza|traduci|resume|résume|zusammenfass\w+|riassumi)|übersetze|переведи",
    ),
    "simple_opening": (  # followed by the document it is about, however long
        rf"(?i){_OPENING}(?:translate|summari[sz]e|proofread|paraphrase|rephrase|correct|fix the (?:grammar|spelling)|shorten|extract|classify|spell-?check|tl;?dr)\b",
        r"\A\s*(?:请|請)?(?:翻译|总结|概括|把)",
    ),
    # --- form ---------------------------------------------------------------------------------------------
    "choices": (r"(?m)^\(?[B-D][.):] ?\S", r"(?i)\boptions?:\s"),
}
"""Signal -> patterns. Those that start with `code_` count together (`features`)."""

_ASKING = ("code_in", "code_verb", "code_phrase", "proof", "steps", "analysis", "thorough", "writing", "question", "daily", "reckon", "greeting", "simple_task",
           "simple_opening")
"""Signals about what is asked: looked for at both ends of a long text. The others are about what it is made of."""
_CANCELLED = {"code_daily": ("code_phrase", "code_object"), "proof_daily": ("proof",)}
"""Cancelling signals, and what they cancel: looked for only when there is something to cancel."""

ASKING_BYTES = 400
"""Head, and again tail, in which `_ASKING` is looked for: people ask before or after what they paste."""


NAMES = tuple(SIGNALS)
"""Signals in the order of the bits of a mask."""
_BITS = {name: 1 << at for at, name in enumerate(NAMES)}


_WHOLE = 63
"""The bit that says that a set has answered."""


class _Signals:
    """Some signals as one pattern set. Small automata are built faster than their product would be."""

    def __init__(self, *names: str) -> None:
        self._set = PatternSet([pattern for name in names for pattern in SIGNALS[name]])
        # One more than patterns: a set's last hit is its own and means nothing.
        self._bits = (*(_BITS[name] for name in names for _ in SIGNALS[name]), 0)
        self.match = self._set.match
        self.numbers = bytes(NAMES.index(name) for name in names for _ in SIGNALS[name]) + bytes((_WHOLE,))
        """Of each pattern the signal, of the set's own hit `_WHOLE`: for the kernel."""

    def mask(self, data: bytes) -> int:
        """Which of them occur."""
        bits, said = self._bits, 0
        for hit in self._set.hits(data):
            said |= bits[hit]
        return said


_ABOUT = _Signals(*(name for name in SIGNALS if name not in _ASKING and name not in _CANCELLED))
_ASKED = _Signals(*_ASKING)
_CANCELS = tuple((_Signals(name), sum(_BITS[one] for one in cancelled)) for name, cancelled in _CANCELLED.items())
_CANCELLABLE = sum(bits for _, bits in _CANCELS)
_ALL = (1 << len(NAMES)) - 1
_mask_of = None if kernel_found().module is None else kernel_found().module.mask_of


def mask(data: bytes) -> int:
    """The signals that occur in `data` (UTF-8): bit i for the i-th of `NAMES`."""
    asking = data if len(data) <= 2 * ASKING_BYTES else data[:ASKING_BYTES] + b"\n" + data[-ASKING_BYTES:]
    if _mask_of is None:
        said = _ABOUT.mask(data) | _ASKED.mask(asking)
    else:
        about, asked = _mask_of(_ABOUT.match(data), _ABOUT.numbers), _mask_of(_ASKED.match(asking), _ASKED.numbers)
        said = (about | asked) & _ALL if about & asked > _ALL else _ABOUT.mask(data) | _ASKED.mask(asking)
    if said & _CANCELLABLE:
        for signals, cancelled in _CANCELS:
            if said & cancelled:
                said |= signals.mask(asking)
    return said


def found(data: bytes) -> set[str]:
    """Names of the signals that occur in `data` (UTF-8)."""
    said = mask(data)
    return {name for name, bit in _BITS.items() if said & bit}
