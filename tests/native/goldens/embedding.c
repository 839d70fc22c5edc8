#include "zs_kernel.h"

/*
 * Y[n,e] = W[X[n],e]
 * X: 0:U, int64
 * W: 0:U 1:U, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict Y_vals = args->buf[0];
    const int64_t *restrict X_vals = args->buf[1];
    const float *restrict W_vals = args->buf[2];
    const int64_t N = args->dim[0];
    const int64_t W_dim0 = args->dim[1];
    const int64_t E = args->dim[2];

    ZS_SHARED(n, args->part, args->parts, 0, N) {
        ZS_POLL(args);
        const int64_t X_at = X_vals[n];
        if (X_at < 0 || X_at >= W_dim0) {
            return zs_fail(args, ZS_ERANGE, 0);
        }
        for (int64_t e = 0; e < E; e++) {
            float acc = 0.0f;
            acc += W_vals[X_at * E + e];
            Y_vals[n * E + e] = acc;
        }
    }
    return ZS_OK;
}
