#include "zs_kernel.h"

/*
 * y[i] = sum[j](A[i,j]*x[j])
 * A: 0:U 1:C, float32
 * x: 0:U, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict y_vals = args->buf[0];
    const int64_t *restrict A_j_pos = args->buf[1];
    const uint16_t *restrict A_j_crd = args->buf[2];
    const float *restrict A_vals = args->buf[3];
    const float *restrict x_vals = args->buf[4];
    const int64_t I = args->dim[0];

    ZS_SHARED_BY(A_j_pos, i, args->part, args->parts, 0, I) {
        ZS_POLL(args);
        float acc = 0.0f;
        for (int64_t pA_j = A_j_pos[i]; pA_j < A_j_pos[i + 1]; pA_j++) {
            const int64_t j = A_j_crd[pA_j];
            acc += A_vals[pA_j] * x_vals[j];
        }
        y_vals[i] = acc;
    }
    return ZS_OK;
}
