/* Arrays: borrowed from numpy for as long as the object lives, checked when it is made. */

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

/* The same of rows that vectors are compared with: bytes, which are 128ths, or floats. */
static int borrow_rows(PyObject *source, Py_buffer *view, const char *name)
{
    if (borrow(source, view, 'b', 2, name) < 0) {
        PyErr_Clear();
        return borrow(source, view, 'f', 2, name);
    }
    if (view->shape[1] <= LONGEST)
        return 0;
    PyErr_Format(PyExc_ValueError, "%s has rows of %zd bytes; at most %d are read", name, view->shape[1], LONGEST);
    PyBuffer_Release(view);
    return -1;
}

/* `out[i]` becomes the product of `a` and row i. */
static void dots_of(const Py_buffer *rows, const float *a, float *out)
{
    int16_t steps[LONGEST];

    if (rows->itemsize == 1) {
        steps_of(steps, a, rows->shape[1]);
        sums->dots_of_bytes(out, steps, rows->buf, rows->shape[0], rows->shape[1]);
    } else
        sums->dots(out, a, rows->buf, rows->shape[0], rows->shape[1]);
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
