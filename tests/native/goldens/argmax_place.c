#include "zs_kernel.h"
#include "zs_pointwise.h"

/*
 * O[i] min= where((A[i,k] == M[i]), k, K)
 * A: 0:U 1:U, float32
 * M: 0:U, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    int64_t *restrict O_vals = args->buf[0];
    const float *restrict A_vals = args->buf[1];
    const float *restrict M_vals = args->buf[2];
    const int64_t I = args->dim[0];
    const int64_t K = args->dim[1];
    const int64_t K_ = args->dim[2];

    ZS_SHARED(i, args->part, args->parts, 0, I) {
        O_vals[i] = INT64_C(9223372036854775807);
    }
    ZS_BARRIER(args);
    ZS_SHARED(i, args->part, args->parts, 0, I) {
        ZS_POLL(args);
        for (int64_t k = 0; k < K; k++) {
            O_vals[i] = zs_min_int64(O_vals[i], (A_vals[i * K + k] == M_vals[i] ? k : K_));
        }
    }
    return ZS_OK;
}
