#include "zs_kernel.h"

/*
 * O[m] = sum[k](A[m,k]*x[k]*(k <= m))
 * A: 0:U 1:U, float32
 * x: 0:U, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict O_vals = args->buf[0];
    const float *restrict A_vals = args->buf[1];
    const float *restrict x_vals = args->buf[2];
    const int64_t M = args->dim[0];
    const int64_t K = args->dim[1];

    ZS_SHARED(m, args->part, args->parts, 0, M) {
        ZS_POLL(args);
        float acc = 0.0f;
        for (int64_t k = 0; k < zs_min(K, m + 1); k++) {
            acc += A_vals[m * K + k] * x_vals[k];
        }
        O_vals[m] = acc;
    }
    return ZS_OK;
}
