#include "zs_kernel.h"

/*
 * s[i] += exp(A[i,k])
 * A: 0:U 1:C, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict s_vals = args->buf[0];
    const int64_t *restrict A_k_pos = args->buf[1];
    const float *restrict A_vals = args->buf[3];
    int64_t *restrict s_visits = args->buf[4];
    const int64_t I = args->dim[0];
    const int64_t K = args->dim[1];

    ZS_SHARED(i, args->part, args->parts, 0, I) {
        s_vals[i] = 0.0f;
    }
    ZS_BARRIER(args);
    ZS_SHARED(i, args->part, args->parts, 0, I) {
        s_visits[i] = 0;
    }
    ZS_BARRIER(args);
    ZS_SHARED_BY(A_k_pos, i, args->part, args->parts, 0, I) {
        ZS_POLL(args);
        for (int64_t pA_k = A_k_pos[i]; pA_k < A_k_pos[i + 1]; pA_k++) {
            s_vals[i] += __builtin_expf(A_vals[pA_k]);
            s_visits[i] += 1;
        }
    }
    ZS_BARRIER(args);
    ZS_SHARED(i, args->part, args->parts, 0, I) {
        const int64_t given = s_visits[i];
        if (given < K) {
            s_vals[i] += (float)(K - given);
        }
    }
    return ZS_OK;
}
