/* Rows of a matrix as doubles, read where they lie: an array of any real kind and any strides, or a
 * sparse matrix in the form CSR (compressed sparse rows). */
#ifndef BP_ROWS_H
#define BP_ROWS_H

#include <stddef.h>
#include <stdint.h>

typedef struct bp_matrix bp_matrix;

/* x (n_columns) = the row, each number rounded to the nearest double. */
typedef void bp_read_row(const bp_matrix *matrix, ptrdiff_t row, double *x);

/* A matrix of aligned numbers in native byte order. */
struct bp_matrix {
    const double *doubles; /* (rows, n_columns) without a gap, if that is how it lies; else NULL */
    const char *data;      /* the first number of row 0; CSR: the stored numbers */
    ptrdiff_t n_columns;
    ptrdiff_t row_stride, column_stride; /* in bytes; unset in CSR */
    const void *indptr; /* CSR: (rows + 1): row s has the stored numbers [indptr[s], indptr[s+1]) */
    const void *indices; /* CSR: the column of each stored number; both int32 or both int64 */
    ptrdiff_t n_stored;  /* CSR: stored numbers that there are, each with its column */
    bp_read_row *read;
};

/* The reader for a kind of numbers, which NumPy's dtype.kind and itemsize name, in a dense matrix
 * (index_size 0) or in CSR with indices of 4 or 8 bytes; NULL if there is none. */
bp_read_row *bp_reader(char kind, ptrdiff_t size, ptrdiff_t index_size);

/* x (rows, n_columns) = rows first, first + 1, ...; with an order, rows order[first], ... */
void bp_read_rows(const bp_matrix *matrix, const int64_t *order, ptrdiff_t first, ptrdiff_t rows,
                  double *x);

/* CSR of n_rows rows: 0 if an index lies outside, 1 if the columns of each row
 * increase, 2 if they do not. */
int bp_check_csr(const bp_matrix *matrix, ptrdiff_t n_rows, ptrdiff_t index_size);

#endif
