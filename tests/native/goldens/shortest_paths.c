#include "zs_kernel.h"
#include "zs_pointwise.h"

/*
 * D[i,j] min= A[i,k] + B[k,j]
 * A: 0:U 1:C, float32, fill inf
 * B: 0:C 1:U, float32, fill inf
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict D_vals = args->buf[0];
    const int64_t *restrict A_k_pos = args->buf[1];
    const uint16_t *restrict A_k_crd = args->buf[2];
    const int64_t *restrict B_k_pos = args->buf[3];
    const uint16_t *restrict B_k_crd = args->buf[4];
    const float *restrict A_vals = args->buf[5];
    const float *restrict B_vals = args->buf[6];
    const int64_t I = args->dim[0];
    const int64_t J = args->dim[2];

    ZS_SHARED(i, args->part, args->parts, 0, I * J) {
        D_vals[i] = __builtin_inff();
    }
    ZS_BARRIER(args);
    ZS_SHARED_BY(A_k_pos, i, args->part, args->parts, 0, I) {
        ZS_POLL(args);
        int64_t pA_k = A_k_pos[i];
        const int64_t pA_k_end = A_k_pos[i + 1];
        int64_t pB_k = B_k_pos[0];
        const int64_t pB_k_end = B_k_pos[1];
        while (pA_k < pA_k_end && pB_k < pB_k_end) {
            const int64_t pA_k_at = A_k_crd[pA_k];
            const int64_t pB_k_at = B_k_crd[pB_k];
            if (pA_k_at == pB_k_at) {
                ZS_POLL(args);
                for (int64_t j = 0; j < J; j++) {
                    D_vals[i * J + j] = zs_min_float32(D_vals[i * J + j], (B_vals[pB_k * J + j] != __builtin_inff() ? A_vals[pA_k] + B_vals[pB_k * J + j] : __builtin_inff()));
                }
            }
            const int64_t k_at = zs_min(pA_k_at, pB_k_at);
            pA_k += pA_k_at == k_at;
            pB_k += pB_k_at == k_at;
        }
    }
    return ZS_OK;
}
