/* Ladder: the shipped guess, from what is counted in a text (`heads/signs.py`) to a score per place (`heads/ladder.py`). */

#define SIGNS 23           /* counted in the text; the rest come with the request */
#define SIGN_WORDS (WINDOW / 2 + 1)
#define SIGN_PLACES 4096   /* of the set of different words: more than twice SIGN_WORDS, a power of two */
#define LONGEST_LISTED 16
#define MOST_LISTED 256
#define LISTED_PLACES 1024 /* four times MOST_LISTED */
#define MOST_LOOKS 64
#define MOST_PLACES 64     /* rungs that an artifact may know */
#define CORE_APPENDED 100
#define CORE_FEWEST 8

enum { IN_ORDINARY = 1, IN_STORY = 2, IN_QUANTITY = 4, IS_ADDRESSED = 8 };
#define SIGN_LISTS 4
enum { S_OTHER, S_SPACE, S_DIGIT, S_JOINER, S_COMMA, S_END, S_ASK, S_BRACKET, S_OPERATOR, S_BLANK, S_QUOTE, S_WIDE, S_KINDS };

static const uint8_t sign_kinds[256] = {
    ['\t'] = S_SPACE, ['\n'] = S_SPACE, ['\v'] = S_SPACE, ['\f'] = S_SPACE, ['\r'] = S_SPACE, [' '] = S_SPACE,
    ['0'] = S_DIGIT, ['1'] = S_DIGIT, ['2'] = S_DIGIT, ['3'] = S_DIGIT, ['4'] = S_DIGIT, ['5'] = S_DIGIT, ['6'] = S_DIGIT, ['7'] = S_DIGIT,
    ['8'] = S_DIGIT, ['9'] = S_DIGIT, [':'] = S_JOINER, ['/'] = S_JOINER, ['-'] = S_JOINER, [','] = S_COMMA, ['.'] = S_END, ['!'] = S_END,
    [';'] = S_END, ['?'] = S_ASK, ['('] = S_BRACKET, [')'] = S_BRACKET, ['['] = S_BRACKET, [']'] = S_BRACKET, ['{'] = S_BRACKET,
    ['}'] = S_BRACKET, ['<'] = S_BRACKET, ['>'] = S_BRACKET, ['+'] = S_OPERATOR, ['*'] = S_OPERATOR, ['='] = S_OPERATOR, ['^'] = S_OPERATOR,
    ['%'] = S_OPERATOR, ['\\'] = S_OPERATOR, ['|'] = S_OPERATOR, ['_'] = S_BLANK, ['"'] = S_QUOTE, ['\''] = S_QUOTE, ['`'] = S_QUOTE,
    [0xC0] = S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE,
    [0xD0] = S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE,
    [0xE0] = S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE,
    [0xF0] = S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE, S_WIDE};

INLINE int is_space(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

struct listed { /* a word of the lists */
    uint8_t letters[LONGEST_LISTED];
    uint8_t size, lists;
};

struct term { /* what one sign says: weight x how many spreads it is from its centre, within bounds */
    double centre, inverse, weight;
};

struct lists { /* words to look for */
    struct listed listed[MOST_LISTED];
    uint8_t tags[LISTED_PLACES]; /* some bits of the hash of the word that lies here, never 0; 0 = free */
    uint8_t numbers[LISTED_PLACES];
    int words;
};

typedef struct {
    PyObject_HEAD
    struct lists lists;
    int looks, places, structural, kept[MOST_LOOKS];
    double clip, offsets[MOST_PLACES];
    struct term look_terms[MOST_LOOKS], text_terms[SIGNS];
} Ladder;

INLINE uint32_t listed_hash(const uint8_t *word, Py_ssize_t size)
{
    uint32_t hash = 0x811C9DC5u;

    for (Py_ssize_t i = 0; i < size; i++)
        hash = (hash ^ word[i]) * 0x01000193u;
    return hash ^ hash >> 15;
}

/* The lists that a word (in lower case) stands on. */
INLINE int lists_of(const struct lists *lists, const uint8_t *word, Py_ssize_t size)
{
    if (size > LONGEST_LISTED)
        return 0;
    const uint32_t hash = listed_hash(word, size);
    const uint8_t tag = (uint8_t)(hash >> 24 | 1);

    for (uint32_t at = hash & (LISTED_PLACES - 1); lists->tags[at]; at = (at + 1) & (LISTED_PLACES - 1)) {
        const struct listed *one = &lists->listed[lists->numbers[at]];
        if (lists->tags[at] == tag && one->size == size && memcmp(one->letters, word, (size_t)size) == 0)
            return one->lists;
    }
    return 0;
}

/* Files the words of a list, which stand apart by single spaces. -1 with ValueError. */
static int file_list(struct lists *lists, const char *list, Py_ssize_t size, int which)
{
    for (Py_ssize_t start = 0; start < size;) {
        const char *space = memchr(list + start, ' ', (size_t)(size - start));
        const Py_ssize_t length = (space == NULL ? size : space - list) - start;
        const uint8_t *word = (const uint8_t *)list + start;

        if (length < 1 || length > LONGEST_LISTED || lists->words >= MOST_LISTED) {
            PyErr_SetString(PyExc_ValueError, "too many words are listed, or too long ones");
            return -1;
        }
        const uint32_t hash = listed_hash(word, length);
        const uint8_t tag = (uint8_t)(hash >> 24 | 1);
        uint32_t at = hash & (LISTED_PLACES - 1);
        while (lists->tags[at]) {
            struct listed *one = &lists->listed[lists->numbers[at]];
            if (one->size == length && memcmp(one->letters, word, (size_t)length) == 0)
                break;
            at = (at + 1) & (LISTED_PLACES - 1);
        }
        if (!lists->tags[at]) {
            lists->tags[at] = tag;
            lists->numbers[at] = (uint8_t)lists->words;
            lists->listed[lists->words].size = (uint8_t)length;
            memcpy(lists->listed[lists->words++].letters, word, (size_t)length);
        }
        lists->listed[lists->numbers[at]].lists |= (uint8_t)which;
        start += length + 1;
    }
    return 0;
}

struct said { /* a word of the text */
    uint16_t start, size;
    uint32_t hash;
};

struct counting { /* what counting needs to remember */
    uint8_t room[WINDOW], lower[WINDOW];
    struct said words[SIGN_WORDS];
    uint16_t set[SIGN_PLACES];
};

/* Answers to choose from: how many; where the first begins, in `*begin`. A line that begins with a letter up to J and a mark. */
static Py_ssize_t options_of(const uint8_t *data, Py_ssize_t size, Py_ssize_t *begin)
{
    Py_ssize_t found = 0;

    for (const uint8_t *line = memchr(data, '\n', (size_t)size), *end = data + size; line != NULL;) {
        const uint8_t *at = line + 1;
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        at += at < end && *at == '(';
        if (end - at > 2 && ((*at | 32) >= 'a' && (*at | 32) <= 'j') && (at[1] == '.' || at[1] == ')' || at[1] == ':')) {
            for (at += 2; at < end && (*at == ' ' || *at == '\t');)
                at++;
            if (at < end && !is_space(*at) && !found++)
                *begin = line - data;
        }
        line = memchr(line + 1, '\n', (size_t)(end - line - 1));
    }
    return found;
}

INLINE double sign_share(double part, double whole) { return part > 0.0 ? pow(part / (whole + 100.0), 0.5) : 0.0; }

/* How often a kind of word stands among words. */
INLINE double often(Py_ssize_t found, Py_ssize_t words) { return pow((double)(found + 2) / (double)words, 0.5) - pow(2.0 / (double)words, 0.5); }

INLINE double from_to(double x, double least_, double most)
{
    x = least_ > x ? least_ : x;
    return x < most ? x : most;
}

/* The numbers of `signs.counted`, SIGNS of them. */
static void count_signs(const struct lists *lists, struct counting *work, const uint8_t *data, Py_ssize_t length, double chars, double *out)
{
    Py_ssize_t kinds[S_KINDS] = {0}, begin = 0, options, words = 0, asked = 0, different = 0, longer = 0, ordinary = 0, story = 0, quantities = 0;
    Py_ssize_t stem_size = 0, numbers = 0, line = 0, squares = 0, wide_commas = 0, addressed = 0;
    int in_number = 0;

    if (length > HEAD + TAIL) {
        memcpy(work->room, data, HEAD);
        work->room[HEAD] = '\n';
        memcpy(work->room + HEAD + 1, data + length - TAIL, TAIL);
        data = work->room;
        length = WINDOW;
    }
    options = options_of(data, length, &begin);
    if (options < 2) {
        options = 0;
        begin = length;
    }
    for (Py_ssize_t i = 0, start = 0; i <= length; i++) {
        const uint8_t byte = i < length ? data[i] : '\n';
        const int kind = sign_kinds[byte];

        if (kind == S_SPACE && start < i) {
            const Py_ssize_t size = i - start;
            const int on = lists_of(lists, work->lower + start, size);
            work->words[words++] = (struct said){(uint16_t)start, (uint16_t)size, 0};
            longer += size > 7;
            ordinary += (on & IN_ORDINARY) != 0;
            if (start < begin) {
                story += (on & IN_STORY) != 0;
                quantities += (on & IN_QUANTITY) != 0;
                addressed += (on & IS_ADDRESSED) != 0;
                asked++;
            }
        }
        if (kind == S_SPACE)
            start = i + 1;
        if (i >= length)
            break;
        work->lower[i] = (uint8_t)(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
        kinds[kind]++;
        if (i < begin) {
            stem_size += kind != S_SPACE;
            line += kind != S_SPACE;
            if (byte == '\n') {
                squares += line * line;
                line = 0;
            }
        }
        if (kind == S_DIGIT) {
            numbers += !in_number;
            in_number = 1;
        } else if (kind != S_JOINER && kind != S_COMMA && byte != '.') {
            in_number = 0;
        }
        if (kind == S_WIDE && ((byte == 0xEF && i + 2 < length && data[i + 1] == 0xBC && data[i + 2] == 0x8C)
                               || (byte == 0xE3 && i + 2 < length && data[i + 1] == 0x80 && data[i + 2] == 0x81)
                               || (byte == 0xD8 && i + 1 < length && data[i + 1] == 0x8C)))
            wide_commas++;
    }
    squares += line * line; /* the last line of the stem */
    Py_ssize_t places = 64;
    while (places < 2 * asked)
        places *= 2;
    memset(work->set, 0, (size_t)places * sizeof *work->set);
    for (Py_ssize_t i = 0; i < asked; i++) {
        struct said *word = &work->words[i];
        Py_ssize_t place;
        word->hash = hash_of((const char *)work->lower + word->start, word->size);
        for (place = word->hash & (uint32_t)(places - 1); work->set[place]; place = (place + 1) & (places - 1)) {
            const struct said *other = &work->words[work->set[place] - 1];
            if (other->hash == word->hash && other->size == word->size
                && memcmp(work->lower + other->start, work->lower + word->start, word->size) == 0)
                break;
        }
        if (!work->set[place]) {
            work->set[place] = (uint16_t)(i + 1);
            different++;
        }
    }
    const Py_ssize_t offered = options ? (length - kinds[S_SPACE] - stem_size) / options : 0;
    double factor = chars / ((double)length + 1.0);
    const double size = (double)(length - kinds[S_SPACE] + 1), word = (double)(words + 1), stem = (double)stem_size;

    factor = factor > 1.0 ? factor : 1.0;
    if (options)
        numbers = kinds[S_OPERATOR] = 0;
    *out++ = log(100.0 + size * factor) / 8.0;
    *out++ = log(100.0 + stem * factor) / 8.0;
    *out++ = log(20.0 + word * factor) / 6.0;
    *out++ = least(1.0, (size + 5.0 * 20.0) / (word + 20.0) / 12.0);
    *out++ = sign_share((double)longer + 0.15 * 20.0, word);
    *out++ = from_to(((double)ordinary + 0.4 * 20.0) / (word + 20.0), 0.2, 0.6);
    *out++ = log(8.0 + factor * (double)(kinds[S_COMMA] + wide_commas)) / 4.0;
    *out++ = log(1.0 + factor * (double)(kinds[S_END] + kinds[S_ASK])) / 4.0;
    *out++ = log(8.0 + factor * (double)numbers) / 4.0;
    *out++ = sign_share((double)kinds[S_DIGIT], size);
    *out++ = (double)(options < 10 ? options : 10) / 10.0;
    *out++ = log(1.0 + (double)offered) / 6.0;
    *out++ = sign_share((double)kinds[S_BRACKET], size);
    *out++ = sign_share(options ? 0.0 : (double)(kinds[S_OPERATOR] + kinds[S_BLANK]), size);
    *out++ = sign_share((double)kinds[S_QUOTE], size);
    *out++ = least(1.0, (double)kinds[S_ASK] / 4.0);
    *out++ = sign_share((double)kinds[S_WIDE], size);
    *out++ = log(300.0 + (stem_size ? (double)squares / stem : 0.0)) / 8.0;
    *out++ = log((double)(20 + asked) / (double)(20 + different));
    *out++ = often(story, asked + 40);
    *out++ = often(quantities, asked + 20);
    *out++ = least(1.0, (double)kinds[S_BLANK] / 2.0);
    *out++ = often(addressed, asked + 40);
}

/* The lists of `signs`: ordinary words, somebody, quantities, who is told. Trained heads read them here, a ladder is given its own. */
static const char *const sign_words[SIGN_LISTS] = {
    "a about all an and are as at be been but by can could did do down each find first for from get go had has have he her him his "
    "how i if in into is it its like long make many me more my no not now of on one or other out she so some than that the their "
    "them then there these they this to was way we were what when which who will with would you your",
    "he her him his it its me my our she their them they us we",
    "altogether amount average both cost costs difference double dozen each eight eleven every fifty five forty four half hundred "
    "left many million much nine number one pair per percent percentage price quarter remaining seven six sum ten third thirty "
    "thousand three total triple twelve twenty twice two",
    "you your"};

/* The numbers of `surface.SIGNS`, TOLD of them. Called with the interpreter's lock: the lists are filed at the first call. */
static void tell_signs(const uint8_t *data, Py_ssize_t length, double chars, double *out)
{
    static const uint8_t told[TOLD] = {5, 4, 7, 8, 17, 18, 19, 20, 21, 22};
    static struct lists known;
    struct counting work;
    double found[SIGNS];

    if (!known.words)
        for (int which = 0; which < SIGN_LISTS; which++)
            file_list(&known, sign_words[which], (Py_ssize_t)strlen(sign_words[which]), 1 << which);
    count_signs(&known, &work, data, length, chars, found);
    for (int i = 0; i < TOLD; i++)
        out[i] = found[told[i]];
}

INLINE double weighed(double sign, const struct term *term, double clip)
{
    const double spreads = (sign - term->centre) * term->inverse;

    return term->weight * (spreads > clip ? clip : spreads < -clip ? -clip : spreads);
}

/* What a text adds to the difficulty. */
static double weigh_text(const Ladder *ladder, struct counting *work, const uint8_t *data, Py_ssize_t size, double chars)
{
    double found[SIGNS], total = 0.0;

    count_signs(&ladder->lists, work, data, size, chars, found);
    for (int i = 0; i < SIGNS; i++)
        total += weighed(found[i], &ladder->text_terms[i], ladder->clip);
    return total;
}

static int asks(const uint8_t *data, Py_ssize_t from, Py_ssize_t to)
{
    for (Py_ssize_t i = from; i < to; i++)
        if (data[i] == '?' || (data[i] == 0xEF && i + 2 < to && data[i + 1] == 0xBC && data[i + 2] == 0x9F))
            return 1;
    return 0;
}

/* Where the core of a text ends: behind the first end of a sentence among the last bytes; 0 = it has none of its own. */
static Py_ssize_t core_of(const uint8_t *data, Py_ssize_t size)
{
    Py_ssize_t end = 0;

    for (Py_ssize_t i = size - CORE_APPENDED > CORE_FEWEST ? size - CORE_APPENDED : CORE_FEWEST; i < size && !end; i++) {
        const uint8_t byte = data[i];
        if (byte == '\n' || ((byte == '.' || byte == '!' || byte == '?' || byte == ';' || byte == ':') && i + 1 < size && is_space(data[i + 1])))
            end = i + 1;
        else if (byte == 0xE3 && i + 2 < size && data[i + 1] == 0x80 && data[i + 2] == 0x82)
            end = i + 3;
    }
    if (end == 0 || end == size || (asks(data, end, size) && !asks(data, 0, end)))
        return 0;
    return end;
}

/* Reads `data` and `chars` of a call. -1 with an exception. */
static int take_text(PyObject *const *args, const uint8_t **data, Py_ssize_t *size, Py_ssize_t *chars)
{
    if (!PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "a text is given as its bytes");
        return -1;
    }
    *data = (const uint8_t *)PyBytes_AS_STRING(args[0]);
    *size = PyBytes_GET_SIZE(args[0]);
    *chars = PyLong_AsSsize_t(args[1]);
    if (*chars == -1 && PyErr_Occurred())
        return -1;
    *chars = *chars > 0 ? *chars : 0;
    return 0;
}

static PyObject *Ladder_score(Ladder *self, PyObject *const *args, Py_ssize_t count)
{
    struct counting work;
    const uint8_t *data;
    Py_ssize_t size, chars;
    double looks = 0.0, p[MOST_PLACES];

    if (count != 3 || !PyTuple_Check(args[2]) || PyTuple_GET_SIZE(args[2]) != self->structural) {
        PyErr_Format(PyExc_TypeError, "score(data, chars, a tuple of %d structural features)", self->structural);
        return NULL;
    }
    if (take_text(args, &data, &size, &chars) < 0)
        return NULL;
    for (int i = 0; i < self->looks; i++) {
        const double look = PyFloat_AsDouble(PyTuple_GET_ITEM(args[2], self->kept[i]));
        if (look == -1.0 && PyErr_Occurred())
            return NULL;
        looks += weighed(look, &self->look_terms[i], self->clip);
    }
    const Py_ssize_t core = core_of(data, size);
    double difficulty = weigh_text(self, &work, data, size, (double)chars);
    if (core) {
        const Py_ssize_t left = chars - (size - core);
        const double shorter = weigh_text(self, &work, data, core, (double)(left > core ? left : core));
        difficulty = shorter < difficulty ? shorter : difficulty;
    }
    for (int i = 0; i < self->places; i++) {
        const double below = looks + difficulty - self->offsets[i];
        p[i] = 1.0 / (1.0 + exp(below < 700.0 ? below : 700.0));
    }
    return floats(p, self->places);
}

static PyObject *Ladder_signs(Ladder *self, PyObject *const *args, Py_ssize_t count)
{
    struct counting work;
    const uint8_t *data;
    Py_ssize_t size, chars;
    double found[SIGNS];

    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "signs(data, chars)");
        return NULL;
    }
    if (take_text(args, &data, &size, &chars) < 0)
        return NULL;
    count_signs(&self->lists, &work, data, size, (double)chars, found);
    return floats(found, SIGNS);
}

static PyObject *Ladder_core(Ladder *self, PyObject *data)
{
    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "a text is given as its bytes");
        return NULL;
    }
    return PyLong_FromSsize_t(core_of((const uint8_t *)PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)));
}

/* (n, 3) numbers as terms. -1 with an exception. */
static int take_terms(PyObject *source, struct term *terms, Py_ssize_t count, const char *name)
{
    Py_buffer view = {0};
    int result = -1;

    if (borrow(source, &view, 'd', 2, name) < 0)
        return -1;
    if (is_long(&view, 0, count, name) == 0 && is_long(&view, 1, 3, name) == 0) {
        memcpy(terms, view.buf, (size_t)count * sizeof *terms);
        result = 0;
    }
    PyBuffer_Release(&view);
    return result;
}

/* Which structural features count. -1 with an exception. */
static int take_kept(Ladder *self, PyObject *kept)
{
    const Py_ssize_t count = PyTuple_GET_SIZE(kept);

    for (Py_ssize_t i = 0; i < count && i < MOST_LOOKS; i++) {
        const long at = PyLong_AsLong(PyTuple_GET_ITEM(kept, i));
        if (at == -1 && PyErr_Occurred())
            return -1;
        if (at < 0 || at >= self->structural)
            break;
        self->kept[self->looks++] = (int)at;
    }
    if (self->looks == count)
        return 0;
    PyErr_SetString(PyExc_ValueError, "a structural feature that is not there");
    return -1;
}

static PyObject *Ladder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"words", "structural", "kept", "looks", "text", "offsets", "clip", NULL};
    const char *lists[SIGN_LISTS];
    Py_ssize_t sizes[SIGN_LISTS];
    PyObject *kept, *looks, *text, *offsets;
    Ladder *self = (Ladder *)type->tp_alloc(type, 0);

    if (self == NULL)
        return NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "(y#y#y#y#)iO!OOO!d:Ladder", names, &lists[0], &sizes[0], &lists[1], &sizes[1], &lists[2],
                                     &sizes[2], &lists[3], &sizes[3], &self->structural, &PyTuple_Type, &kept, &looks, &text, &PyTuple_Type, &offsets, &self->clip))
        goto refused;
    for (int which = 0; which < SIGN_LISTS; which++)
        if (file_list(&self->lists, lists[which], sizes[which], 1 << which) < 0)
            goto refused;
    if (take_kept(self, kept) < 0 || take_terms(looks, self->look_terms, self->looks, "looks") < 0
        || take_terms(text, self->text_terms, SIGNS, "text") < 0)
        goto refused;
    if (PyTuple_GET_SIZE(offsets) > MOST_PLACES) {
        PyErr_SetString(PyExc_ValueError, "too many places");
        goto refused;
    }
    for (; self->places < PyTuple_GET_SIZE(offsets); self->places++) {
        self->offsets[self->places] = PyFloat_AsDouble(PyTuple_GET_ITEM(offsets, self->places));
        if (self->offsets[self->places] == -1.0 && PyErr_Occurred())
            goto refused;
    }
    return (PyObject *)self;
refused:
    Py_DECREF(self);
    return NULL;
}

static void Plain_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef Ladder_methods[] = {
    {"score", (PyCFunction)(void (*)(void))Ladder_score, METH_FASTCALL, "score(data, chars, structural) -> P(acceptable) per place"},
    {"signs", (PyCFunction)(void (*)(void))Ladder_signs, METH_FASTCALL, "signs(data, chars) -> what is counted in a text"},
    {"core", (PyCFunction)Ladder_core, METH_O, "core(data) -> where the text without what was appended ends; 0 = nowhere"},
    {NULL, NULL, 0, NULL}};

static PyType_Slot Ladder_slots[] = {{Py_tp_new, Ladder_new}, {Py_tp_dealloc, Plain_dealloc}, {Py_tp_methods, Ladder_methods},
                                     {Py_tp_doc, "The shipped guess."}, {0, NULL}};
static PyType_Spec Ladder_spec = {"pointsman.classify.kernel._kernel.Ladder", sizeof(Ladder), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, Ladder_slots};
