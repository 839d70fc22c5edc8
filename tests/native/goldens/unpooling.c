#include "zs_kernel.h"

/*
 * O[n,X[n,p]] = I[n,p]
 * X: 0:U 1:U, int64
 * I: 0:U 1:U, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict O_vals = args->buf[0];
    uint8_t *restrict O_mark = args->buf[1];
    const int64_t *restrict X_vals = args->buf[2];
    const float *restrict I_vals = args->buf[3];
    const int64_t N = args->dim[0];
    const int64_t O_dim1 = args->dim[1];
    const int64_t P = args->dim[2];

    ZS_SHARED(i, args->part, args->parts, 0, N * O_dim1) {
        O_vals[i] = 0.0f;
    }
    ZS_BARRIER(args);
    ZS_SHARED(i, args->part, args->parts, 0, N * O_dim1) {
        O_mark[i] = 0;
    }
    ZS_BARRIER(args);
    ZS_SHARED(n, args->part, args->parts, 0, N) {
        ZS_POLL(args);
        for (int64_t p = 0; p < P; p++) {
            const int64_t X_at = X_vals[n * P + p];
            if (X_at < 0 || X_at >= O_dim1) {
                return zs_fail(args, ZS_ERANGE, 0);
            }
            if (O_mark[n * O_dim1 + X_at]++) {
                return zs_fail(args, ZS_ECOLLISION, n * O_dim1 + X_at);
            }
            O_vals[n * O_dim1 + X_at] += I_vals[n * P + p];
        }
    }
    return ZS_OK;
}
