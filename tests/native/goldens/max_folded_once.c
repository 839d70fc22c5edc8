#include "zs_kernel.h"
#include "zs_pointwise.h"

/*
 * O[i] max= A[i,k]*x[k]
 * A: 0:U 1:C, float32
 * x: 0:U, float32
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
    const float *restrict x_vals = args->buf[4];
    int64_t *restrict O_visits = args->buf[5];
    const int64_t I = args->dim[0];
    const int64_t K = args->dim[1];

    ZS_SHARED(i, args->part, args->parts, 0, I) {
        O_vals[i] = -__builtin_inff();
    }
    ZS_BARRIER(args);
    ZS_SHARED(i, args->part, args->parts, 0, I) {
        O_visits[i] = 0;
    }
    ZS_BARRIER(args);
    ZS_SHARED_BY(A_k_pos, i, args->part, args->parts, 0, I) {
        ZS_POLL(args);
        for (int64_t pA_k = A_k_pos[i]; pA_k < A_k_pos[i + 1]; pA_k++) {
            const int64_t k = A_k_crd[pA_k];
            O_vals[i] = zs_max_float32(O_vals[i], A_vals[pA_k] * x_vals[k]);
            O_visits[i] += 1;
        }
    }
    ZS_BARRIER(args);
    ZS_SHARED(i, args->part, args->parts, 0, I) {
        const int64_t given = O_visits[i];
        if (given < K) {
            O_vals[i] = zs_max_float32(O_vals[i], 0.0f);
        }
    }
    return ZS_OK;
}
