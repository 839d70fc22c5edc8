#include "zs_kernel.h"
#include "zs_pointwise.h"

/*
 * O[c,p] max= I[c,2*p+r]
 * I: 0:U 1:U, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict O_vals = args->buf[0];
    const float *restrict I_vals = args->buf[1];
    const int64_t C = args->dim[0];
    const int64_t R = args->dim[1];
    const int64_t P = args->dim[2];
    const int64_t I_pad1 = args->dim[3];
    const int64_t I_dim1 = args->dim[4];

    ZS_SHARED(i, args->part, args->parts, 0, C * P) {
        O_vals[i] = -__builtin_inff();
    }
    ZS_BARRIER(args);
    ZS_SHARED(c, args->part, args->parts, 0, C) {
        ZS_POLL(args);
        for (int64_t r = 0; r < R; r++) {
            ZS_POLL(args);
            for (int64_t p = zs_max(0, zs_ceil_div(I_pad1 - r, 2)); p < zs_min(P, zs_floor_div(I_dim1 + I_pad1 - r - 1, 2) + 1); p++) {
                O_vals[c * P + p] = zs_max_float32(O_vals[c * P + p], I_vals[c * I_dim1 + 2 * p + r - I_pad1]);
            }
        }
    }
    return ZS_OK;
}
