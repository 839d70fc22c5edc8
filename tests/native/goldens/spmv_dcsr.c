#include "zs_kernel.h"

/*
 * y[i] = sum[j](A[i,j]*x[j])
 * A: 0:C 1:C, float32
 * x: 0:U, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict y_vals = args->buf[0];
    const int64_t *restrict A_i_pos = args->buf[1];
    const uint16_t *restrict A_i_crd = args->buf[2];
    const int64_t *restrict A_j_pos = args->buf[3];
    const uint16_t *restrict A_j_crd = args->buf[4];
    const float *restrict A_vals = args->buf[5];
    const float *restrict x_vals = args->buf[6];
    const int64_t I = args->dim[0];

    for (int64_t i = 0; i < I; i++) {
        y_vals[i] = 0.0f;
    }
    for (int64_t pA_i = A_i_pos[0]; pA_i < A_i_pos[1]; pA_i++) {
        const int64_t i = A_i_crd[pA_i];
        ZS_POLL(args);
        for (int64_t pA_j = A_j_pos[pA_i]; pA_j < A_j_pos[pA_i + 1]; pA_j++) {
            const int64_t j = A_j_crd[pA_j];
            y_vals[i] += A_vals[pA_j] * x_vals[j];
        }
    }
    return ZS_OK;
}
