/* Looks: the structural features of a request (`features.py`), and the heuristic's word on them (`heuristic.py`). */

/* Bit i of a mask says that signal i occurs: in the order of `signals.SIGNALS`, which is compared when this is loaded. */
#define EACH_SIGNAL(DO)                                                                                                                    \
    DO(code) DO(code_error) DO(code_lang) DO(code_in) DO(code_verb) DO(code_phrase) DO(code_daily) DO(code_object) DO(algorithm)           \
    DO(latex) DO(maths) DO(proof) DO(proof_daily) DO(equation) DO(reckon) DO(units) DO(steps) DO(analysis) DO(thorough) DO(demands)        \
    DO(bounds) DO(givens) DO(exclusions) DO(puzzle) DO(writing) DO(expert) DO(question) DO(daily) DO(greeting) DO(simple_task)             \
    DO(simple_opening) DO(choices)
/* Features in the order of `features.NAMES`, which is compared, too. */
#define EACH_FEATURE(DO)                                                                                                                   \
    DO(length) DO(lines) DO(numbers) DO(asks) DO(code) DO(code_task) DO(code_error) DO(algorithm) DO(latex) DO(maths) DO(proof)            \
    DO(equation) DO(units) DO(steps) DO(analysis) DO(thorough) DO(constraints) DO(puzzle) DO(writing) DO(expert) DO(question) DO(daily)    \
    DO(greeting) DO(simple_task) DO(choices) DO(turns) DO(tools) DO(schema) DO(images)
#define BIT_NAME(name) bit_##name,
#define FEATURE_NAME(name) f_##name,
#define IN_QUOTES(name) #name,
#define HAS(name) (signals >> bit_##name & 1)
#define SAME(name)                                                                                                                         \
    if (HAS(name))                                                                                                                         \
        out[f_##name] = 1.0;

enum { EACH_SIGNAL(BIT_NAME) SIGNALS };
enum { EACH_FEATURE(FEATURE_NAME) FEATURES };
static const char *const signal_names[] = {EACH_SIGNAL(IN_QUOTES) NULL};
static const char *const feature_names[] = {EACH_FEATURE(IN_QUOTES) NULL};

#define MOST_COUNTED ((Py_ssize_t)1 << 52) /* so that every count is exact as a double, and as tokens */

enum { LATIN, CJK, CYRILLIC, ARABIC_HEBREW, INDIC_THAI };

struct counted { /* bytes of a text by what they are */
    Py_ssize_t lines, asks, double_asks, wide_asks, digits, numbers, two, three, four, cjk, cyrillic, arabic, indic;
};

static void count_looks(const uint8_t *data, Py_ssize_t size, struct counted *out)
{
    int in_number = 0;
    Py_ssize_t marks = 0; /* question marks in a row */

    memset(out, 0, sizeof *out);
    for (Py_ssize_t i = 0; i < size; i++) {
        const uint8_t byte = data[i];

        if (byte == '?') {
            out->asks++;
            marks++;
            in_number = 0;
            continue;
        }
        out->double_asks += marks / 2;
        marks = 0;
        if (byte >= '0' && byte <= '9') {
            out->digits++;
            out->numbers += !in_number;
            in_number = 1;
            continue;
        }
        if (byte == '.' || byte == ':' || byte == '/' || byte == '-')
            continue;
        in_number = 0;
        out->lines += byte == '\n';
        if (byte < 0xC0)
            continue;
        out->two += byte >= 0xC2 && byte < 0xE0;
        out->three += byte >= 0xE0 && byte < 0xF0;
        out->four += byte >= 0xF0 && byte < 0xF5;
        out->cjk += byte >= 0xE3 && byte < 0xEE;
        out->cyrillic += byte >= 0xD0 && byte < 0xD4;
        out->arabic += byte >= 0xD6 && byte < 0xDC;
        out->indic += byte == 0xE0;
        out->wide_asks += byte == 0xEF && i + 2 < size && data[i + 1] == 0xBC && data[i + 2] == 0x9F;
    }
    out->double_asks += marks / 2;
}

/* What most letters are: the first of those that are most, if they are a third of the text. */
static int script_of(const struct counted *text, Py_ssize_t shown)
{
    const Py_ssize_t counts[] = {text->cjk * 2, text->cyrillic, text->arabic, text->indic};
    int most = 0;

    for (int i = 1; i < 4; i++)
        most = counts[i] > counts[most] ? i : most;
    return counts[most] * 3 >= shown ? CJK + most : LATIN;
}

/* Estimated tokens of the whole text. `shown` characters of `chars` were seen. */
static double tokens_of(const struct counted *text, Py_ssize_t shown, Py_ssize_t chars, int is_cut)
{
    const double ascii = (double)(shown - text->two - text->three - text->four);
    double tokens = ascii / 4.0 + (double)text->two / 2.0 + (double)text->three * 0.8 + (double)text->four * 2.0;

    if (is_cut && shown)
        tokens *= (double)chars / (double)shown;
    tokens = rint(tokens);
    return tokens > 1.0 ? tokens : 1.0;
}

/* 1 = asked to make or change code, 0.5 = about code. */
static double code_task_of(uint64_t signals)
{
    const int is_firm = HAS(code_lang) || HAS(code);

    if (is_firm && (HAS(code_phrase) || (HAS(code_lang) && HAS(code_verb))))
        return 1.0;
    if (HAS(code_daily) && !is_firm)
        return 0.0;
    if (HAS(code_phrase) || (HAS(code_in) && HAS(code_object)))
        return 1.0;
    return HAS(code_lang) || HAS(code_object) || (HAS(code_in) && HAS(code_verb)) ? 0.5 : 0.0;
}

/* Features of the wording. */
static void read_wording(uint64_t signals, double tokens, Py_ssize_t numbers, double *out)
{
    SAME(code) SAME(code_error) SAME(algorithm) SAME(latex) SAME(maths) SAME(equation) SAME(units) SAME(steps) SAME(analysis)
    SAME(thorough) SAME(puzzle) SAME(writing) SAME(expert) SAME(choices)
    out[f_code_task] = code_task_of(signals);
    out[f_proof] = HAS(proof) && !HAS(proof_daily) ? 1.0 : 0.0;
    const int conditions = (int)(HAS(demands) + HAS(bounds) + HAS(givens) + HAS(exclusions));
    out[f_constraints] = conditions > 2 ? (double)(conditions - 2) / 2.0 : 0.0;
    out[f_question] = HAS(question) && tokens <= 80.0 ? 1.0 : 0.0;
    out[f_greeting] = HAS(greeting) && tokens <= 12.0 ? 1.0 : 0.0;
    out[f_simple_task] = (HAS(simple_task) && tokens <= 200.0) || HAS(simple_opening) ? 1.0 : 0.0;
    const int is_technical = HAS(code) || HAS(code_error) || HAS(algorithm) || HAS(latex) || out[f_code_task] > 0.0 || out[f_proof] > 0.0;
    const int is_problem = HAS(reckon) && numbers >= 3 && tokens >= 30.0;
    out[f_daily] = HAS(daily) && tokens <= 120.0 && !is_technical && !is_problem ? 1.0 : 0.0;
}

/* Features of what was counted. */
static void read_counts(const struct counted *text, double tokens, Py_ssize_t numbers, double *out)
{
    Py_ssize_t asks = text->asks;

    if (tokens > 0.0)
        out[f_length] = least(1.0, log2(1.0 + tokens / 64.0) / 6.0);
    if (text->lines)
        out[f_lines] = least(1.0, log2(1.0 + (double)text->lines) / 6.0);
    if (numbers > 6)
        out[f_numbers] = least(1.0, log2((double)numbers / 6.0) / 2.0);
    if (asks > 1)
        asks -= text->double_asks;
    asks += text->wide_asks;
    if (asks > 1)
        out[f_asks] = least(1.0, (double)(asks - 1) / 4.0);
}

/* looks(data, signals, shown, chars, is_cut, turns, tools, schema, images) -> (features, tokens, script) */
static PyObject *kernel_looks(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    double out[FEATURES] = {0.0};
    struct counted text;
    Py_ssize_t given[7]; /* those behind `signals` */

    if (count != 9 || !PyBytes_Check(args[0]) || !PyLong_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "looks(data, signals, shown, chars, is_cut, turns, tools, schema, images)");
        return NULL;
    }
    const uint64_t signals = PyLong_AsUnsignedLongLong(args[1]);
    if (signals == (uint64_t)-1 && PyErr_Occurred())
        return NULL;
    for (int i = 0; i < 7; i++) {
        given[i] = PyLong_AsSsize_t(args[2 + i]);
        if (given[i] == -1 && PyErr_Occurred())
            return NULL;
        if (given[i] < 0 || given[i] > MOST_COUNTED) {
            PyErr_SetString(PyExc_ValueError, "a count that is none");
            return NULL;
        }
    }
    const Py_ssize_t size = PyBytes_GET_SIZE(args[0]), shown = given[0], chars = given[1];
    count_looks((const uint8_t *)PyBytes_AS_STRING(args[0]), size, &text);
    const int is_ascii = size == shown;
    const double tokens = is_ascii ? (double)(chars / 4 + (chars % 4 > 0)) : tokens_of(&text, shown, chars, (int)given[2]);
    const Py_ssize_t numbers = text.digits < 3 ? 0 : text.numbers;

    read_wording(signals, tokens, numbers, out);
    read_counts(&text, tokens, numbers, out);
    if (given[3] > 1)
        out[f_turns] = least(1.0, log2((double)given[3]) / 5.0);
    if (given[4] > 0)
        out[f_tools] = least(1.0, (1.0 + log2((double)given[4])) / 5.0);
    out[f_schema] = given[5] ? 1.0 : 0.0;
    out[f_images] = given[6] ? 1.0 : 0.0;
    PyObject *row = floats(out, FEATURES);
    return row == NULL ? NULL : Py_BuildValue("Nni", row, (Py_ssize_t)tokens, is_ascii ? LATIN : script_of(&text, shown));
}

/* mask_of(hits, numbers) -> a bit for every number of a hit */
static PyObject *kernel_mask_of(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    uint64_t mask = 0;

    if (count != 2 || !PyList_Check(args[0]) || !PyBytes_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "mask_of(a list of hits, a number for each that there may be)");
        return NULL;
    }
    const uint8_t *numbers = (const uint8_t *)PyBytes_AS_STRING(args[1]);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(args[0]); i++) {
        const Py_ssize_t hit = PyLong_AsSsize_t(PyList_GET_ITEM(args[0], i));
        if (hit == -1 && PyErr_Occurred())
            return NULL;
        if (hit < 0 || hit >= PyBytes_GET_SIZE(args[1]) || numbers[hit] > 63) {
            PyErr_SetString(PyExc_ValueError, "a hit that there is no number for");
            return NULL;
        }
        mask |= (uint64_t)1 << numbers[hit];
    }
    return PyLong_FromUnsignedLongLong(mask);
}

/* The names in an order of their own, as Python has them. */
static PyObject *names_of(const char *const *names, Py_ssize_t count)
{
    PyObject *made = PyTuple_New(count);

    for (Py_ssize_t i = 0; made != NULL && i < count; i++) {
        PyObject *name = PyUnicode_FromString(names[i]);
        if (name == NULL)
            Py_CLEAR(made);
        else
            PyTuple_SET_ITEM(made, i, name);
    }
    return made;
}

/* The heuristic: weights of the features, and how hard is too hard for each rung. */
typedef struct {
    PyObject_HEAD
    PyObject *words[FEATURES]; /* how a feature is called in a reason; NULL = it is not named */
    double weights[FEATURES], bias, clears, offsets[MOST_PLACES];
    int order[FEATURES], rungs; /* in which features are added up: sums must be the same bit for bit */
} Heuristic;

struct part { /* what a feature adds, away from the side that it speaks for */
    double size;
    int feature;
};

/* `looks easy: a short question; about 9 tokens`. */
static PyObject *reason_of(const Heuristic *self, const double *found, double hard, Py_ssize_t tokens, PyObject *script)
{
    const double clear = hard + self->clears;
    const int is_easy = clear <= self->offsets[0];
    const char *look = is_easy ? "easy" : clear > self->offsets[self->rungs / 2] ? "hard" : "middling";
    struct part strongest[3];
    PyObject *said[3] = {NULL, NULL, NULL};
    int known = 0, named = 0;

    for (int i = 0; i < FEATURES; i++) {
        const int feature = self->order[i];
        if (found[feature] == 0.0 || self->words[feature] == NULL)
            continue;
        const struct part part = {(is_easy ? 1.0 : -1.0) * self->weights[feature] * found[feature], feature};
        int at = known;
        for (; at > 0 && part.size < strongest[at - 1].size; at--) /* equal ones stay in their order */
            if (at < 3)
                strongest[at] = strongest[at - 1];
        if (at < 3)
            strongest[at] = part;
        known += known < 3;
    }
    for (int at = 0; at < known; at++)
        if (strongest[at].size < -0.1)
            said[named++] = self->words[strongest[at].feature];
    PyObject *names = named == 0   ? PyUnicode_FromString("nothing special")
                      : named == 1 ? Py_NewRef(said[0])
                      : named == 2 ? PyUnicode_FromFormat("%U, %U", said[0], said[1])
                                   : PyUnicode_FromFormat("%U, %U, %U", said[0], said[1], said[2]);
    if (names == NULL)
        return NULL;
    PyObject *reason = script == NULL ? PyUnicode_FromFormat("looks %s: %U; about %zd tokens", look, names, tokens)
                                      : PyUnicode_FromFormat("looks %s: %U; about %zd tokens (%U)", look, names, tokens, script);
    Py_DECREF(names);
    return reason;
}

/* judge(features, tokens, script) -> (P(acceptable) per rung, reason); `script` None where it needs no mention */
static PyObject *Heuristic_judge(Heuristic *self, PyObject *const *args, Py_ssize_t count)
{
    double found[FEATURES], p[MOST_PLACES], hard = self->bias;

    if (count != 3 || !PyTuple_Check(args[0]) || PyTuple_GET_SIZE(args[0]) != FEATURES || (args[2] != Py_None && !PyUnicode_Check(args[2]))) {
        PyErr_Format(PyExc_TypeError, "judge(%d features, tokens, a script or None)", FEATURES);
        return NULL;
    }
    const Py_ssize_t tokens = PyLong_AsSsize_t(args[1]);
    if (tokens == -1 && PyErr_Occurred())
        return NULL;
    for (int i = 0; i < FEATURES; i++) {
        found[i] = PyFloat_AsDouble(PyTuple_GET_ITEM(args[0], i));
        if (found[i] == -1.0 && PyErr_Occurred())
            return NULL;
    }
    for (int i = 0; i < FEATURES; i++)
        if (found[self->order[i]] != 0.0)
            hard += self->weights[self->order[i]] * found[self->order[i]];
    for (int i = 0; i < self->rungs; i++)
        p[i] = 1.0 / (1.0 + exp(hard - self->offsets[i]));
    PyObject *row = floats(p, self->rungs), *reason = row == NULL ? NULL : reason_of(self, found, hard, tokens, args[2] == Py_None ? NULL : args[2]);
    if (reason == NULL) {
        Py_XDECREF(row);
        return NULL;
    }
    return Py_BuildValue("NN", row, reason);
}

/* Numbers out of a tuple of `count`. -1 with an exception. */
static int take_doubles(PyObject *tuple, double *out, Py_ssize_t count)
{
    if (PyTuple_GET_SIZE(tuple) != count) {
        PyErr_Format(PyExc_ValueError, "%zd numbers where %zd are needed", PyTuple_GET_SIZE(tuple), count);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        out[i] = PyFloat_AsDouble(PyTuple_GET_ITEM(tuple, i));
        if (out[i] == -1.0 && PyErr_Occurred())
            return -1;
    }
    return 0;
}

/* The order of adding up, and what features are called. -1 with an exception. */
static int take_features(Heuristic *self, PyObject *order, PyObject *words)
{
    if (PyTuple_GET_SIZE(order) != FEATURES || PyTuple_GET_SIZE(words) != FEATURES) {
        PyErr_Format(PyExc_ValueError, "%d features have an order and words", FEATURES);
        return -1;
    }
    for (int i = 0; i < FEATURES; i++) {
        const long at = PyLong_AsLong(PyTuple_GET_ITEM(order, i));
        PyObject *word = PyTuple_GET_ITEM(words, i);
        if (at == -1 && PyErr_Occurred())
            return -1;
        if (at < 0 || at >= FEATURES || (word != Py_None && !PyUnicode_Check(word))) {
            PyErr_SetString(PyExc_ValueError, "a feature that is not there, or a word that is none");
            return -1;
        }
        self->order[i] = (int)at;
        self->words[i] = word == Py_None ? NULL : Py_NewRef(word);
    }
    return 0;
}

static PyObject *Heuristic_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"weights", "order", "words", "offsets", "bias", "clears", NULL};
    PyObject *weights, *order, *words, *offsets;
    Heuristic *self = (Heuristic *)type->tp_alloc(type, 0);

    if (self == NULL)
        return NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!O!O!dd:Heuristic", names, &PyTuple_Type, &weights, &PyTuple_Type, &order, &PyTuple_Type,
                                     &words, &PyTuple_Type, &offsets, &self->bias, &self->clears))
        goto refused;
    self->rungs = (int)PyTuple_GET_SIZE(offsets);
    if (PyTuple_GET_SIZE(offsets) < 1 || PyTuple_GET_SIZE(offsets) > MOST_PLACES) {
        PyErr_SetString(PyExc_ValueError, "no rungs, or too many");
        goto refused;
    }
    if (take_doubles(weights, self->weights, FEATURES) < 0 || take_doubles(offsets, self->offsets, self->rungs) < 0
        || take_features(self, order, words) < 0)
        goto refused;
    return (PyObject *)self;
refused:
    Py_DECREF(self);
    return NULL;
}

static void Heuristic_dealloc(Heuristic *self)
{
    for (int i = 0; i < FEATURES; i++)
        Py_XDECREF(self->words[i]);
    Plain_dealloc((PyObject *)self);
}

static PyMethodDef Heuristic_methods[] = {
    {"judge", (PyCFunction)(void (*)(void))Heuristic_judge, METH_FASTCALL, "judge(features, tokens, script) -> (P(acceptable) per rung, reason)"},
    {NULL, NULL, 0, NULL}};

static PyType_Slot Heuristic_slots[] = {{Py_tp_new, Heuristic_new}, {Py_tp_dealloc, Heuristic_dealloc}, {Py_tp_methods, Heuristic_methods},
                                        {Py_tp_doc, "The heuristic's weights."}, {0, NULL}};
static PyType_Spec Heuristic_spec = {"pointsman.classify.kernel._kernel.Heuristic", sizeof(Heuristic), 0,
                                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, Heuristic_slots};
