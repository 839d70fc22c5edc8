/*
 * zs_products.c - how many products two matrices have that are stored by rows.
 *
 *     A[i,k]*B[k,j]: for each entry of A, as many as there are in the row of B that its column names
 */
#include "zs_kernel.h"

/*
 * zs_products_PLACE() - that number.
 *
 * buf: 0 where each row of B starts, int64, and the end; 1 the column of each entry of A, of type
 *      PLACE, which B has a row for; 2 -> how many products.
 * dim: 0 entries of A.
 */
#define ZS_DEFINE_PRODUCTS(PLACE, CPLACE)                                                   \
    int32_t zs_products_##PLACE(zs_args *args)                                              \
    {                                                                                       \
        const int64_t *starts = args->buf[0];                                               \
        const CPLACE *columns = args->buf[1];                                               \
        const int64_t entries = args->dim[0];                                               \
        int64_t found = 0;                                                                  \
        for (int64_t e = 0; e < entries; e++) {                                             \
            const int64_t row = columns[e];                                                 \
            found += starts[row + 1] - starts[row];                                         \
        }                                                                                   \
        *(int64_t *)args->buf[2] = found;                                                   \
        return ZS_OK;                                                                       \
    }

int32_t zs_products_uint16(zs_args *args);
int32_t zs_products_int32(zs_args *args);
ZS_DEFINE_PRODUCTS(uint16, uint16_t)
ZS_DEFINE_PRODUCTS(int32, int32_t)
