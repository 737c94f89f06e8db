"""Words around a request that say nothing of what is asked: "Please help me with this:", "I have a question.", "Thanks in advance!".

A sentence, a line, or what stands before a colon, at the beginning or at the end of a text, is set aside when every word of it is one that people
use to talk to each other and to talk about asking: I and you, can and would, please, help, question, answer, following, thanks. Words, and not
phrases: whoever is polite in another way is understood as well. What a task is made of is no such word: a number, a name, he and she, who and
why, write, prove, solve.

Why set aside, and not weighed less? "Could you answer the following?" made one short question in five look like another kind of task, to patterns
that go by how a text begins, to counts, and to whoever was trained on texts without. What is not read moves nothing.

A text of such words alone is read whole: "Hello! I need help" is all that was said.
"""

from __future__ import annotations

import re

MOST = 100
"""Characters of one sentence that may be set aside. Somebody who needs more to be polite says something as well."""
SENTENCES = 4
"""Set aside at either end, at most."""
NAME = 24
"""Characters of the name that stands below a farewell."""



def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


_ENGLISH = _listed("""
i i'm im i've ive i'd i'll me my mine myself you you're you've you'll you'd your yours yourself we we're we've we'd us our it it's its this that that's
these those there there's here here's one ones something anything thing things someone anyone somebody anybody everyone everybody all let's
am is are was were be been being have has had having do does did doing done don't can can't could couldn't will won't would wouldn't shall should may
might must let not no a an the of to in on at for with from by about as if so and or but then than just also too very really quite some any bit lot couple few more much
ask asks asked asking question questions query request message prompt help helps helped helping assist assists assistance assisting need needs needed
want wants wanted wanting like love wish know knows say says said tell see look looking read reading consider think thinking thought wonder
wondering wondered curious find out figure understand give take get getting got go going come try trying share work working on stuck confused
trouble struggling following follows below next last first second quick quickly short small simple brief briefly important urgent urgently asap soon today
tonight now tomorrow yesterday moment minute while ago time times hard difficult tricky tough challenging interesting careful carefully properly
correctly correct right wrong okay ok alright sure yes yeah well hmm um er oh ah anyway again still already only even back reply replies respond response answer answers
answered answering hear hearing idea ideas thoughts opinion input feedback possible able appreciate appreciated grateful thankful glad happy pleased hope hoping fine great nice lovely
wonderful amazing awesome perfect kind kindly good best better advance attention patience effort support day week weekend morning afternoon evening night
user assistant bot chatbot ai sir madam folks guys team friend buddy mate q
please pls plz thanks thank thx ty cheers hi hello hey hiya heya howdy yo dear greetings welcome sorry excuse pardon regards wishes warm sincerely truly
respectfully faithfully favor favour hand
""")
_COURTEOUS = _listed("""
please pls plz kindly thanks thank thankful thx ty cheers hi hello hey hiya heya howdy yo dear greetings sorry excuse pardon regards wishes sincerely truly respectfully
faithfully help helps assist assists assistance answer answers answered question questions query tell know respond response reply hear hearing appreciate appreciated grateful favor favour
hand idea ideas thoughts opinion input feedback
hallo bitte danke dank frage fragen hilfe helfen weiterhelfen behilflich antworten beantworten antwort grüßen gruß grüße mfg
hola gracias favor pregunta preguntas duda dudas ayuda ayudar ayudarme responder responde responda respuesta saludos
bonjour bonsoir salut merci question questions aide aider m'aider répondre réponse cordialement
olá oi obrigado obrigada pergunta dúvida ajuda ajudar ajudar-me
ciao salve buongiorno grazie domanda aiuto aiutare aiutarmi rispondere risposta
привет здравствуйте спасибо пожалуйста вопрос помощь помочь помогите ответьте ответить
""")
"""Without one of them a question is no courtesy, and neither is anything at the end: "Is this right?" may be the task."""
_PERSONS = _listed("i i'm im i've ive i'd i'll me my you you're you've you'll you'd your we we're we've we'd us our let's here's curious wondering wondered ok okay alright")
"""Without one of these or those nothing at the beginning is a courtesy either: "if a:" is code."""
_SPEAKS = _COURTEOUS | _PERSONS | _listed("morning afternoon evening everyone folks team")
_OTHERS = tuple(_listed(one) | {"hi", "hello", "hey", "ok", "okay", "q"} for one in (
    """hallo guten guter morgen tag abend bitte danke vielen dank schönen schön herzlichen frage fragen eine ein einen einer einem kurze kleine ich du sie mir dich uns wir ihr ihnen es
    das dies diese dieser dieses der die den dem zu bei mit auf für und kann können könnten könntest kannst würde würden habe hätte hab mal gerne gern helfen hilfe weiterhelfen behilflich sein
    antworten beantworten beantworte antworte antwort folgende folgenden folgendes im voraus sehr liebe lieber freundliche freundlichen beste besten viele grüße grüßen gruß mfg brauche
    brauchen zur zum dazu dabei etwas wissen möchte ist hier""",
    """hola buenos buenas buen día días dia dias tarde tardes noche noches gracias muchas mil por favor pregunta preguntas duda dudas tengo tiene una un el la los las lo mi tu su me te le nos
    yo tú usted con en a de para y que esto este esta eso puede puedes podría podrías podrian quisiera quiero necesito ayuda ayudar ayudarme ayúdame responder responde responda respuesta
    siguiente siguientes saludos cordiales antemano adelantado aquí va es saber algo rápida pequeña""",
    """bonjour bonsoir salut merci beaucoup d'avance avance svp s'il s’il vous te plaît plait je j'ai j’ai j'aurais j’aurais tu vous nous me m'aider m’aider une un le la les l' ma mon mes votre
    vos avec à de ce cette ces ceci cela pouvez pouvez-vous pourriez pourriez-vous peux peux-tu pourrais pourrais-tu peut question questions petite aide aider d'aide besoin répondre
    répondez réponds réponse suivante suivant suivantes cordialement bonne journée et voici ci-dessous à""",
    """olá ola oi bom dia boa tarde noite obrigado obrigada muito desde já por favor pergunta perguntas dúvida duvida ajuda ajudar ajudar-me uma um o a os as eu você voce vocês me com isto isso este
    esta pode poderia podes tenho gostaria preciso de em para que responder responda resposta seguinte seguintes aqui está é""",
    """ciao salve buongiorno buonasera grazie mille tante in anticipo per favore cortesia domanda domande aiuto aiutare aiutarmi mi io lei tu ho avrei una un il la lo le gli con a di che questo questa
    può puoi potrebbe potresti vorrei bisogno rispondere rispondi risponda risposta seguente seguenti ecco è""",
    """привет здравствуйте добрый день вечер утро пожалуйста спасибо большое заранее вопрос вопросы я вы ты мне меня у есть с к на в этим этот это эту можете можешь могли бы ли не за и следующий
    следующие помощь помочь помогите помоги ответьте ответить нужна нужен один такой вот"""))
_GREETINGS = _listed("hi hello hey hiya heya howdy yo dear greetings ok okay so well please sorry good morning afternoon evening there assistant sir madam all everyone team folks "
                     "hallo bitte hola bonjour salut olá oi ciao salve привет здравствуйте")
"""All that may stand before a comma, behind which the task begins."""
_KNOWN = _ENGLISH.union(*_OTHERS)
_MARKS = " \t\r\n.,!?:;…()\"*-–—_~\U0001f642\U0001f60a\U0001f64f\U0001f600"
"""Around a word."""
_FIRST_WIDE = "\u2e80"
_WIDE = re.compile(
    r"(?:\s|您好|你好|大家好|您|你|请|請|问|問|帮|幫|忙|我|一下|一个|個|个|有|想|要|回答|解答|以下|下面|下列|这|這|那|的|问题|問題|题|謝|谢|多|感|非常|麻烦|能|可以|吗|嗎|了|先|"
    r"すみません|こんにちは|こんばんは|質問|次|に|が|は|を|の|で|あります|です|教えて|答えて|助けて|ください|下さい|お願い|いたします|します|ありがとう|ございます|よろしく|"
    r"안녕하세요|안녕|질문|이|가|을|를|하나|있습니다|있어요|다음|에|좀|답해|답변|알려|도와|주세요|주시겠어요|감사합니다|고맙습니다|부탁|드립니다|드려요)+")
"""The same for Chinese, Japanese and Korean, which write without blanks between words."""

_SAID = re.compile(r"[^.!?:;…\n。！？：]*")
_SAID_WIDE = re.compile(r"[^。！？：，、:!?\n]*")
_MORE = re.compile(r"[.!?:;…]*")
_BETWEEN = re.compile(r"[.!?:;…,。！？：，、]*\s*")
_NO_BLANK_BEHIND = "\n。！？：，、"
"""Ends that need no blank behind them: "3.14" and "http://" are no ends."""
_SENTENCE_ENDS = ".!?:;。！？"
_INDENTED = ("\n ", "\n\t")
"""Behind a colon: code."""
_LAST = (". ", "? ", "! ", ": ", "; ", "\n", "。", "！", "？")
_WORD = re.compile(r"\S+")
_OPENS = ("Thanks", "Thank", "Thx", "Cheers", "Please", "Pls")


def bared(text: str) -> str:
    """The text (stripped) without courtesies at its ends; itself when it has none, or is nothing else."""
    first = text[:NAME].split(None, 1)
    if not first:
        return text
    start = _behind(text) if text[0] >= _FIRST_WIDE or first[0].lower().strip(_MARKS) in _KNOWN else 0
    last = text[-NAME:].rsplit(None, 1)[-1].lower().strip(_MARKS)
    # Most texts end in a word of the task: found here, for a fraction of what looking for the sentence costs.
    end = _before(text, start) if not last or last in _KNOWN or last[-1] >= _FIRST_WIDE or ",\n" in text[-NAME - 2:] else len(text)
    if not start and end == len(text):
        return text
    rest = text[start:end].strip()
    return text if not rest or (len(rest) <= MOST and _is_said(rest)) else rest


def _behind(text: str) -> int:
    """Where the first sentence begins that says something."""
    start = 0
    for _ in range(SENTENCES):
        found = _end(text, start)
        if found and text[found + 1:found + 3] not in _INDENTED and _is_courtesy(text[start:found], text[found] in "?？"):
            start = found
        elif (comma := text.find(",", start, start + NAME)) > start and _GREETINGS.issuperset(text[start:comma].lower().split()):
            start = comma
        else:
            break
        start = _past(_BETWEEN, text, start)
        if start >= len(text):
            break
    return start


def _end(text: str, start: int) -> int:
    """Where the mark stands that ends the sentence that begins at `start`; 0 = it is too long."""
    if text[start] >= _FIRST_WIDE:
        return _end_of(_SAID_WIDE, text, start)
    end = _end_of(_SAID, text, start)
    return end if not end or text[end] in _NO_BLANK_BEHIND or text[(last := _past(_MORE, text, end)):last + 1].isspace() else 0


def _past(skipped: re.Pattern[str], text: str, start: int) -> int:
    found = skipped.match(text, start)
    return start if found is None else found.end()


def _end_of(said: re.Pattern[str], text: str, start: int) -> int:
    found = said.match(text, start, start + MOST)
    return found.end() if found is not None and found.end() < min(len(text), start + MOST) else 0


def _before(text: str, start: int) -> int:
    """Where the last sentence ends that says something; not before `start`."""
    end = _unsigned(text) if ",\n" in text[-NAME - 2:] else len(text)
    for _ in range(SENTENCES):
        tail = text[max(start, end - MOST):end]
        if not _ends_in_talk(tail):
            break
        size = len(tail.rstrip(_MARKS))
        begin = max([tail.rfind(mark, 0, size) for mark in _LAST]) + 1
        if not ((begin or end - len(tail) == start) and begin < size and _is_courtesy(tail[begin:], True)):
            begin = _trailing(tail)
        if begin >= len(tail):
            break
        end = len(text[:end - len(tail) + begin].rstrip())
        if end <= start:
            return start
    return end


def _ends_in_talk(tail: str) -> bool:
    """Its last words may belong to a courtesy. Most texts end here, for a fraction of what looking for the sentence costs."""
    line = tail[-2 * NAME:]
    line = line[line.rfind("\n") + 1:]
    last = True
    for word in line.rsplit(None, 3)[:-4:-1]:
        if word[-1] in _SENTENCE_ENDS and not last:  # the sentence before
            break
        if word.lower().strip(_MARKS) not in _KNOWN and word[0] < _FIRST_WIDE:
            return "Thank" in line or "Please" in line or "Cheers" in line or "Thx" in line or "Pls" in line
        last = False
    return True


def _unsigned(text: str) -> int:
    """Where a text ends that somebody signed."""
    line = text.rfind("\n")
    words = text[line + 1:].split()
    return line - 1 if text[line - 1:line] == "," and len(words) <= 2 and all(map(str.istitle, words)) else len(text)


def _trailing(tail: str) -> int:
    """Where a courtesy begins that no mark divides from what stands before it: "what time is it Thanks!"."""
    begin = len(tail)
    for word in reversed(list(_WORD.finditer(tail))):
        plain = word.group().strip(_MARKS)
        if plain.lower() not in _ENGLISH:
            break
        if plain in _OPENS:
            begin = word.start()
    return begin


def _is_courtesy(said: str, needs_asking: bool) -> bool:
    """Every word says nothing of a task, and one of them is said to somebody. `needs_asking`: speaks of asking or thanking, even."""
    if said[:1] >= _FIRST_WIDE:
        return _WIDE.fullmatch(said.strip(_MARKS + "。！？：，、")) is not None
    words = _words(said)
    return bool(words) and _says_nothing(words) and not (_COURTEOUS if needs_asking else _SPEAKS).isdisjoint(words)


def _is_said(rest: str) -> bool:
    """It is nothing but courtesies."""
    words = _words(rest)
    return not words or _says_nothing(words) or _WIDE.fullmatch(rest.strip(_MARKS + "。！？：，、")) is not None


def _words(said: str) -> list[str]:
    """Its words, as far as they are known: up to the first that is not, and that one."""
    words = []
    for one in said.lower().replace("\u2019", "'").split():
        if word := one.strip(_MARKS):
            words.append(word)
            if word not in _KNOWN:
                break
    return words


def _says_nothing(words: list[str]) -> bool:
    return _ENGLISH.issuperset(words) or (words[-1] in _KNOWN and any(one.issuperset(words) for one in _OTHERS))
