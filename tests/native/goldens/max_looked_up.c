#include "zs_kernel.h"
#include "zs_pointwise.h"

/*
 * O[i] = sum[k](max(A[i,k], B[i,k]))
 * A: 0:U 1:C, float32
 * B: 0:U 1:U, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict O_vals = args->buf[0];
    const int64_t *restrict A_k_pos = args->buf[1];
    const uint16_t *restrict A_k_crd = args->buf[2];
    const float *restrict A_vals = args->buf[3];
    const float *restrict B_vals = args->buf[4];
    const int64_t I = args->dim[0];
    const int64_t K = args->dim[1];

    ZS_SHARED(i, args->part, args->parts, 0, I) {
        ZS_POLL(args);
        float acc = 0.0f;
        for (int64_t k = 0; k < K; k++) {
            const int64_t pA_k = zs_locate_uint16(A_k_crd, A_k_pos[i], A_k_pos[i + 1], k);
            acc += zs_max_float32((pA_k >= 0 ? A_vals[pA_k] : 0.0f), B_vals[i * K + k]);
        }
        O_vals[i] = acc;
    }
    return ZS_OK;
}
