#include "zs_kernel.h"

/*
 * y[i] = sum[j](A[i,j]*x[j])
 * A: 1:U 0:C, float32
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
    const float *restrict A_vals = args->buf[3];
    const float *restrict x_vals = args->buf[4];
    const int64_t I = args->dim[0];
    const int64_t J = args->dim[1];

    for (int64_t i = 0; i < I; i++) {
        y_vals[i] = 0.0f;
    }
    for (int64_t j = 0; j < J; j++) {
        ZS_POLL(args);
        for (int64_t pA_i = A_i_pos[j]; pA_i < A_i_pos[j + 1]; pA_i++) {
            const int64_t i = A_i_crd[pA_i];
            y_vals[i] += A_vals[pA_i] * x_vals[j];
        }
    }
    return ZS_OK;
}
