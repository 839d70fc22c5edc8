#include "zs_kernel.h"

/*
 * y[i] = sum[j](A[i,j]*x[j])
 * A: 0:U 1:H, float32
 * x: 0:U, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict y_vals = args->buf[0];
    const uint8_t *restrict A_j_offset = args->buf[1];
    const float *restrict A_vals = args->buf[2];
    const float *restrict x_vals = args->buf[3];
    const int64_t I = args->dim[0];
    const int64_t J = args->dim[1];

    ZS_SHARED(i, args->part, args->parts, 0, I) {
        ZS_POLL(args);
        float acc = 0.0f;
        const int64_t pA_j_first = i * zs_group_entries(J, 2, 4);
        const int64_t pA_j_end = pA_j_first + zs_group_entries(J, 2, 4);
        for (int64_t pA_j = pA_j_first; pA_j < pA_j_end; pA_j++) {
            const int64_t j = (pA_j - pA_j_first) / 2 * 4 + A_j_offset[pA_j];
            acc += (A_vals[pA_j] != 0 ? A_vals[pA_j] * x_vals[j] : 0);
        }
        y_vals[i] = acc;
    }
    return ZS_OK;
}
