/* Sums: in plain C, and once more for processors with AVX2, which is chosen when the module is imported. */

struct sums {
    /* The product of two vectors. */
    float (*dot)(const float *a, const float *b, Py_ssize_t n);
    /* `out[i]` becomes the product of `a` and row i of `rows`, each n long. */
    void (*dots)(float *out, const float *a, const float *rows, Py_ssize_t count, Py_ssize_t n);
    /* The same of rows of half precision, read as the numbers they stand for: half of the memory, and the same bits. NULL = this
       processor does not read them. */
    void (*dots_of_halves)(float *out, const float *a, const uint16_t *rows, Py_ssize_t count, Py_ssize_t n);
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

static const struct sums PLAIN = {dot_plain, dots_plain, NULL, add_plain, nearness_plain, evidence_plain, "plain"};

#ifdef WITH_AVX2
#define AVX2 __attribute__((target("avx2,fma,f16c")))

/* All that `AVX2` takes for granted; what compilers know by name differs, this bit does not. */
static int has_avx2(void)
{
    unsigned a, b, c, d;

    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

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

/* Eight numbers of a row of floats or of halves, and one. */
AVX2 static inline __m256 eight(const void *row, Py_ssize_t at, int halves)
{
    return halves ? _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)((const uint16_t *)row + at))) : _mm256_loadu_ps((const float *)row + at);
}

AVX2 static inline float one(const void *row, Py_ssize_t at, int halves)
{
    return halves ? _cvtsh_ss(((const uint16_t *)row)[at]) : ((const float *)row)[at];
}

AVX2 static inline __attribute__((always_inline)) void dots_body(float *out, const float *a, const void *rows, Py_ssize_t count, Py_ssize_t n,
                                                                 int halves)
{
    const Py_ssize_t step = n * (halves ? 2 : 4);
    const char *row = rows;
    Py_ssize_t at = 0;

    for (; at + 4 <= count; at += 4, row += 4 * step) { /* four rows at once: `a` is read once for them */
        const char *r0 = row, *r1 = r0 + step, *r2 = r1 + step, *r3 = r2 + step;
        __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
        float rest[4] = {0};
        Py_ssize_t i = 0;

        for (; i + 8 <= n; i += 8) {
            __m256 x = _mm256_loadu_ps(a + i);
            s0 = _mm256_fmadd_ps(x, eight(r0, i, halves), s0);
            s1 = _mm256_fmadd_ps(x, eight(r1, i, halves), s1);
            s2 = _mm256_fmadd_ps(x, eight(r2, i, halves), s2);
            s3 = _mm256_fmadd_ps(x, eight(r3, i, halves), s3);
        }
        for (; i < n; i++) {
            rest[0] += a[i] * one(r0, i, halves);
            rest[1] += a[i] * one(r1, i, halves);
            rest[2] += a[i] * one(r2, i, halves);
            rest[3] += a[i] * one(r3, i, halves);
        }
        out[at] = rest[0] + folded(s0);
        out[at + 1] = rest[1] + folded(s1);
        out[at + 2] = rest[2] + folded(s2);
        out[at + 3] = rest[3] + folded(s3);
    }
    for (; at < count; at++, row += step) {
        float rest = 0.0f;
        __m256 s = _mm256_setzero_ps();
        Py_ssize_t i = 0;

        for (; i + 8 <= n; i += 8)
            s = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), eight(row, i, halves), s);
        for (; i < n; i++)
            rest += a[i] * one(row, i, halves);
        out[at] = rest + folded(s);
    }
}

AVX2 static void dots_avx2(float *out, const float *a, const float *rows, Py_ssize_t count, Py_ssize_t n)
{
    dots_body(out, a, rows, count, n, 0);
}

AVX2 static void dots_of_halves_avx2(float *out, const float *a, const uint16_t *rows, Py_ssize_t count, Py_ssize_t n)
{
    dots_body(out, a, rows, count, n, 1);
}

AVX2 static void add_avx2(float *total, const int8_t *row, float scale, Py_ssize_t n) { add_body(total, row, scale, n); }

AVX2 static void nearness_avx2(float *cosine, Py_ssize_t n, float steepness) { nearness_body(cosine, n, steepness); }

AVX2 static float evidence_avx2(const float *near, const float *masses, Py_ssize_t n, float *nearest)
{
    return evidence_body(near, masses, n, nearest);
}

static const struct sums WIDE = {dot_avx2, dots_avx2, dots_of_halves_avx2, add_avx2, nearness_avx2, evidence_avx2, "avx2"};
#endif

static const struct sums *sums = &PLAIN;
