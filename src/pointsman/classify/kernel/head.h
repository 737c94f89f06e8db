/* Head: one calibrated stack of an artifact. */

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
    Py_buffer kinds, halves;           /* (kinds, dims + surface), half of each one's square (kinds) */
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
    return borrow_rows(landmarks, &self->landmarks[kind], "landmarks") < 0 || borrow(masses, &self->masses[kind], 'f', 1, "masses") < 0
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
        || borrow(idf, &self->idf, 'f', 1, "idf") < 0 || borrow_rows(kinds, &self->kinds, "kinds") < 0
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
    dots_of(&head->kinds, work->vector, likeness);
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
        dots_of(&self->landmarks[0], work->vector, near[0]);
        sums->nearness(near[0], statics, self->steepness);
    }
    if (sentences) {
        dots_of(&self->landmarks[1], sentence, near[1]);
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
