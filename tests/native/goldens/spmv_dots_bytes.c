#include "zs_kernel.h"
#include "zs_narrow.h"

/* 64 bytes of int32_t at any element's address */
typedef int32_t zs_vec __attribute__((vector_size(64), aligned(sizeof(int32_t)), may_alias));
enum { LANES = 64 / sizeof(int32_t) };

/*
 * y[i] = sum[j](A[i,j]*x[j])
 * A: 0:U 1:B, int8
 * x: 0:U, int8
 * dots: A
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    int32_t *restrict y_vals = args->buf[0];
    const uint64_t *restrict A_j_words = args->buf[1];
    const int64_t *restrict A_j_rank = args->buf[2];
    const int8_t *restrict A_vals = args->buf[3];
    const int8_t *restrict x_vals = args->buf[4];
    const int64_t I = args->dim[0];
    const int64_t J = args->dim[1];
    const int64_t A_stored = args->dim[2];

    ZS_SHARED(i, args->part, args->parts, 0, I) {
        ZS_POLL(args);
        int32_t acc = 0;
        const int64_t words = zs_bit_words(J);
        const int64_t first = i * words;
        int64_t pA_j = words > 0 ? A_j_rank[first] : 0;
        int64_t w_j = 0;
        zs_vec sums[2] = {};
        /* words of which every value that vectors read is there */
        for (; w_j < J / 64 && pA_j + 64 <= A_stored; w_j++) {
            const uint64_t bits_j = A_j_words[first + w_j];
            ZS_AHEAD(A_vals + pA_j);
            zs_add_narrow_int8_int8(sums, A_vals + pA_j, x_vals + w_j * 64, bits_j);
            pA_j += zs_popcount(bits_j);
        }
        acc += zs_narrow_sum_int8_int8(sums);
        for (; w_j < words; w_j++) {
            uint64_t bits_j = A_j_words[first + w_j];
            for (; bits_j != 0; bits_j = zs_drop_lowest(bits_j)) {
                const int64_t j = w_j * 64 + zs_ctz(bits_j);
                acc += (int32_t)A_vals[pA_j] * (int32_t)x_vals[j];
                pA_j++;
            }
        }
        y_vals[i] = acc;
    }
    return ZS_OK;
}
