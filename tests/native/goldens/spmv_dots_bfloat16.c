#include "zs_kernel.h"
#include "zs_half.h"
#include "zs_narrow.h"

/* 64 bytes of float at any element's address */
typedef float zs_vec __attribute__((vector_size(64), aligned(sizeof(float)), may_alias));
enum { LANES = 64 / sizeof(float) };

/*
 * y[i] = sum[j](A[i,j]*x[j])
 * A: 0:U 1:B, bfloat16
 * x: 0:U, bfloat16
 * dots: A
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    zs_bfloat16 *restrict y_vals = args->buf[0];
    const uint64_t *restrict A_j_words = args->buf[1];
    const int64_t *restrict A_j_rank = args->buf[2];
    const zs_bfloat16 *restrict A_vals = args->buf[3];
    const zs_bfloat16 *restrict x_vals = args->buf[4];
    const int64_t I = args->dim[0];
    const int64_t J = args->dim[1];
    const int64_t A_stored = args->dim[2];
    zs_held x_vals_held;
    zs_hold_nothing(&x_vals_held);

    ZS_SHARED(i, args->part, args->parts, 0, I) {
        ZS_POLL(args);
        float acc = 0.0f;
        const int64_t words = zs_bit_words(J);
        const int64_t first = i * words;
        int64_t pA_j = words > 0 ? A_j_rank[first] : 0;
        int64_t w_j = 0;
        zs_vec sums[4] = {};
        const float *const x_vals_wide = zs_hold(&x_vals_held, x_vals, J);
        /* words of which every value that vectors read is there */
        for (; w_j < J / 64 && pA_j + 64 <= A_stored; w_j++) {
            const uint64_t bits_j = A_j_words[first + w_j];
            ZS_AHEAD(A_vals + pA_j);
            const uint32_t mask1 = (uint32_t)bits_j;
            const uint32_t mask2 = (uint32_t)(bits_j >> 32);
            if (x_vals_wide != 0) {
                zs_add_held_bfloat16(sums, A_vals + pA_j, x_vals_wide + w_j * 64, mask1);
                zs_add_held_bfloat16(sums + 2, A_vals + pA_j + zs_popcount(mask1), x_vals_wide + w_j * 64 + 32, mask2);
            }
            else {
                zs_add_narrow_bfloat16_bfloat16(sums, A_vals + pA_j, x_vals + w_j * 64, mask1);
                zs_add_narrow_bfloat16_bfloat16(sums + 2, A_vals + pA_j + zs_popcount(mask1), x_vals + w_j * 64 + 32, mask2);
            }
            pA_j += zs_popcount(bits_j);
        }
        acc += zs_narrow_sum_bfloat16_bfloat16(sums) + zs_narrow_sum_bfloat16_bfloat16(sums + 2);
        for (; w_j < words; w_j++) {
            uint64_t bits_j = A_j_words[first + w_j];
            for (; bits_j != 0; bits_j = zs_drop_lowest(bits_j)) {
                const int64_t j = w_j * 64 + zs_ctz(bits_j);
                acc += zs_wide_bfloat16(A_vals[pA_j]) * zs_wide_bfloat16(x_vals[j]);
                pA_j++;
            }
        }
        y_vals[i] = zs_narrow_bfloat16(acc);
    }
    return ZS_OK;
}
