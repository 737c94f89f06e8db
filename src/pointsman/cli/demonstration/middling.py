"""The middle: prompts that want a capable model, not the largest. Written for the demo."""

from __future__ import annotations

from typing import Any, Final

EXPLANATIONS: Final = (
    "Explain how a heat pump can give out more heat than the electricity it uses, for a homeowner who is not technical. "
    "Mention two situations in which it is a poor choice.",
    "Compare renting and buying a flat for someone who may have to move within five years. Give the three numbers that matter most.",
    "Write a short cover letter for a librarian who applies for a job as a data steward. Be specific and do not flatter.",
    "Explain the difference between a virus and a bacterium, and why antibiotics help against only one of them.",
    "Draft an announcement that our office moves in June: friendly, under 120 words, with the new address left blank.",
    "Why do the leaves of some trees turn red and those of others yellow in autumn? Explain the chemistry for a curious teenager.",
    "Suggest a four-day itinerary for Porto with a toddler and rainy weather; at most two activities a day, and say why.",
    "Explain what an index fund is and list the pros and cons against a savings account.",
    "Write a product description for a hand-made walnut desk lamp in about 90 words; avoid the word 'unique'.",
    "Our team argues about tabs and spaces again. Write a fair summary of both positions and propose a rule.",
    "Explain how vaccines train the immune system and what a booster adds. Two paragraphs.",
    "Analyze why our newsletter's open rate could have dropped from 41 % to 28 % in two months; list hypotheses to check, in order.",
)

CODE: Final = (
    "Write a Python function that merges two sorted lists without using sort().",
    "Write a regular expression that matches ISO dates such as 2024-02-29, and explain its parts.",
    "Write an SQL query that returns the three customers with the highest total per country.",
    "Write a bash script that renames all .jpeg files in a folder to .jpg and skips names that exist.",
    "Convert this to a list comprehension:\n```python\nout = []\nfor x in xs:\n    if x % 2:\n        out.append(x * x)\n```",
    "Write a JavaScript function that debounces another function.",
    "What is wrong here?\n```python\ndef add(item, items=[]):\n    items.append(item)\n    return items\n```",
    "Write a Python function that checks whether a string is a palindrome, ignoring case and punctuation, with two tests.",
    "Write a Go function that reverses the words of a sentence.",
    "Implement a class Stack in TypeScript with push, pop and peek.",
    "Write a CSS rule that centres a box in its parent, both ways.",
    "Write a Python script that counts the words in every .txt file of a directory.",
    "Explain this error and fix it:\n```\nTypeError: can only concatenate str (not \"int\") to str\n```\nThe code is `print('total: ' + total)`.",
    "Write a function in Rust that returns the second largest number of a slice, or None.",
    "Write a Dockerfile for a small Flask app that listens on port 8080.",
    "Schreibe eine Python-Funktion, die prüft, ob ein Jahr ein Schaltjahr ist.",
)

# (user, we, user, we, user)
SUPPORT: Final = (
    ("The printer shows error E-12.", "Please open the rear door and check for paper.", "Nothing there.",
     "Then hold the power key for ten seconds.",
     "It came back after three pages. The drum is two years old and it squeaks; could that be connected? What should I try next?"),
    ("My internet drops every evening.", "Are other devices affected?", "Yes, all of them.", "Which lights blink on the router?",
     "DSL goes off for a minute, then all is well. Last week a neighbour got a new line. Explain what may cause this and how I find out."),
    ("I was charged for a plan I cancelled.", "When did you cancel?", "On 28 August, by email.", "Plans end at the end of the billing month.",
     "But your terms say email counts from receipt. Compare both dates and tell me what I should get back."),
    ("Our webhook stopped working.", "Do you see 4xx or 5xx in the log?", "401 since Tuesday.", "Was the signing secret rotated?",
     "A colleague rotated it on Monday. We verify with the old one in two services. How do we switch without losing events?"),
    ("The dishwasher leaves white film.", "Which programme do you use?", "Eco, every day.", "Is the salt lamp on?",
     "No, but the water here is very hard and we use tabs with salt in them. Explain what to change, step by step."),
    ("Can two people share one licence?", "One licence is for one person on two devices.", "And a shared workshop PC?",
     "Then each user needs one.", "We are nine people in shifts, at most three at once. Which of your plans is cheapest for us, and why?"),
    ("My flight was cancelled.", "You can rebook free of charge.", "The next one is in two days.", "We can offer a hotel voucher.",
     "I booked a train instead for 140 euros. Write a short complaint that asks for that sum back and names the reasons."),
    ("Import fails at row 300.", "What does the message say?", "Invalid date.", "Which format has the column?",
     "Mixed: 03/04/24 and 2024-04-03 from two exports. How can I tell day from month for the first kind, and clean it in a spreadsheet?"),
    ("The sofa arrived with a scratch.", "Sorry! Could you send a photo?", "Sent.", "We offer 10 % off or a replacement in six weeks.",
     "Neither is good. The floor model is mine if you deliver this week; suggest a reply that keeps the tone friendly and firm."),
    ("Heizung wird nicht warm.", "Welcher Druck steht am Manometer?", "0,8 bar.", "Bitte auf 1,5 bar nachfüllen.",
     "Gemacht, aber der Druck fällt jeden Tag um 0,2 bar. Woran kann das liegen, und was prüfe ich zuerst?"),
)

MAILS: Final = (
    "Summarise this mail in two sentences and list who has to do what:\n\nHi all, quick notes from today. Priya has the revised "
    "quote from the caterer and will send it round before noon. The venue wants the final number of guests by Thursday; Tom said "
    "he would chase the seven people who have not answered. We are over budget by 600 euros, mostly because of the sound system, "
    "so unless somebody objects I will take the smaller one. Lena, could you check whether the projector at the venue does HDMI? "
    "The band is confirmed. See you on Monday. - Carla",
    "Summarise the key points and write a reply that accepts two of the three proposals:\n\nDear team, following our call I propose "
    "that (1) the maintenance window moves from Friday to Tuesday night, (2) we freeze changes for the last week of each quarter, and "
    "(3) the on-call rota includes the data team from January. The first two cost nothing; the third needs a training day. I would "
    "like to have your view by Wednesday. Kind regards, Henrik",
    "Summarise this review for a product manager and list the complaints by weight:\n\nI wanted to love this backpack. The fabric is "
    "tough and it kept my laptop dry through a real storm. But the zip of the main pocket jams at the corner every single time, the "
    "bottle holder is so shallow that I lost a bottle on day two, and after a month the chest strap slips. Support answered within a "
    "day, which was nice, and sent a strap that does not fit this model.",
    "Turn these notes into a clear project update for management:\n\nmigration 70 % done, two services left; blocked on cert from "
    "vendor (asked 3x); cost fine; risk: holiday freeze starts on 18th; maybe ask for extension or do billing after new year; "
    "performance better than old system in all tests except export, 2x slower, Jonas looks into it.",
    "Rewrite this notice so that tenants understand it, and keep every obligation:\n\nPursuant to section 4(2) the lessee shall procure "
    "that the communal installations be kept free of obstruction and shall upon written notice of not less than fourteen days afford "
    "access to the lessor's agents for the purpose of inspecting the same, save in case of emergency whereupon notice shall be waived.",
)

SHELF: Final[tuple[dict[str, Any], ...]] = tuple(
    {"type": "function", "function": {"name": name, "description": about, "parameters": {
        "type": "object", "properties": {key: {"type": kind} for key, kind in fields.items()}, "required": list(fields)[:1]}}}
    for name, about, fields in (
        ("search_flights", "Find flights between two airports on a date.", {"origin": "string", "destination": "string", "date": "string"}),
        ("search_hotels", "Find hotels in a city for given nights.", {"city": "string", "nights": "integer", "budget": "number"}),
        ("book_table", "Reserve a restaurant table.", {"restaurant": "string", "people": "integer", "time": "string"}),
        ("convert_currency", "Convert an amount between currencies.", {"amount": "number", "source": "string", "target": "string"}),
        ("create_reminder", "Put a reminder into the calendar.", {"text": "string", "when": "string"}),
    )
)

ERRANDS: Final = (
    "Find flights from Vienna to Bergen on 3 May and a hotel for four nights under 140 euros a night; take the flights first.",
    "Reserve a table for six at Luigi's on Friday at eight, and remind me on Thursday to call them about the cake.",
    "How much is 4,800 kronor in euros, and would that pay for three nights in a hotel in Malmö?",
    "Plan a weekend in Ghent for two: hotels for two nights, a table on Saturday, and reminders for both.",
    "Search flights from Accra to Lisbon, earliest arrival wins, but not before 12 June.",
    "Set reminders for the three deadlines in this mail: 'draft by 4 July, review by 11 July, print by the 25th'.",
)

INVOICE: Final[dict[str, Any]] = {
    "type": "object", "additionalProperties": False, "required": ["supplier", "date", "lines", "total"],
    "properties": {
        "supplier": {"type": "string"}, "date": {"type": "string"}, "total": {"type": "number"},
        "lines": {"type": "array", "items": {"type": "object", "required": ["item", "quantity", "price"], "properties": {
            "item": {"type": "string"}, "quantity": {"type": "integer"}, "price": {"type": "number"}}}},
    },
}

INVOICES: Final = (
    "Invoice to JSON: 'Kessler Office Supply, 12 Feb 2025. 4 x paper A4 @ 5.90, 2 x toner @ 71.00, delivery 6.50. VAT is included. Thank you!'",
    "Invoice to JSON: 'Fattura n. 118, Officina Rinaldi, 3 marzo: cambio olio 45,00; due filtri a 12,50; manodopera 2 ore a 38,00.'",
    "Invoice to JSON: 'Bill from Green Fork Catering on 2025-05-09: lunch for 18 at 14.20 each, coffee for 18 at 2.80, 10 % off the lunches.'",
    "Invoice to JSON: 'Rechnung Malerei Huber vom 30.04.: 62 qm Wand à 7,40; 2 Türen à 85,00; Anfahrt pauschal 40,00. Zahlbar in 14 Tagen.'",
    "Invoice to JSON: 'Receipt, Night Owl Books, June 2nd: three paperbacks at 9.99, one atlas 34.00, returned atlas from May -29.00.'",
)

ABROAD: Final = (
    ("de", "Erkläre den Unterschied zwischen Brutto- und Nettogehalt und warum zwei Kollegen mit gleichem Brutto verschieden viel bekommen."),
    ("es", "Explica cómo funciona una hipoteca a tipo variable y compara sus ventajas y desventajas con una de tipo fijo."),
    ("fr", "Rédige un courriel poli à mon propriétaire pour demander une réparation du chauffage, en rappelant ses obligations."),
    ("zh", "请比较高铁和飞机从北京到上海出行的优缺点，并根据不同情况给出建议。"),
    ("ja", "新入社員向けに、会議の議事録の書き方を手順ごとに説明し、簡単な例を一つ示してください。"),
    ("ar", "اشرح الفرق بين الطاقة الشمسية وطاقة الرياح، واذكر مزايا وعيوب كل منهما لقرية صغيرة."),
)
