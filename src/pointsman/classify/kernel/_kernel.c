/* The arithmetic of the trained static stage: a text in, scores of models out, in one call.
 *
 * What it computes is defined by the readable numpy code in `embedders/static.py`, `heads/ngrams.py`, `heads/surface.py`,
 * `heads/reading.py`, `heads/calibration.py` and `heads/scorer.py`; tests compare the two on whatever text. Integers (rows,
 * buckets, counts) are the same, floats agree but for rounding.
 *
 * Rules of this file:
 * - Objects are immutable once made; a call keeps what it needs in memory of its own. Nothing here calls back into Python code.
 * - Whatever is used as an index was computed here and is bounded, or was checked when the object was made. Numbers in arrays
 *   are only ever added and multiplied: a hostile artifact can give silly scores, and nothing else.
 * - Every array's size is checked against every other before it is read.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(KERNEL_PLAIN) /* -DKERNEL_PLAIN: to test the plain sums */
#define WITH_AVX2 1
#include <immintrin.h>
#endif

#ifndef KERNEL_SOURCE
#define KERNEL_SOURCE ""
#endif

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define INLINE static inline
#define PREFETCH(address) ((void)0)
#endif

/* ------------------------------------------------------------------------------------------------------------------
 * Sums: in plain C, and once more for processors with AVX2, which is chosen when the module is imported.
 */

struct sums {
    /* The product of two vectors. */
    float (*dot)(const float *a, const float *b, Py_ssize_t n);
    /* `out[i]` becomes the product of `a` and row i of `rows`, each n long. */
    void (*dots)(float *out, const float *a, const float *rows, Py_ssize_t count, Py_ssize_t n);
    /* Adds `scale` times a row of small numbers. */
    void (*add)(float *total, const int8_t *row, float scale, Py_ssize_t n);
    /* Cosines become exp((cosine - 1) * steepness). */
    void (*nearness)(float *cosine, Py_ssize_t n, float steepness);
    /* The sum of the third powers of `near`, each times its mass; `nearest` becomes the largest. None is below 0. */
    float (*evidence)(const float *near, const float *masses, Py_ssize_t n, float *nearest);
    const char *name;
};

/* exp, for numbers of which nobody needs more than float's digits: 2^k times a Taylor polynomial over half an octave. */
INLINE float exp_of(float x)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number, which then stands in the low bits */
    uint32_t bits;
    float z, k, r, power;

    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    z = x * 1.44269504f + shift;
    memcpy(&bits, &z, sizeof bits);
    k = z - shift;
    r = (x - k * 0.693359375f) + k * 2.12194440e-4f; /* ln 2 in two parts, the first exact in few bits */
    bits = (bits - 0x4B400000u + 127u) << 23;
    memcpy(&power, &bits, sizeof power);
    return power * (1.0f + r * (1.0f + r * (1.0f / 2 + r * (1.0f / 6 + r * (1.0f / 24 + r * (1.0f / 120 + r * (1.0f / 720 + r * (1.0f / 5040))))))));
}

INLINE void add_body(float *total, const int8_t *row, float scale, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < n; i++)
        total[i] += scale * (float)row[i];
}

INLINE void nearness_body(float *cosine, Py_ssize_t n, float steepness)
{
    for (Py_ssize_t i = 0; i < n; i++)
        cosine[i] = exp_of((cosine[i] - 1.0f) * steepness);
}

#define PARTS 16

INLINE float folded_parts(float *part)
{
    for (int width = PARTS / 2; width; width /= 2)
        for (int j = 0; j < width; j++)
            part[j] += part[j + width];
    return part[0];
}

INLINE float evidence_body(const float *near, const float *masses, Py_ssize_t n, float *nearest)
{
    float part[PARTS] = {0}, most[PARTS] = {0}, rest = 0.0f;
    Py_ssize_t i = 0;

    for (; i + PARTS <= n; i += PARTS)
        for (int j = 0; j < PARTS; j++) {
            const float one = near[i + j];
            part[j] += one * one * one * masses[i + j];
            most[j] = one > most[j] ? one : most[j];
        }
    for (; i < n; i++) {
        rest += near[i] * near[i] * near[i] * masses[i];
        most[0] = near[i] > most[0] ? near[i] : most[0];
    }
    for (int j = 1; j < PARTS; j++)
        most[0] = most[j] > most[0] ? most[j] : most[0];
    *nearest = most[0];
    return rest + folded_parts(part);
}

static float dot_plain(const float *a, const float *b, Py_ssize_t n)
{
    float part[PARTS] = {0}, rest = 0.0f;
    Py_ssize_t i = 0;

    for (; i + PARTS <= n; i += PARTS)
        for (int j = 0; j < PARTS; j++)
            part[j] += a[i + j] * b[i + j];
    for (; i < n; i++)
        rest += a[i] * b[i];
    return rest + folded_parts(part);
}

static void dots_plain(float *out, const float *a, const float *rows, Py_ssize_t count, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < count; i++)
        out[i] = dot_plain(a, rows + i * n, n);
}

static void add_plain(float *total, const int8_t *row, float scale, Py_ssize_t n) { add_body(total, row, scale, n); }

static void nearness_plain(float *cosine, Py_ssize_t n, float steepness) { nearness_body(cosine, n, steepness); }

static float evidence_plain(const float *near, const float *masses, Py_ssize_t n, float *nearest)
{
    return evidence_body(near, masses, n, nearest);
}

static const struct sums PLAIN = {dot_plain, dots_plain, add_plain, nearness_plain, evidence_plain, "plain"};

#ifdef WITH_AVX2
#define AVX2 __attribute__((target("avx2,fma")))

AVX2 static inline float folded(__m256 sum)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));

    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

AVX2 static float dot_avx2(const float *a, const float *b, Py_ssize_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    Py_ssize_t i = 0;
    float rest = 0.0f;

    for (; i + 32 <= n; i += 32) {
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
        s2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), s2);
        s3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), s3);
    }
    for (; i + 8 <= n; i += 8)
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
    for (; i < n; i++)
        rest += a[i] * b[i];
    return rest + folded(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
}

AVX2 static void dots_avx2(float *out, const float *a, const float *rows, Py_ssize_t count, Py_ssize_t n)
{
    Py_ssize_t at = 0;

    for (; at + 4 <= count; at += 4) { /* four rows at once: `a` is read once for them */
        const float *r0 = rows + at * n, *r1 = r0 + n, *r2 = r1 + n, *r3 = r2 + n;
        __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
        float rest[4] = {0};
        Py_ssize_t i = 0;

        for (; i + 8 <= n; i += 8) {
            __m256 x = _mm256_loadu_ps(a + i);
            s0 = _mm256_fmadd_ps(x, _mm256_loadu_ps(r0 + i), s0);
            s1 = _mm256_fmadd_ps(x, _mm256_loadu_ps(r1 + i), s1);
            s2 = _mm256_fmadd_ps(x, _mm256_loadu_ps(r2 + i), s2);
            s3 = _mm256_fmadd_ps(x, _mm256_loadu_ps(r3 + i), s3);
        }
        for (; i < n; i++) {
            rest[0] += a[i] * r0[i];
            rest[1] += a[i] * r1[i];
            rest[2] += a[i] * r2[i];
            rest[3] += a[i] * r3[i];
        }
        out[at] = rest[0] + folded(s0);
        out[at + 1] = rest[1] + folded(s1);
        out[at + 2] = rest[2] + folded(s2);
        out[at + 3] = rest[3] + folded(s3);
    }
    for (; at < count; at++)
        out[at] = dot_avx2(a, rows + at * n, n);
}

AVX2 static void add_avx2(float *total, const int8_t *row, float scale, Py_ssize_t n) { add_body(total, row, scale, n); }

AVX2 static void nearness_avx2(float *cosine, Py_ssize_t n, float steepness) { nearness_body(cosine, n, steepness); }

AVX2 static float evidence_avx2(const float *near, const float *masses, Py_ssize_t n, float *nearest)
{
    return evidence_body(near, masses, n, nearest);
}

static const struct sums WIDE = {dot_avx2, dots_avx2, add_avx2, nearness_avx2, evidence_avx2, "avx2"};
#endif

static const struct sums *sums = &PLAIN;

/* ------------------------------------------------------------------------------------------------------------------
 * Arrays: borrowed from numpy for as long as the object lives, checked when it is made.
 */

/* Borrows `source` as a C-contiguous array of `format` ('f', 'd' or 'b') with `dimensions` sides. -1 with ValueError or TypeError. */
static int borrow(PyObject *source, Py_buffer *view, char format, int dimensions, const char *name)
{
    Py_ssize_t size = format == 'd' ? 8 : format == 'f' ? 4 : 1;

    if (PyObject_GetBuffer(source, view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) < 0)
        return -1;
    if (view->format == NULL || view->format[0] != format || view->format[1] != 0 || view->itemsize != size
        || view->ndim != dimensions || (uintptr_t)view->buf % (uintptr_t)size) {
        PyErr_Format(PyExc_ValueError, "%s is not an aligned array of %d sides of '%c'", name, dimensions, format);
        PyBuffer_Release(view);
        return -1;
    }
    return 0;
}

/* -1 with ValueError unless the array's side is this long. */
static int is_long(const Py_buffer *view, int side, Py_ssize_t expected, const char *name)
{
    if (view->shape[side] == expected)
        return 0;
    PyErr_Format(PyExc_ValueError, "%s has %zd entries along side %d; %zd are needed", name, view->shape[side], side, expected);
    return -1;
}

static int is_finite(const Py_buffer *view, const char *name)
{
    const float *numbers = view->buf;
    Py_ssize_t count = view->len / 4;

    for (Py_ssize_t i = 0; i < count; i++)
        if (!isfinite(numbers[i])) {
            PyErr_Format(PyExc_ValueError, "%s holds a number that is not finite", name);
            return -1;
        }
    return 0;
}

/* ------------------------------------------------------------------------------------------------------------------
 * Table: the static embedder's words and pieces.
 */

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
        distinct[words] = (struct spoken){start, size, sum};
        set[place] = (uint16_t)++words;
        const int32_t row = row_of(table, (const char *)bytes + start, size, sum);
        if (row >= 0) {
            heard->rows[heard->known++] = (uint32_t)row;
        } else if (kind == DIGIT) {
            lengths |= 1u << (at - first < NUMBER_DIGITS ? at - first : NUMBER_DIGITS);
        } else if (raw_size < UNKNOWN_BYTES) {
            raw[raw_size++] = ' ';
            if (is_surrogate) {
                if (raw_size < UNKNOWN_BYTES)
                    raw[raw_size++] = '?';
            } else {
                const uint32_t room = (uint32_t)(UNKNOWN_BYTES - raw_size), taken = size < room ? size : room;
                memcpy(raw + raw_size, bytes + start, taken);
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

/* ------------------------------------------------------------------------------------------------------------------
 * Words and pairs of a text, as buckets; and what can be counted in it.
 */

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
#define COUNTED (1 + BENDS + 11)

INLINE double least(double a, double b) { return a < b ? a : b; }

static double share(Py_ssize_t part, double size) { return sqrt((double)part / size); }

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

/* ------------------------------------------------------------------------------------------------------------------
 * Head: one calibrated stack of an artifact.
 */

#define MOST_COLUMNS 1024
#define MOST_SURFACE 256
#define MOST_BLOCKS 16
#define MOST_KINDS (1 << 20)
#define MOST_LANDMARKS (1 << 24)

enum { SURFACE, LENGTH, KINDS, STATIC, STATIC_NEAR, SENTENCE, SENTENCE_NEAR, BLOCKS };

typedef struct {
    PyObject_HEAD
    Table *table;
    struct spelling spelling;
    Py_buffer centre, inverse, idf;    /* (surface), (surface), (BUCKETS) */
    Py_buffer kinds, halves;           /* (kinds, dims + surface), (kinds) */
    Py_buffer landmarks[2], masses[2]; /* of static and of sentence vectors: (n, dims), (n); a kind without has no `obj` */
    Py_buffer weights, words;          /* (columns, features), (BUCKETS, columns) */
    Py_buffer bias, error, curves;     /* (columns), (models), (knots, models) */
    Py_ssize_t surface, columns, models, divisions, block_count, *division_ends;
    Py_ssize_t sentence_dims;          /* numbers of a sentence vector; 0 = this stack knows nothing of sentences */
    int blocks[MOST_BLOCKS], near, has_tokens;
    double slope, one_sided, most_tokens_log, nearest, known, first, per_unit;
    float steepness, clip, looks, looks_clip;
} Head;

/* What one call needs to remember. */
struct work {
    float vector[MOST_DIMS + MOST_SURFACE]; /* the static vector, and what the text looks like */
    float surface[MOST_SURFACE], summed[MOST_COLUMNS], weights[MOST_IDS];
    double raw[MOST_COLUMNS];
    uint16_t ids[MOST_IDS], counts[MOST_IDS];
    uint8_t room[WINDOW];
    float near[]; /* as many as there are landmarks of both kinds, then one per kind of task */
};

#define COMMON 64
static float loudness[COMMON]; /* 1 + ln of a count, as the numpy code rounds it */

INLINE float loudness_of(unsigned count) { return count < COMMON ? loudness[count] : (float)(1.0 + log((double)count)); }

static Py_ssize_t landmarks_of(const Head *head, int kind) { return head->landmarks[kind].obj == NULL ? 0 : head->landmarks[kind].shape[0]; }

static Py_ssize_t width_of(const Head *head, int block)
{
    switch (block) {
    case SURFACE:
        return head->surface;
    case LENGTH:
        return 1 + BENDS;
    case KINDS:
        return head->kinds.shape[0];
    case STATIC:
        return head->table->dims;
    case STATIC_NEAR:
        return landmarks_of(head, 0);
    case SENTENCE:
        return head->sentence_dims;
    default:
        return landmarks_of(head, 1);
    }
}

/* The divisions and blocks: whole numbers that serve as indices later. -1 with an exception. */
static int take_numbers(Head *self, PyObject *divisions, PyObject *blocks)
{
    Py_ssize_t end = 0, features = 0;

    self->divisions = PyTuple_GET_SIZE(divisions);
    self->block_count = PyTuple_GET_SIZE(blocks);
    self->division_ends = PyMem_Malloc(((size_t)self->divisions + 1) * sizeof *self->division_ends);
    if (self->division_ends == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < self->divisions; i++) {
        const Py_ssize_t size = PyLong_AsSsize_t(PyTuple_GET_ITEM(divisions, i));
        if (size == -1 && PyErr_Occurred())
            return -1;
        if (size < 1 || size > self->kinds.shape[0] - end)
            break;
        self->division_ends[i] = end += size;
    }
    if (end != self->kinds.shape[0] || self->block_count > MOST_BLOCKS) {
        PyErr_SetString(PyExc_ValueError, "the divisions are not those of the kinds, or there are too many blocks");
        return -1;
    }
    for (Py_ssize_t i = 0; i < self->block_count; i++) {
        const long block = PyLong_AsLong(PyTuple_GET_ITEM(blocks, i));
        if (block == -1 && PyErr_Occurred())
            return -1;
        if (block < 0 || block >= BLOCKS || width_of(self, (int)block) < 1) {
            PyErr_SetString(PyExc_ValueError, "a block of features that is not there");
            return -1;
        }
        self->blocks[i] = (int)block;
        features += width_of(self, (int)block);
    }
    return is_long(&self->weights, 1, features, "weights");
}

/* Every array against every other. -1 with ValueError. */
static int check_sizes(Head *self)
{
    const Py_ssize_t dims = self->table->dims;

    self->surface = self->centre.shape[0];
    self->columns = self->weights.shape[0];
    self->models = self->error.shape[0];
    if (self->surface < COUNTED || self->surface > MOST_SURFACE || self->models < 1 || self->columns > MOST_COLUMNS
        || self->columns != (self->has_tokens ? 2 : 1) * self->models || self->curves.shape[0] < 2 || self->kinds.shape[0] > MOST_KINDS) {
        PyErr_Format(PyExc_ValueError, "%zd surface features, %zd columns for %zd models, %zd knots, %zd kinds", self->surface,
                     self->columns, self->models, self->curves.shape[0], self->kinds.shape[0]);
        return -1;
    }
    for (int kind = 0; kind < 2; kind++) {
        if (self->landmarks[kind].obj == NULL)
            continue;
        if (is_long(&self->masses[kind], 0, self->landmarks[kind].shape[0], "masses") < 0)
            return -1;
        if (self->landmarks[kind].shape[0] < 1 || self->landmarks[kind].shape[0] > MOST_LANDMARKS
            || self->landmarks[kind].shape[1] < 1 || self->landmarks[kind].shape[1] > INT32_MAX) {
            PyErr_SetString(PyExc_ValueError, "landmarks are too few or too many");
            return -1;
        }
    }
    if (self->near < 0 || self->near > 1 || self->landmarks[self->near].obj == NULL) {
        PyErr_SetString(PyExc_ValueError, "there are no landmarks of the kind that evidence goes by");
        return -1;
    }
    self->sentence_dims = self->landmarks[1].obj == NULL ? 0 : self->landmarks[1].shape[1];
    if ((self->landmarks[0].obj != NULL && is_long(&self->landmarks[0], 1, dims, "static.landmarks") < 0)
        || is_long(&self->inverse, 0, self->surface, "inverse") < 0 || is_long(&self->idf, 0, BUCKETS, "idf") < 0
        || is_long(&self->halves, 0, self->kinds.shape[0], "halves") < 0
        || is_long(&self->kinds, 1, dims + self->surface, "kinds") < 0 || is_long(&self->words, 0, BUCKETS, "words") < 0
        || is_long(&self->words, 1, self->columns, "words") < 0 || is_long(&self->bias, 0, self->columns, "bias") < 0
        || is_long(&self->curves, 1, self->models, "curves") < 0)
        return -1;
    return 0;
}

/* An optional kind of landmarks: (landmarks, masses) or None. -1 with an exception. */
static int take_landmarks(Head *self, int kind, PyObject *pair)
{
    PyObject *landmarks, *masses;

    if (pair == Py_None)
        return 0;
    if (!PyArg_ParseTuple(pair, "OO", &landmarks, &masses))
        return -1;
    return borrow(landmarks, &self->landmarks[kind], 'f', 2, "landmarks") < 0 || borrow(masses, &self->masses[kind], 'f', 1, "masses") < 0
               ? -1
               : 0;
}

static PyObject *Head_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"table", "spelling", "surface", "idf", "kinds", "static", "sentence", "stack", "blocks", "near", "has_tokens",
                            "numbers", NULL};
    PyObject *table, *centre, *inverse, *idf, *kinds, *halves, *divisions, *near_static, *near_sentence, *weights, *words, *bias, *error,
        *curves, *blocks;
    const char *byte_kinds, *codes;
    Py_ssize_t byte_kinds_size, codes_size;
    PyTypeObject **table_type = PyType_GetModuleState(type);

    if (table_type == NULL)
        return NULL;
    Head *self = (Head *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "O!(y#y#)(OO)O(OOO!)OO(OOOOO)O!ip(dddddddffff):Head", names, *table_type, &table, &byte_kinds, &byte_kinds_size,
            &codes, &codes_size, &centre, &inverse, &idf, &kinds, &halves, &PyTuple_Type, &divisions, &near_static, &near_sentence, &weights,
            &words, &bias, &error, &curves, &PyTuple_Type, &blocks, &self->near, &self->has_tokens, &self->slope, &self->one_sided,
            &self->most_tokens_log, &self->nearest, &self->known, &self->first, &self->per_unit, &self->steepness, &self->clip,
            &self->looks, &self->looks_clip))
        goto refused;
    Py_INCREF(table);
    self->table = (Table *)table;
    if (take_spelling(&self->spelling, byte_kinds, byte_kinds_size, codes, codes_size) < 0
        || borrow(centre, &self->centre, 'f', 1, "centre") < 0 || borrow(inverse, &self->inverse, 'f', 1, "inverse") < 0
        || borrow(idf, &self->idf, 'f', 1, "idf") < 0 || borrow(kinds, &self->kinds, 'f', 2, "kinds") < 0
        || borrow(halves, &self->halves, 'f', 1, "halves") < 0 || borrow(weights, &self->weights, 'f', 2, "weights") < 0
        || borrow(words, &self->words, 'f', 2, "words") < 0 || borrow(bias, &self->bias, 'd', 1, "bias") < 0
        || borrow(error, &self->error, 'd', 1, "error") < 0 || borrow(curves, &self->curves, 'd', 2, "curves") < 0
        || take_landmarks(self, 0, near_static) < 0 || take_landmarks(self, 1, near_sentence) < 0 || check_sizes(self) < 0
        || take_numbers(self, divisions, blocks) < 0)
        goto refused;
    return (PyObject *)self;
refused:
    Py_DECREF(self);
    return NULL;
}

static void Head_dealloc(Head *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_buffer *held[] = {&self->centre, &self->inverse, &self->idf, &self->kinds, &self->halves, &self->weights, &self->words, &self->bias,
                         &self->error, &self->curves, &self->landmarks[0], &self->landmarks[1], &self->masses[0], &self->masses[1]};

    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        if (held[i]->obj != NULL)
            PyBuffer_Release(held[i]);
    PyMem_Free(self->division_ends);
    Py_XDECREF((PyObject *)self->table);
    type->tp_free(self);
    Py_DECREF(type);
}

INLINE float bounded(float x, float most)
{
    x = x > most ? most : x;
    return x < -most ? -most : x;
}

/* Standardised counts of a text. -1 with an exception. */
static int read_surface(const Head *head, const uint8_t *shown, Py_ssize_t size, double chars, PyObject *structural, float *out)
{
    const Py_ssize_t given = head->surface - COUNTED;
    const float *centre = head->centre.buf, *inverse = head->inverse.buf;
    double found[MOST_SURFACE];

    if (!PyTuple_Check(structural) || PyTuple_GET_SIZE(structural) != given) {
        PyErr_Format(PyExc_ValueError, "a tuple of %zd structural features is needed", given);
        return -1;
    }
    for (Py_ssize_t i = 0; i < given; i++) {
        found[i] = PyFloat_AsDouble(PyTuple_GET_ITEM(structural, i));
        if (found[i] == -1.0 && PyErr_Occurred())
            return -1;
    }
    count_surface(shown, size, chars, found + given);
    for (Py_ssize_t i = 0; i < head->surface; i++)
        out[i] = bounded(((float)found[i] - centre[i]) * inverse[i], head->clip);
    return 0;
}

/* Adds the weights of the kinds that the text is most like, one of each division. */
static void add_kinds(const Head *head, struct work *work, float *likeness, Py_ssize_t offset)
{
    const Py_ssize_t dims = head->table->dims, features = head->weights.shape[1];
    const float *halves = head->halves.buf, *weights = head->weights.buf;
    Py_ssize_t start = 0;

    for (Py_ssize_t i = 0; i < head->surface; i++)
        work->vector[dims + i] = bounded(work->surface[i], head->looks_clip) * head->looks;
    sums->dots(likeness, work->vector, head->kinds.buf, head->kinds.shape[0], dims + head->surface);
    for (Py_ssize_t i = 0; i < head->divisions; i++) {
        Py_ssize_t most = start;
        for (Py_ssize_t at = start; at < head->division_ends[i]; at++)
            if (likeness[at] - halves[at] > likeness[most] - halves[most])
                most = at;
        for (Py_ssize_t column = 0; column < head->columns; column++)
            work->raw[column] += weights[column * features + offset + most];
        start = head->division_ends[i];
    }
}

/* Adds the words' rows, weighted. Returns the share of the words that training knew. */
static double add_words(const Head *head, struct work *work, const uint8_t *shown, Py_ssize_t size)
{
    const Py_ssize_t different = ids_of(&head->spelling, shown, size, work->ids, work->counts), columns = head->columns;
    const float *idf = head->idf.buf, *rows = head->words.buf;
    Py_ssize_t known = 0;

    for (Py_ssize_t i = 0; i < different; i++) {
        if (i + AHEAD < different)
            PREFETCH(idf + work->ids[i + AHEAD]);
        PREFETCH(rows + (Py_ssize_t)work->ids[i] * columns);
        work->weights[i] = idf[work->ids[i]] * loudness_of(work->counts[i]);
        known += work->weights[i] != 0.0f;
    }
    const float square = sums->dot(work->weights, work->weights, different);
    if (!(square > 0.0f))
        return 0.0;
    memset(work->summed, 0, (size_t)columns * sizeof *work->summed);
    for (Py_ssize_t i = 0; i < different; i++) {
        const float weight = work->weights[i], *row = rows + (Py_ssize_t)work->ids[i] * columns;
        if (weight != 0.0f)
            for (Py_ssize_t column = 0; column < columns; column++)
                work->summed[column] += weight * row[column];
    }
    const double length = sqrt((double)square);
    for (Py_ssize_t column = 0; column < columns; column++)
        work->raw[column] += (double)work->summed[column] / length;
    return (double)known / (double)different;
}

/* Adds the weights of features that lie side by side. */
static void add_features(const Head *head, struct work *work, const float *features, Py_ssize_t count, Py_ssize_t offset)
{
    const Py_ssize_t width = head->weights.shape[1];
    const float *weights = head->weights.buf;

    for (Py_ssize_t column = 0; column < head->columns; column++)
        work->raw[column] += (double)sums->dot(features, weights + column * width + offset, count);
}

/* Adds what every block of features says. `near[kind]`: nearness to the landmarks of that kind. */
static void add_blocks(const Head *head, struct work *work, const float *sentence, float *const near[2], float *likeness)
{
    Py_ssize_t offset = 0;

    for (Py_ssize_t i = 0; i < head->block_count; i++) {
        const int block = head->blocks[i];
        const Py_ssize_t count = width_of(head, block);
        if (block == KINDS)
            add_kinds(head, work, likeness, offset);
        else
            add_features(head, work,
                         block == SURFACE ? work->surface : block == LENGTH ? work->surface + (head->surface - COUNTED)
                         : block == STATIC ? work->vector : block == SENTENCE ? sentence : near[block == SENTENCE_NEAR],
                         count, offset);
        offset += count;
    }
}

static PyObject *floats(const double *numbers, Py_ssize_t count)
{
    PyObject *row = PyTuple_New(count);

    for (Py_ssize_t i = 0; row != NULL && i < count; i++) {
        PyObject *number = PyFloat_FromDouble(numbers[i]);
        if (number == NULL)
            Py_CLEAR(row);
        else
            PyTuple_SET_ITEM(row, i, number);
    }
    return row;
}

/* From raw scores to (p, lower, evidence, is_foreign, tokens or None). */
static PyObject *answer(const Head *head, struct work *work, const float *near, double known)
{
    const Py_ssize_t models = head->models, count = landmarks_of(head, head->near);
    const float *masses = head->masses[head->near].buf;
    const double *curves = head->curves.buf, *error = head->error.buf;
    const double last = (double)(head->curves.shape[0] - 1) - 1e-6;
    double lower[MOST_COLUMNS], *raw = work->raw;
    float nearest;
    const float evidence = sums->evidence(near, masses, count, &nearest);

    const double shrunk = head->one_sided * pow(1.0 + (double)evidence, head->slope);
    for (Py_ssize_t model = 0; model < models; model++) {
        double place = (raw[model] - head->first) * head->per_unit;
        place = place > 0.0 ? place : 0.0; /* what is no number at all, too, lies at the beginning */
        place = place < last ? place : last;
        const Py_ssize_t left = (Py_ssize_t)place;
        const double low = curves[left * models + model], high = curves[(left + 1) * models + model];
        raw[model] = low + (place - (double)left) * (high - low);
        lower[model] = raw[model] - shrunk * error[model];
        lower[model] = lower[model] > 0.0 ? lower[model] : 0.0;
    }
    PyObject *p = floats(raw, models), *bound = floats(lower, models), *tokens = NULL;
    if (head->has_tokens) {
        for (Py_ssize_t column = models; column < head->columns; column++) {
            const double loud = raw[column] > 0.0 ? raw[column] : 0.0;
            raw[column] = expm1(loud < head->most_tokens_log ? loud : head->most_tokens_log);
        }
        tokens = floats(raw + models, models);
    } else {
        Py_INCREF(Py_None);
        tokens = Py_None;
    }
    if (p == NULL || bound == NULL || tokens == NULL) {
        Py_XDECREF(p);
        Py_XDECREF(bound);
        Py_XDECREF(tokens);
        return NULL;
    }
    const int is_foreign = (double)nearest < head->nearest || known < head->known;
    return Py_BuildValue("NNdNN", p, bound, (double)evidence, PyBool_FromLong(is_foreign), tokens);
}

/* The sentence vector of a call; NULL with an exception. */
static const float *sentence_of(const Head *head, PyObject *source, Py_buffer *view)
{
    if (borrow(source, view, 'f', 1, "a sentence vector") < 0)
        return NULL;
    return is_long(view, 0, head->sentence_dims, "a sentence vector") < 0 ? NULL : view->buf;
}

static PyObject *Head_score(Head *self, PyObject *const *args, Py_ssize_t count)
{
    Py_buffer view = {0};
    struct work *work = NULL;
    PyObject *result = NULL;
    const float *sentence = NULL;
    char *data;
    Py_ssize_t size, statics = landmarks_of(self, 0), sentences = landmarks_of(self, 1);

    if (count != 5 || !PyUnicode_Check(args[0]) || !PyBytes_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "score(text, data, chars, structural, sentence)");
        return NULL;
    }
    const double chars = (double)PyLong_AsSsize_t(args[2]);
    if (chars == -1.0 && PyErr_Occurred())
        return NULL;
    if (sentences && (sentence = sentence_of(self, args[4], &view)) == NULL)
        goto done;
    work = PyMem_Malloc(sizeof *work + (size_t)(statics + sentences + self->kinds.shape[0]) * sizeof(float));
    if (work == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    if (PyBytes_AsStringAndSize(args[1], &data, &size) < 0 || embed(self->table, args[0], work->vector) < 0)
        goto done;
    const uint8_t *shown = window((const uint8_t *)data, &size, work->room);
    if (read_surface(self, shown, size, chars > 0 ? chars : 0, args[3], work->surface) < 0)
        goto done;
    float *const near[2] = {work->near, work->near + statics};
    if (statics) {
        sums->dots(near[0], work->vector, self->landmarks[0].buf, statics, self->table->dims);
        sums->nearness(near[0], statics, self->steepness);
    }
    if (sentences) {
        sums->dots(near[1], sentence, self->landmarks[1].buf, sentences, self->sentence_dims);
        sums->nearness(near[1], sentences, self->steepness);
    }
    memcpy(work->raw, self->bias.buf, (size_t)self->columns * sizeof *work->raw);
    add_blocks(self, work, sentence, near, work->near + statics + sentences);
    const double known = add_words(self, work, shown, size);
    result = answer(self, work, near[self->near], known);
done:
    PyMem_Free(work);
    if (view.obj != NULL)
        PyBuffer_Release(&view);
    return result;
}

static PyMethodDef Head_methods[] = {
    {"score", (PyCFunction)(void (*)(void))Head_score, METH_FASTCALL,
     "score(text, data, chars, structural, sentence) -> (p, lower, evidence, is_foreign, tokens)"},
    {NULL, NULL, 0, NULL}};

static PyType_Slot Head_slots[] = {{Py_tp_new, Head_new}, {Py_tp_dealloc, Head_dealloc}, {Py_tp_methods, Head_methods},
                                   {Py_tp_doc, "One calibrated stack of an artifact."}, {0, NULL}};
static PyType_Spec Head_spec = {"pointsman.classify.kernel._kernel.Head", sizeof(Head), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, Head_slots};

/* ------------------------------------------------------------------------------------------------------------------ */

static int kernel_exec(PyObject *module)
{
    PyTypeObject **state = PyModule_GetState(module);
    PyObject *salt = PyUnicode_FromString("pointsman"), *head = NULL;

    if (salt == NULL)
        return -1;
    hash_seed = 0xCBF29CE484222325u ^ (uint64_t)PyObject_Hash(salt); /* Python's own, another one in every process */
    Py_DECREF(salt);
    for (Py_UCS4 c = 0; c < 128; c++)
        ascii_kind[c] = Py_UNICODE_ISDECIMAL(c) ? DIGIT : Py_UNICODE_ISALNUM(c) ? LETTER : c == '_' || Py_UNICODE_ISSPACE(c) ? NOTHING : SIGN;
    for (int i = 1; i < COMMON; i++)
        loudness[i] = (float)(1.0 + log((double)i));
#ifdef WITH_AVX2
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        sums = &WIDE;
#endif
    *state = (PyTypeObject *)PyType_FromModuleAndSpec(module, &Table_spec, NULL);
    head = PyType_FromModuleAndSpec(module, &Head_spec, NULL);
    if (*state == NULL || head == NULL || PyModule_AddObjectRef(module, "Table", (PyObject *)*state) < 0
        || PyModule_AddObjectRef(module, "Head", head) < 0 || PyModule_AddStringConstant(module, "source", KERNEL_SOURCE) < 0
        || PyModule_AddStringConstant(module, "instructions", sums->name) < 0) {
        Py_XDECREF(head);
        return -1;
    }
    Py_DECREF(head);
    return 0;
}

static int kernel_traverse(PyObject *module, visitproc visit, void *arg)
{
    PyTypeObject **state = PyModule_GetState(module);

    if (state != NULL)
        Py_VISIT(*state);
    return 0;
}

static int kernel_clear(PyObject *module)
{
    PyTypeObject **state = PyModule_GetState(module);

    if (state != NULL)
        Py_CLEAR(*state);
    return 0;
}

static void kernel_free(void *module) { kernel_clear(module); }

static PyMethodDef kernel_methods[] = {
    {"ids", kernel_ids, METH_VARARGS, "ids(data, kinds, codes) -> buckets of words and pairs, and their counts"},
    {"surface", kernel_surface, METH_VARARGS, "surface(data, chars) -> what is counted in a text"},
    {NULL, NULL, 0, NULL}};

static PyModuleDef_Slot kernel_slots[] = {{Py_mod_exec, kernel_exec}, {0, NULL}};

static struct PyModuleDef kernel = {PyModuleDef_HEAD_INIT, "_kernel", "The arithmetic of the trained static stage.",
                                    sizeof(PyTypeObject *), kernel_methods, kernel_slots, kernel_traverse, kernel_clear, kernel_free};

PyMODINIT_FUNC PyInit__kernel(void) { return PyModuleDef_Init(&kernel); }
