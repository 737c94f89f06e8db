/* The arithmetic of the stages that read a text: a text in, scores out, in one call.
 *
 * What it computes is defined by the readable numpy code in `embedders/static.py`, `heads/ngrams.py`, `heads/surface.py`,
 * `heads/reading.py`, `heads/calibration.py` and `heads/scorer.py`; tests compare the two on whatever text. Integers (rows,
 * buckets, counts) are the same, floats agree but for rounding. What `features.py`, `heuristic.py`, `heads/signs.py` and `heads/ladder.py`
 * define is the same bit for bit: the same operations in the same order.
 *
 * One noun a header, each read once, by this file: `sums.h`, `arrays.h`, `table.h` (the static embedder), `text.h` (words, and what can be
 * counted), `head.h` (a calibrated stack), `signs.h` (the shipped guess), `looks.h` (features of a request, and the heuristic).
 *
 * Rules of these files:
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

#include "sums.h"
#include "arrays.h"
#include "table.h"
#include "text.h"
#include "head.h"
#include "signs.h"
#include "looks.h"

static int kernel_exec(PyObject *module)
{
    PyTypeObject **state = PyModule_GetState(module);
    PyObject *salt = PyUnicode_FromString("pointsman");

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
    if (*state == NULL || PyModule_AddObjectRef(module, "Table", (PyObject *)*state) < 0)
        return -1;
    PyObject *const made[] = {PyType_FromModuleAndSpec(module, &Head_spec, NULL), PyType_FromModuleAndSpec(module, &Ladder_spec, NULL),
                              PyType_FromModuleAndSpec(module, &Heuristic_spec, NULL), names_of(signal_names, SIGNALS),
                              names_of(feature_names, FEATURES)};
    static const char *const names[] = {"Head", "Ladder", "Heuristic", "signals", "features"};
    int result = 0;
    for (int i = 0; i < 5; i++) {
        result = made[i] == NULL || (result == 0 && PyModule_AddObjectRef(module, names[i], made[i]) < 0) ? -1 : result;
        Py_XDECREF(made[i]);
    }
    if (result < 0 || PyModule_AddStringConstant(module, "source", KERNEL_SOURCE) < 0
        || PyModule_AddStringConstant(module, "instructions", sums->name) < 0 || PyModule_AddIntMacro(module, MOST_PLACES) < 0
        || PyModule_AddIntMacro(module, LONGEST) < 0)
        return -1;
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
    {"mask_of", (PyCFunction)(void (*)(void))kernel_mask_of, METH_FASTCALL, "mask_of(hits, numbers) -> a bit for every number of a hit"},
    {"looks", (PyCFunction)(void (*)(void))kernel_looks, METH_FASTCALL,
     "looks(data, signals, shown, chars, is_cut, turns, tools, schema, images) -> (features, tokens, script)"},
    {NULL, NULL, 0, NULL}};

static PyModuleDef_Slot kernel_slots[] = {{Py_mod_exec, kernel_exec}, {0, NULL}};

static struct PyModuleDef kernel = {PyModuleDef_HEAD_INIT, "_kernel", "The arithmetic of the stages that read a text.",
                                    sizeof(PyTypeObject *), kernel_methods, kernel_slots, kernel_traverse, kernel_clear, kernel_free};

PyMODINIT_FUNC PyInit__kernel(void) { return PyModuleDef_Init(&kernel); }
