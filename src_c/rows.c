#include "rows.h"

#include <string.h>

/* Conversions to double. Those of 64 bits are a sum of two halves, each exact: the addition rounds,
 * once and in the contract's environment, where i386 would convert by its x87 unit. */
#define BP_EXACT(v) ((double)(v))
#define BP_TRUTH(v) ((v) != 0 ? 1.0 : 0.0)
#define BP_SIGNED(v) ((double)(int32_t)((v) >> 32) * 0x1p32 + (double)(uint32_t)(v))
#define BP_UNSIGNED(v) ((double)(uint32_t)((v) >> 32) * 0x1p32 + (double)(uint32_t)(v))

/* Kinds of numbers: X(type, NumPy's dtype.kind, name, conversion). */
#define BP_KINDS(X)                                                                                \
    X(double, 'f', float64, BP_EXACT)                                                              \
    X(float, 'f', float32, BP_EXACT)                                                               \
    X(int8_t, 'i', int8, BP_EXACT)                                                                 \
    X(int16_t, 'i', int16, BP_EXACT)                                                               \
    X(int32_t, 'i', int32, BP_EXACT)                                                               \
    X(int64_t, 'i', int64, BP_SIGNED)                                                              \
    X(uint8_t, 'u', uint8, BP_EXACT)                                                               \
    X(uint16_t, 'u', uint16, BP_EXACT)                                                             \
    X(uint32_t, 'u', uint32, BP_EXACT)                                                             \
    X(uint64_t, 'u', uint64, BP_UNSIGNED)                                                          \
    X(uint8_t, 'b', bool, BP_TRUTH)

/* A dense row. Numbers that follow each other have a loop of their own, which becomes vectors. */
#define BP_DENSE(type, kind, name, convert)                                                        \
    static void bp_dense_##name(const bp_matrix *matrix, ptrdiff_t row, double *x) {               \
        const char *from = matrix->data + row * matrix->row_stride;                                \
        const ptrdiff_t n = matrix->n_columns, stride = matrix->column_stride;                     \
        if (stride == (ptrdiff_t)sizeof(type))                                                     \
            for (ptrdiff_t j = 0; j < n; j++)                                                      \
                x[j] = convert(((const type *)(const void *)from)[j]);                             \
        else                                                                                       \
            for (ptrdiff_t j = 0; j < n; j++)                                                      \
                x[j] = convert(*(const type *)(const void *)(from + j * stride));                  \
    }
BP_KINDS(BP_DENSE)

/* A row of CSR: 0.0 where nothing is stored; numbers of the same place are added, as doubles and in
 * the order in which they are stored. Nothing outside is read or written, though bp_check_csr has
 * looked before: the caller may have changed the indices since. */
#define BP_CSR(index, type, name, convert)                                                         \
    static void bp_csr_##index##_##name(const bp_matrix *matrix, ptrdiff_t row, double *x) {       \
        const index *indptr = matrix->indptr, *indices = matrix->indices;                          \
        const type *data = (const type *)(const void *)matrix->data;                               \
        const ptrdiff_t first = indptr[row], stop = indptr[row + 1];                               \
        memset(x, 0, (size_t)matrix->n_columns * sizeof *x);                                       \
        for (ptrdiff_t k = first < 0 ? 0 : first; k < stop && k < matrix->n_stored; k++)           \
            if (indices[k] >= 0 && indices[k] < matrix->n_columns)                                 \
                x[indices[k]] = x[indices[k]] + convert(data[k]);                                  \
    }
#define BP_BOTH_CSR(type, kind, name, convert)                                                     \
    BP_CSR(int32_t, type, name, convert)                                                           \
    BP_CSR(int64_t, type, name, convert)
BP_KINDS(BP_BOTH_CSR)

bp_read_row *bp_reader(char kind, ptrdiff_t size, ptrdiff_t index_size) {
#define BP_ROW(type, letter, name, convert)                                                        \
    {letter, sizeof(type), {bp_dense_##name, bp_csr_int32_t_##name, bp_csr_int64_t_##name}},
    static const struct {
        char kind;
        ptrdiff_t size;
        bp_read_row *readers[3];
    } table[] = {BP_KINDS(BP_ROW)};
    for (size_t k = 0; k < sizeof table / sizeof *table; k++)
        if (table[k].kind == kind && table[k].size == size)
            return index_size == 0   ? table[k].readers[0]
                   : index_size == 4 ? table[k].readers[1]
                   : index_size == 8 ? table[k].readers[2]
                                     : NULL;
    return NULL;
}

void bp_read_rows(const bp_matrix *matrix, const int64_t *order, ptrdiff_t first, ptrdiff_t rows,
                  double *x) {
    for (ptrdiff_t s = first; s < first + rows; s++, x += matrix->n_columns)
        matrix->read(matrix, order == NULL ? s : (ptrdiff_t)order[s], x);
}

#define BP_CHECK(index)                                                                            \
    static int bp_check_##index(const bp_matrix *matrix, ptrdiff_t n_rows) {                       \
        const index *indptr = matrix->indptr, *indices = matrix->indices;                          \
        int found = 1;                                                                             \
        if (indptr[0] < 0)                                                                         \
            return 0;                                                                              \
        for (ptrdiff_t s = 0; s < n_rows; s++) {                                                   \
            if (indptr[s + 1] < indptr[s] || indptr[s + 1] > matrix->n_stored)                     \
                return 0;                                                                          \
            for (index k = indptr[s]; k < indptr[s + 1]; k++) {                                    \
                if (indices[k] < 0 || indices[k] >= matrix->n_columns)                             \
                    return 0;                                                                      \
                if (k > indptr[s] && indices[k] <= indices[k - 1])                                 \
                    found = 2;                                                                     \
            }                                                                                      \
        }                                                                                          \
        return found;                                                                              \
    }
BP_CHECK(int32_t)
BP_CHECK(int64_t)

int bp_check_csr(const bp_matrix *matrix, ptrdiff_t n_rows, ptrdiff_t index_size) {
    return (index_size == 4 ? bp_check_int32_t : bp_check_int64_t)(matrix, n_rows);
}
