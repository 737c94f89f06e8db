/* Words and pairs of a text, as buckets; and what can be counted in it. */

#define HEAD 2048
#define TAIL 1024
#define WINDOW (HEAD + TAIL + 1)
#define BUCKETS 65536
#define MOST_IDS (2 * WINDOW)
#define POWERS 64

enum { SPACE, WORD, NUMBER, MARK, OTHER, REST };

struct spelling {
    uint64_t codes[256], powers[POWERS];
    uint8_t kinds[256]; /* those of the numpy code, `REST` told apart */
};

/* -1 with ValueError unless the tables are of the size and values that are needed. */
static int take_spelling(struct spelling *spelling, const char *kinds, Py_ssize_t kinds_size, const char *codes, Py_ssize_t codes_size)
{
    uint64_t power = 1;

    if (kinds_size != 256 || codes_size != (Py_ssize_t)sizeof spelling->codes) {
        PyErr_SetString(PyExc_ValueError, "a kind and a code are needed for each of 256 bytes");
        return -1;
    }
    memcpy(spelling->kinds, kinds, 256);
    memcpy(spelling->codes, codes, sizeof spelling->codes);
    for (int i = 0; i < POWERS; i++)
        spelling->powers[i] = power *= 0x9E3779B97F4A7C15u;
    return 0;
}

/* The two ends of a long text. `room` holds WINDOW bytes and is used for a long one. */
static const uint8_t *window(const uint8_t *data, Py_ssize_t *size, uint8_t *room)
{
    if (*size <= HEAD + TAIL)
        return data;
    memcpy(room, data, HEAD);
    room[HEAD] = ' ';
    memcpy(room + HEAD + 1, data + *size - TAIL, TAIL);
    *size = WINDOW;
    return room;
}

INLINE uint16_t bucket(uint64_t hash)
{
    uint64_t mixed = (hash ^ hash >> 32) * 0xD6E8FEB86659FD93u;

    return (uint16_t)((mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93u >> 48);
}

/* Ascending. Two passes, a byte each: as quick for sixty words as for six thousand. */
static void sort(uint16_t *ids, uint16_t *room, Py_ssize_t count)
{
    for (int shift = 0; shift < 16; shift += 8) {
        Py_ssize_t starts[256] = {0}, start = 0;

        for (Py_ssize_t i = 0; i < count; i++)
            starts[ids[i] >> shift & 255]++;
        for (int i = 0; i < 256; i++) {
            const Py_ssize_t here = starts[i];
            starts[i] = start;
            start += here;
        }
        for (Py_ssize_t i = 0; i < count; i++)
            room[starts[ids[i] >> shift & 255]++] = ids[i];
        uint16_t *other = ids;
        ids = room;
        room = other;
    }
}

/* The different buckets of a window's words and pairs, ascending, and how often each occurs. Returns how many there are.
 * `ids` and `counts` have room for MOST_IDS.
 */
static Py_ssize_t ids_of(const struct spelling *spelling, const uint8_t *data, Py_ssize_t size, uint16_t *ids, uint16_t *counts)
{
    Py_ssize_t count = 0, different = 0;
    uint64_t before = 0;
    int kind_before = MARK; /* which pairs with nothing */

    for (Py_ssize_t at = 0; at < size;) {
        int kind = spelling->kinds[data[at]];
        uint64_t hash = 0;
        int place = 0;

        kind = kind == REST ? OTHER : kind;
        do {
            hash += spelling->codes[data[at]] * spelling->powers[place];
            place += place < POWERS - 1;
            at++;
        } while (at < size && kind != MARK && data[at] < 0xC0
                 && (spelling->kinds[data[at]] == kind || (kind == OTHER && spelling->kinds[data[at]] == REST)));
        if (kind == SPACE)
            continue;
        ids[count++] = bucket(hash);
        if (kind != MARK && kind_before != MARK)
            ids[count++] = bucket(before * 0xA24BAED4963EE407u + hash);
        before = hash;
        kind_before = kind;
    }
    sort(ids, counts, count);
    for (Py_ssize_t i = 0; i < count;) {
        Py_ssize_t next = i + 1;
        while (next < count && ids[next] == ids[i])
            next++;
        ids[different] = ids[i];
        counts[different++] = (uint16_t)(next - i);
        i = next;
    }
    return different;
}

static PyObject *kernel_ids(PyObject *module, PyObject *args)
{
    const char *data, *kinds, *codes;
    Py_ssize_t size, kinds_size, codes_size;
    struct spelling spelling;
    uint8_t room[WINDOW];
    uint16_t ids[MOST_IDS], counts[MOST_IDS];
    uint32_t wide[MOST_IDS];

    if (!PyArg_ParseTuple(args, "y#y#y#:ids", &data, &size, &kinds, &kinds_size, &codes, &codes_size)
        || take_spelling(&spelling, kinds, kinds_size, codes, codes_size) < 0)
        return NULL;
    const uint8_t *shown = window((const uint8_t *)data, &size, room);
    const Py_ssize_t different = ids_of(&spelling, shown, size, ids, counts);
    PyObject *lists[2];
    for (int which = 0; which < 2; which++) {
        for (Py_ssize_t i = 0; i < different; i++)
            wide[i] = (which ? counts : ids)[i];
        lists[which] = numbers_of(wide, different);
    }
    if (lists[0] == NULL || lists[1] == NULL) {
        Py_XDECREF(lists[0]);
        Py_XDECREF(lists[1]);
        return NULL;
    }
    return Py_BuildValue("NN", lists[0], lists[1]);
}

#define BENDS 9
#define TOLD 10 /* signs among them */
#define COUNTED (1 + BENDS + 11 + TOLD)

INLINE double least(double a, double b) { return a < b ? a : b; }

static double share(Py_ssize_t part, double size) { return sqrt((double)part / size); }

static void tell_signs(const uint8_t *data, Py_ssize_t length, double chars, double *out); /* signs.h */

/* The numbers of `surface.read` behind the structural ones, `COUNTED` of them. */
static void count_surface(const uint8_t *data, Py_ssize_t length, double chars, double *out)
{
    uint32_t seen[256] = {0};
    uint32_t options = 0;
    Py_ssize_t words = 0, digits = 0, capitals = 0, marks = 0, wide = 0;
    int in_word = 0, begins = 0;

    for (Py_ssize_t i = 0; i < length; i++) {
        const uint8_t byte = data[i];
        const int is_word = !(byte == ' ' || (byte >= '\t' && byte <= '\r'));

        seen[byte]++;
        words += is_word & !in_word;
        in_word = is_word;
        begins |= byte == '\n' && i + 1 < length && (data[i + 1] == 'A' || data[i + 1] == 'B');
        if (byte == '\n' && i + 2 < length && data[i + 1] >= 'A' && data[i + 1] <= 'J') {
            const uint8_t end = data[i + 2];
            const int which = end == '.' ? 0 : end == ')' ? 1 : end == ':' ? 2 : -1;
            if (which >= 0)
                options |= 1u << (3 * (data[i + 1] - 'A') + which);
        }
    }
    for (int c = '0'; c <= '9'; c++)
        digits += seen[c];
    for (int c = 'A'; c <= 'Z'; c++)
        capitals += seen[c];
    for (int c = 33; c < 127; c++)
        marks += seen[c];
    for (int c = 'a'; c <= 'z'; c++)
        marks -= seen[c];
    marks -= digits + capitals;
    for (int c = 0xC0; c < 256; c++)
        wide += seen[c];
    int answers = 0;
    for (options = begins ? options : 0; options; options &= options - 1)
        answers++;

    const double size = (double)length + 1.0, loud = log(1.0 + chars);
    *out++ = loud / 8.0;
    for (int i = 0; i < BENDS; i++) {
        const double over = loud - log(1.0 + (double)(32 << i));
        *out++ = (over > 0.0 ? over : 0.0) / 8.0;
    }
    *out++ = log(1.0 + seen['\n']) / 4;
    *out++ = log(1.0 + (double)words) / 8.0;
    *out++ = least(1.0, (double)length / (double)(words + 1) / 12);
    *out++ = share(digits, size);
    *out++ = share(capitals, size);
    *out++ = share(marks, size);
    *out++ = share(wide, size);
    *out++ = least(1.0, seen['?'] / 4.0);
    *out++ = answers / 10.0;
    *out++ = share((Py_ssize_t)seen['('] + seen[')'] + seen['['] + seen[']'] + seen['{'] + seen['}'] + seen['<'] + seen['>'], size);
    *out++ = least(1.0, log(1.0 + seen[',']) / 5);
    tell_signs(data, length, chars, out);
}

static PyObject *kernel_surface(PyObject *module, PyObject *args)
{
    const char *data;
    Py_ssize_t size, chars;
    uint8_t room[WINDOW];
    double counted[COUNTED];

    if (!PyArg_ParseTuple(args, "y#n:surface", &data, &size, &chars))
        return NULL;
    const uint8_t *shown = window((const uint8_t *)data, &size, room);
    count_surface(shown, size, (double)(chars > 0 ? chars : 0), counted);
    PyObject *list = PyList_New(COUNTED);
    for (int i = 0; list != NULL && i < COUNTED; i++) {
        PyObject *number = PyFloat_FromDouble(counted[i]);
        if (number == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, number);
    }
    return list;
}
