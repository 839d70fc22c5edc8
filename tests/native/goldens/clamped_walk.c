#include "zs_kernel.h"
#include "zs_pointwise.h"

/*
 * Y[i,k] = min(32, relu(T[i,k] + b*(T[i,k] != 0)))
 * T: 0:U 1:C, float32
 * b: scalar, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict Y_vals = args->buf[0];
    const int64_t *restrict T_k_pos = args->buf[1];
    const uint16_t *restrict T_k_crd = args->buf[2];
    const float *restrict T_vals = args->buf[3];
    const int64_t I = args->dim[0];
    const int64_t K = args->dim[1];
    const double b = args->real[0];

    ZS_SHARED(i, args->part, args->parts, 0, I * K) {
        Y_vals[i] = 0.0f;
    }
    ZS_BARRIER(args);
    ZS_SHARED_BY(T_k_pos, i, args->part, args->parts, 0, I) {
        ZS_POLL(args);
        for (int64_t pT_k = T_k_pos[i]; pT_k < T_k_pos[i + 1]; pT_k++) {
            const int64_t k = T_k_crd[pT_k];
            Y_vals[i * K + k] += zs_min_float32(32.0f, zs_relu_float32(T_vals[pT_k] + (float)b * (T_vals[pT_k] != 0.0f)));
        }
    }
    return ZS_OK;
}
