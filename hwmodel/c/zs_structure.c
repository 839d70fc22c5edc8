/*
 * zs_structure.c - how many places of each row a product of two sparse matrices reaches.
 *
 *   dim: rows of A, columns of B
 *   buf: 0 pos, 1 crd of A by rows    crd in [0, rows of B)
 *        2 pos, 3 crd of B by rows    crd in [0, columns)
 *        4 reached[rows of A]         written
 *        5 scratch, int64: columns
 *
 * mark[n] is 1 + the last row of A that has reached column n.
 */
#include "zs_kernel.h"

int32_t zs_product_rows(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    const int64_t rows = args->dim[0], columns = args->dim[1];
    const int64_t *pos_a = args->buf[0], *crd_a = args->buf[1];
    const int64_t *pos_b = args->buf[2], *crd_b = args->buf[3];
    int64_t *reached = args->buf[4], *mark = args->buf[5];
    for (int64_t n = 0; n < columns; n++)
        mark[n] = 0;
    for (int64_t m = 0; m < rows; m++) {
        ZS_POLL(args);
        int64_t found = 0;
        for (int64_t a = pos_a[m]; a < pos_a[m + 1]; a++) {
            const int64_t k = crd_a[a];
            for (int64_t b = pos_b[k]; b < pos_b[k + 1]; b++) {
                const int64_t n = crd_b[b];
                found += mark[n] != m + 1;
                mark[n] = m + 1;
            }
        }
        reached[m] = found;
    }
    return ZS_OK;
}
