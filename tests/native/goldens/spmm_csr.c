#include "zs_kernel.h"

/*
 * C[i,j] = sum[k](A[i,k]*B[k,j])
 * A: 0:U 1:C, float32
 * B: 0:U 1:U, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict C_vals = args->buf[0];
    const int64_t *restrict A_k_pos = args->buf[1];
    const uint16_t *restrict A_k_crd = args->buf[2];
    const float *restrict A_vals = args->buf[3];
    const float *restrict B_vals = args->buf[4];
    const int64_t I = args->dim[0];
    const int64_t J = args->dim[1];

    ZS_SHARED(i, args->part, args->parts, 0, I * J) {
        C_vals[i] = 0.0f;
    }
    ZS_BARRIER(args);
    ZS_SHARED_BY(A_k_pos, i, args->part, args->parts, 0, I) {
        ZS_POLL(args);
        for (int64_t pA_k = A_k_pos[i]; pA_k < A_k_pos[i + 1]; pA_k++) {
            const int64_t k = A_k_crd[pA_k];
            ZS_POLL(args);
            for (int64_t j = 0; j < J; j++) {
                C_vals[i * J + j] += A_vals[pA_k] * B_vals[k * J + j];
            }
        }
    }
    return ZS_OK;
}
