/* Table: the static embedder's words and pieces. */

#define END_CHARS 1024
#define UNKNOWN_BYTES 512
#define NUMBER_DIGITS 6
#define MOST_DIMS 4096
#define MOST_HEARD (2 * UNKNOWN_BYTES)
#define AHEAD 12 /* rows asked of the memory before they are needed: they lie all over a few megabytes */

enum { NOTHING, LETTER, DIGIT, SIGN };

static uint8_t ascii_kind[128];
static uint64_t hash_seed; /* differs from process to process, so that nobody can write a text whose words all collide */

typedef struct {
    PyObject_HEAD
    Py_buffer rows, scale;
    Py_ssize_t dims, known;
    uint32_t buckets, mask;
    uint32_t *slots; /* open addressing over the words: number + 1, 0 = free */
    uint32_t *ends;  /* word i is text[ends[i] : ends[i + 1]] */
    char *text;
    int32_t zeros[NUMBER_DIGITS + 1]; /* rows of "0", "00", ...; -1 = unknown */
} Table;

INLINE int kind_of(Py_UCS4 c)
{
    if (c < 128)
        return ascii_kind[c];
    if (Py_UNICODE_ISALNUM(c))
        return Py_UNICODE_ISDECIMAL(c) ? DIGIT : LETTER;
    return Py_UNICODE_ISSPACE(c) ? NOTHING : SIGN;
}

INLINE uint64_t hashed(uint64_t hash, uint8_t byte) { return (hash ^ byte) * 0x100000001B3u; }

INLINE uint32_t finished(uint64_t hash) { return (uint32_t)((hash ^ (hash >> 29)) * 0x9E3779B97F4A7C15u >> 32); }

static uint32_t hash_of(const char *word, size_t size)
{
    uint64_t hash = hash_seed;

    for (size_t i = 0; i < size; i++)
        hash = hashed(hash, (uint8_t)word[i]);
    return finished(hash);
}

/* The row of a word, or -1. */
static int32_t row_of(const Table *table, const char *word, uint32_t size, uint32_t hash)
{
    for (uint32_t at = hash & table->mask;; at = (at + 1) & table->mask) {
        uint32_t number = table->slots[at];

        if (number == 0)
            return -1;
        const uint32_t start = table->ends[number - 1];
        if (table->ends[number] - start == size && memcmp(table->text + start, word, size) == 0)
            return (int32_t)(number - 1);
    }
}

/* What was read of a text: rows of the words that are known and of the pieces of those that are not. */
struct heard {
    uint32_t *rows; /* room for every word of the text and for all pieces */
    Py_ssize_t known, pieces;
};

struct spoken { /* a distinct word */
    uint32_t start, size, hash;
    uint16_t chars;
    uint8_t kind, is_surrogate;
};

/* The last part of a spelling: pieces of the unknown words, and the numbers by their count of digits. */
static void hear_unknown(const Table *table, struct heard *heard, uint8_t *raw, Py_ssize_t size, unsigned lengths)
{
    for (int digits = 1; digits <= NUMBER_DIGITS; digits++)
        if ((lengths >> digits & 1) && table->zeros[digits] >= 0)
            heard->rows[heard->known++] = (uint32_t)table->zeros[digits];
    if (size <= 1)
        return;
    for (int i = 0; i < 2 && size < UNKNOWN_BYTES; i++)
        raw[size++] = ' ';
    for (int width = 3; width <= 4; width++)
        for (Py_ssize_t i = 0; i + width <= size; i++) {
            uint32_t mixed = raw[i] * 0x9E3779B1u + raw[i + 1] * 0x85EBCA77u + raw[i + 2] * 0xC2B2AE3Du;

            mixed += width == 4 ? raw[i + 3] * 0x27D4EB2Fu : 0;
            mixed ^= mixed >> 15;
            heard->rows[heard->known + heard->pieces++] = (uint32_t)table->known + (mixed * 0x9E3779B1u >> 7) % table->buckets;
        }
}

/* The text that is read: the two ends of a long one; a new reference to an exact string. */
static PyObject *shown_of(PyObject *text)
{
    Py_ssize_t chars = PyUnicode_GET_LENGTH(text);
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    Py_UCS4 both[2 * END_CHARS + 1];

    if (chars <= 2 * END_CHARS)
        return PyUnicode_FromObject(text);
    for (Py_ssize_t i = 0; i < END_CHARS; i++) {
        both[i] = PyUnicode_READ(kind, data, i);
        both[END_CHARS + 1 + i] = PyUnicode_READ(kind, data, chars - END_CHARS + i);
    }
    both[END_CHARS] = ' ';
    return PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, both, 2 * END_CHARS + 1);
}

/* UTF-8 of a character, a lone surrogate like any other. Returns the bytes written, at most 4. */
INLINE int encoded(Py_UCS4 c, uint8_t *out)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xC0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xE0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (c & 0x3F));
    return 4;
}

/* Reads a text; `heard->rows` is to be freed by the caller. -1 with an exception.
 *
 * Memory: of n characters (at most 2,049, thrice that when lower case is longer) 4 bytes of text each, n distinct words, a
 * set of at least twice as many places, and n rows besides those of the pieces.
 */
static int hear(const Table *table, PyObject *text, struct heard *heard)
{
    PyObject *shown = shown_of(text), *lower;
    Py_ssize_t chars;
    uint8_t raw[UNKNOWN_BYTES + 4];
    Py_ssize_t raw_size = 0;
    unsigned lengths = 0;
    uint32_t places = 64, words = 0, written = 0;
    int result = -1;

    heard->rows = NULL;
    heard->known = heard->pieces = 0;
    if (shown == NULL)
        return -1;
    if (PyUnicode_IS_ASCII(shown)) {
        lower = shown; /* bytes are made small below */
    } else {
        lower = PyObject_CallMethod(shown, "lower", NULL);
        Py_DECREF(shown);
        if (lower == NULL)
            return -1;
    }
    chars = PyUnicode_GET_LENGTH(lower);
    while (places < 2 * (size_t)chars)
        places *= 2;

    const size_t set_bytes = places * sizeof(uint16_t), words_bytes = (size_t)(chars + 1) * sizeof(struct spoken);
    char *memory = chars > UINT16_MAX - 1 ? NULL : PyMem_Malloc(words_bytes + set_bytes + 4 * (size_t)chars + 4);
    heard->rows = PyMem_Malloc(((size_t)chars + NUMBER_DIGITS + MOST_HEARD) * sizeof(uint32_t));
    if (memory == NULL || heard->rows == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    struct spoken *distinct = (struct spoken *)memory;
    uint16_t *set = (uint16_t *)(memory + words_bytes);
    uint8_t *bytes = (uint8_t *)(memory + words_bytes + set_bytes);
    memset(set, 0, set_bytes);

    const int unicode = PyUnicode_KIND(lower);
    const int is_ascii = PyUnicode_IS_ASCII(lower);
    const void *data = PyUnicode_DATA(lower);
    for (Py_ssize_t at = 0; at < chars;) {
        Py_UCS4 c = PyUnicode_READ(unicode, data, at);
        const int kind = kind_of(c);
        const uint32_t start = written;
        const Py_ssize_t first = at;
        const int is_surrogate = c >= 0xD800 && c <= 0xDFFF;
        uint64_t hash = hash_seed;

        if (kind == NOTHING) {
            at++;
            continue;
        }
        do {
            if (is_ascii) {
                const uint8_t byte = (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c);
                bytes[written++] = byte;
                hash = hashed(hash, byte);
            } else {
                const int size = encoded(c, bytes + written);
                for (int i = 0; i < size; i++)
                    hash = hashed(hash, bytes[written++]);
            }
            if (++at >= chars || kind == SIGN)
                break;
            c = PyUnicode_READ(unicode, data, at);
        } while (kind_of(c) == kind);

        const uint32_t size = written - start, sum = finished(hash);
        uint32_t place = sum & (places - 1);
        for (; set[place]; place = (place + 1) & (places - 1)) {
            const struct spoken *other = &distinct[set[place] - 1];
            if (other->hash == sum && other->size == size && memcmp(bytes + other->start, bytes + start, size) == 0)
                break;
        }
        if (set[place]) { /* said before */
            written = start;
            continue;
        }
        PREFETCH(table->slots + (sum & table->mask));
        distinct[words] = (struct spoken){start, size, sum, (uint16_t)(at - first), (uint8_t)kind, (uint8_t)is_surrogate};
        set[place] = (uint16_t)++words;
    }
    for (uint32_t i = 0; i < words + AHEAD; i++) { /* each word is looked for in three places, one naming the next */
        uint32_t number;

        if (i < words && (number = table->slots[distinct[i].hash & table->mask]) != 0)
            PREFETCH(table->ends + number);
        if (i >= AHEAD / 2 && i - AHEAD / 2 < words && (number = table->slots[distinct[i - AHEAD / 2].hash & table->mask]) != 0)
            PREFETCH(table->text + table->ends[number - 1]);
        if (i < AHEAD)
            continue;
        const struct spoken *word = &distinct[i - AHEAD];
        const int32_t row = row_of(table, (const char *)bytes + word->start, word->size, word->hash);
        if (row >= 0) {
            heard->rows[heard->known++] = (uint32_t)row;
        } else if (word->kind == DIGIT) {
            lengths |= 1u << (word->chars < NUMBER_DIGITS ? word->chars : NUMBER_DIGITS);
        } else if (raw_size < UNKNOWN_BYTES) {
            raw[raw_size++] = ' ';
            if (word->is_surrogate) {
                if (raw_size < UNKNOWN_BYTES)
                    raw[raw_size++] = '?';
            } else {
                const uint32_t room = (uint32_t)(UNKNOWN_BYTES - raw_size), taken = word->size < room ? word->size : room;
                memcpy(raw + raw_size, bytes + word->start, taken);
                raw_size += taken;
            }
        }
    }
    hear_unknown(table, heard, raw, raw_size, lengths);
    result = 0;
done:
    PyMem_Free(memory);
    Py_DECREF(lower);
    if (result < 0) {
        PyMem_Free(heard->rows);
        heard->rows = NULL;
    }
    return result;
}

/* The vector of a text, `dims` numbers. -1 with an exception. */
static int embed(const Table *table, PyObject *text, float *out)
{
    struct heard heard;
    const int8_t *rows = table->rows.buf;
    const float *scale = table->scale.buf;
    const Py_ssize_t dims = table->dims;

    if (hear(table, text, &heard) < 0)
        return -1;
    memset(out, 0, (size_t)dims * sizeof *out);
    const Py_ssize_t count = heard.known + heard.pieces;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (i + AHEAD < count) {
            const int8_t *soon = rows + (Py_ssize_t)heard.rows[i + AHEAD] * dims;
            PREFETCH(soon);
            PREFETCH(soon + dims - 1);
            PREFETCH(scale + heard.rows[i + AHEAD]);
        }
        sums->add(out, rows + (Py_ssize_t)heard.rows[i] * dims, scale[heard.rows[i]], dims);
    }
    PyMem_Free(heard.rows);
    const double length = sqrt((double)sums->dot(out, out, dims));
    if (!(length >= 1e-6)) {
        memset(out, 0, (size_t)dims * sizeof *out);
        out[0] = 1.0f;
        return 0;
    }
    for (Py_ssize_t i = 0; i < dims; i++)
        out[i] /= (float)length;
    return 0;
}

/* Files the words, which stand one a line in `text`. -1 with an exception. */
static int file_words(Table *table, const char *text, Py_ssize_t size)
{
    Py_ssize_t count = 1;
    uint32_t places = 64, number = 0;

    if (size >= INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "words take more than two gigabytes");
        return -1;
    }
    for (Py_ssize_t i = 0; i < size; i++)
        count += text[i] == '\n';
    while (places < 2 * (size_t)count)
        places *= 2;
    table->mask = places - 1;
    table->known = count;
    table->text = PyMem_Malloc((size_t)size + 1);
    table->slots = PyMem_Calloc(places, sizeof *table->slots);
    table->ends = PyMem_Malloc(((size_t)count + 1) * sizeof *table->ends);
    if (table->text == NULL || table->slots == NULL || table->ends == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    /* Without the line ends, so that each word ends where the next begins. */
    uint32_t kept = 0, start = 0;
    table->ends[0] = 0;
    for (Py_ssize_t i = 0; i <= size; i++) {
        if (i < size && text[i] != '\n') {
            table->text[kept++] = text[i];
            continue;
        }
        const uint32_t length = kept - start;
        uint32_t place = hash_of(table->text + start, length) & table->mask;
        table->ends[++number] = kept;
        for (; table->slots[place]; place = (place + 1) & table->mask) {
            const uint32_t other = table->slots[place] - 1;
            if (table->ends[other + 1] - table->ends[other] == length
                && memcmp(table->text + table->ends[other], table->text + start, length) == 0)
                break; /* twice in the table: the last row counts */
        }
        table->slots[place] = number;
        start = kept;
    }
    for (int digits = 1; digits <= NUMBER_DIGITS; digits++)
        table->zeros[digits] = row_of(table, "000000", (uint32_t)digits, hash_of("000000", (size_t)digits));
    return 0;
}

static PyObject *Table_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"words", "rows", "scale", NULL};
    const char *words;
    Py_ssize_t size;
    PyObject *rows, *scale;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y#OO:Table", names, &words, &size, &rows, &scale))
        return NULL;
    Table *self = (Table *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    if (borrow(rows, &self->rows, 'b', 2, "rows") < 0 || borrow(scale, &self->scale, 'f', 1, "scale") < 0
        || is_long(&self->scale, 0, self->rows.shape[0], "scale") < 0 || is_finite(&self->scale, "scale") < 0
        || file_words(self, words, size) < 0)
        goto refused;
    self->dims = self->rows.shape[1];
    const Py_ssize_t buckets = self->rows.shape[0] - self->known;
    if (buckets < 1 || self->rows.shape[0] > INT32_MAX || self->dims < 1 || self->dims > MOST_DIMS) {
        PyErr_Format(PyExc_ValueError, "rows has %zd rows of %zd numbers for %zd words", self->rows.shape[0], self->dims, self->known);
        goto refused;
    }
    self->buckets = (uint32_t)buckets;
    return (PyObject *)self;
refused:
    Py_DECREF(self);
    return NULL;
}

static void Table_dealloc(Table *self)
{
    PyTypeObject *type = Py_TYPE(self);

    if (self->rows.obj != NULL)
        PyBuffer_Release(&self->rows);
    if (self->scale.obj != NULL)
        PyBuffer_Release(&self->scale);
    PyMem_Free(self->slots);
    PyMem_Free(self->ends);
    PyMem_Free(self->text);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *Table_embed(Table *self, PyObject *text)
{
    float vector[MOST_DIMS];

    if (!PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "a text is a string");
        return NULL;
    }
    if (embed(self, text, vector) < 0)
        return NULL;
    return PyBytes_FromStringAndSize((const char *)vector, self->dims * (Py_ssize_t)sizeof *vector);
}

static PyObject *numbers_of(const uint32_t *numbers, Py_ssize_t count)
{
    PyObject *list = PyList_New(count);

    for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
        PyObject *number = PyLong_FromUnsignedLong(numbers[i]);
        if (number == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, number);
    }
    return list;
}

static PyObject *Table_rows(Table *self, PyObject *text)
{
    struct heard heard;

    if (!PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "a text is a string");
        return NULL;
    }
    if (hear(self, text, &heard) < 0)
        return NULL;
    PyObject *known = numbers_of(heard.rows, heard.known), *pieces = numbers_of(heard.rows + heard.known, heard.pieces);
    PyMem_Free(heard.rows);
    if (known == NULL || pieces == NULL) {
        Py_XDECREF(known);
        Py_XDECREF(pieces);
        return NULL;
    }
    return Py_BuildValue("NN", known, pieces);
}

static PyMethodDef Table_methods[] = {
    {"embed", (PyCFunction)Table_embed, METH_O, "The vector of a text, as the bytes of its floats."},
    {"rows", (PyCFunction)Table_rows, METH_O, "Rows of the known words, and of the pieces of the others."},
    {NULL, NULL, 0, NULL}};

static PyType_Slot Table_slots[] = {{Py_tp_new, Table_new}, {Py_tp_dealloc, Table_dealloc}, {Py_tp_methods, Table_methods},
                                    {Py_tp_doc, "Words and pieces of words, each a short row of small numbers."}, {0, NULL}};
static PyType_Spec Table_spec = {"pointsman.classify.kernel._kernel.Table", sizeof(Table), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, Table_slots};
