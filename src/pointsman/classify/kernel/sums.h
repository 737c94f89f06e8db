/* Sums: in plain C, and once more for processors with AVX2, which is chosen when the module is imported. */

struct sums {
    /* The product of two vectors. */
    float (*dot)(const float *a, const float *b, Py_ssize_t n);
    /* `out[i]` becomes the product of `a` and row i of `rows`, each n long. */
    void (*dots)(float *out, const float *a, const float *rows, Py_ssize_t count, Py_ssize_t n);
    /* The same of rows of 128ths and a vector of 32768ths, at most `LONGEST` long: whole numbers, so that every order of adding gives the same
       bits. Rows take a quarter of the memory, and push less of everything else out of the core's. */
    void (*dots_of_bytes)(float *out, const int16_t *a, const int8_t *rows, Py_ssize_t count, Py_ssize_t n);
    /* Adds `scale` times a row of small numbers. */
    void (*add)(float *total, const int8_t *row, float scale, Py_ssize_t n);
    /* Cosines become exp((cosine - 1) * steepness). */
    void (*nearness)(float *cosine, Py_ssize_t n, float steepness);
    /* The sum of the third powers of `near`, each times its mass; `nearest` becomes the largest. None is below 0. */
    float (*evidence)(const float *near, const float *masses, Py_ssize_t n, float *nearest);
    const char *name;
};

#define LONGEST 512         /* 2^15 * 127 * 512 is less than 2^31 */
#define STEP (1.0f / 4194304) /* 2^-15 * 2^-7 */

/* A vector in 32768ths, as `numpy.rint` rounds; what is 1 or more, and what is no number, at the ends. */
static void steps_of(int16_t *out, const float *a, Py_ssize_t n)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number, which then stands in the low bits */

    for (Py_ssize_t i = 0; i < n; i++) {
        uint32_t bits;
        float z = a[i] * 32768.0f;

        z = z > -32768.0f ? z : -32768.0f;
        z = (z < 32767.0f ? z : 32767.0f) + shift;
        memcpy(&bits, &z, sizeof bits);
        out[i] = (int16_t)(int32_t)(bits - 0x4B400000u);
    }
}

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

static void dots_of_bytes_plain(float *out, const int16_t *a, const int8_t *rows, Py_ssize_t count, Py_ssize_t n)
{
    for (Py_ssize_t at = 0; at < count; at++, rows += n) {
        int32_t sum = 0;
        for (Py_ssize_t i = 0; i < n; i++)
            sum += (int32_t)a[i] * (int16_t)rows[i];
        out[at] = (float)sum * STEP;
    }
}

static void add_plain(float *total, const int8_t *row, float scale, Py_ssize_t n) { add_body(total, row, scale, n); }

static void nearness_plain(float *cosine, Py_ssize_t n, float steepness) { nearness_body(cosine, n, steepness); }

static float evidence_plain(const float *near, const float *masses, Py_ssize_t n, float *nearest)
{
    return evidence_body(near, masses, n, nearest);
}

static const struct sums PLAIN = {dot_plain, dots_plain, dots_of_bytes_plain, add_plain, nearness_plain, evidence_plain, "plain"};

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

AVX2 static inline __m256i products(__m256i sum, __m256i a, const int8_t *row)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)row))));
}

AVX2 static inline int32_t folded_whole(__m256i sum)
{
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));

    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xB1)));
}

AVX2 static void dots_of_bytes_avx2(float *out, const int16_t *a, const int8_t *rows, Py_ssize_t count, Py_ssize_t n)
{
    Py_ssize_t at = 0;

    for (; at + 4 <= count; at += 4) {
        const int8_t *r0 = rows + at * n, *r1 = r0 + n, *r2 = r1 + n, *r3 = r2 + n;
        __m256i s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0;
        int32_t rest[4] = {0};
        Py_ssize_t i = 0;

        for (; i + 16 <= n; i += 16) {
            const __m256i x = _mm256_loadu_si256((const __m256i *)(a + i));
            s0 = products(s0, x, r0 + i);
            s1 = products(s1, x, r1 + i);
            s2 = products(s2, x, r2 + i);
            s3 = products(s3, x, r3 + i);
        }
        for (; i < n; i++) {
            rest[0] += a[i] * r0[i];
            rest[1] += a[i] * r1[i];
            rest[2] += a[i] * r2[i];
            rest[3] += a[i] * r3[i];
        }
        out[at] = (float)(rest[0] + folded_whole(s0)) * STEP;
        out[at + 1] = (float)(rest[1] + folded_whole(s1)) * STEP;
        out[at + 2] = (float)(rest[2] + folded_whole(s2)) * STEP;
        out[at + 3] = (float)(rest[3] + folded_whole(s3)) * STEP;
    }
    dots_of_bytes_plain(out + at, a, rows + at * n, count - at, n);
}

AVX2 static void add_avx2(float *total, const int8_t *row, float scale, Py_ssize_t n) { add_body(total, row, scale, n); }

AVX2 static void nearness_avx2(float *cosine, Py_ssize_t n, float steepness) { nearness_body(cosine, n, steepness); }

AVX2 static float evidence_avx2(const float *near, const float *masses, Py_ssize_t n, float *nearest)
{
    return evidence_body(near, masses, n, nearest);
}

static const struct sums WIDE = {dot_avx2, dots_avx2, dots_of_bytes_avx2, add_avx2, nearness_avx2, evidence_avx2, "avx2"};
#endif

static const struct sums *sums = &PLAIN;
