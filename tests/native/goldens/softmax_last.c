#include "zs_kernel.h"

/*
 * A[m,p] = exp(S[m,p])/D[p]
 * S: 0:U 1:U, float32
 * D: 0:U, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict A_vals = args->buf[0];
    const float *restrict S_vals = args->buf[1];
    const float *restrict D_vals = args->buf[2];
    const int64_t M = args->dim[0];
    const int64_t P = args->dim[1];

    ZS_SHARED(m, args->part, args->parts, 0, M) {
        ZS_POLL(args);
        for (int64_t p = 0; p < P; p++) {
            float acc = 0.0f;
            acc += __builtin_expf(S_vals[m * P + p]) / D_vals[p];
            A_vals[m * P + p] = acc;
        }
    }
    return ZS_OK;
}
