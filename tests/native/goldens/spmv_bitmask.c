#include "zs_kernel.h"

/*
 * y[i] = sum[j](A[i,j]*x[j])
 * A: 0:U 1:B, float32
 * x: 0:U, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict y_vals = args->buf[0];
    const uint64_t *restrict A_j_words = args->buf[1];
    const int64_t *restrict A_j_rank = args->buf[2];
    const float *restrict A_vals = args->buf[3];
    const float *restrict x_vals = args->buf[4];
    const int64_t I = args->dim[0];
    const int64_t J = args->dim[1];

    ZS_SHARED(i, args->part, args->parts, 0, I) {
        ZS_POLL(args);
        float acc = 0.0f;
        for (int64_t w_j = 0; w_j < zs_bit_words(J); w_j++) {
            uint64_t bits_j = A_j_words[i * zs_bit_words(J) + w_j];
            int64_t pA_j_next = A_j_rank[i * zs_bit_words(J) + w_j];
            for (; bits_j != 0; bits_j = zs_drop_lowest(bits_j)) {
                const int64_t pA_j = pA_j_next++;
                const int64_t j = w_j * 64 + zs_ctz(bits_j);
                acc += A_vals[pA_j] * x_vals[j];
            }
        }
        y_vals[i] = acc;
    }
    return ZS_OK;
}
