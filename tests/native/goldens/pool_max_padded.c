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
    const int64_t P = args->dim[1];
    const int64_t R = args->dim[2];
    const int64_t I_pad1 = args->dim[3];
    const int64_t I_dim1 = args->dim[4];

    ZS_SHARED(i, args->part, args->parts, 0, C * P) {
        O_vals[i] = -__builtin_inff();
    }
    ZS_BARRIER(args);
    {
        const zs_share c_share = zs_divide(args->part, args->parts, 0, C);
        for (int64_t c = c_share.lo; c < c_share.hi; c++) {
            ZS_POLL(args);
            ZS_SHARED(p, c_share.part, c_share.parts, 0, P) {
                ZS_POLL(args);
                for (int64_t r = zs_max(0, I_pad1 - 2 * p); r < zs_min(R, I_dim1 + I_pad1 - 2 * p); r++) {
                    O_vals[c * P + p] = zs_max_float32(O_vals[c * P + p], I_vals[c * I_dim1 + 2 * p + r - I_pad1]);
                }
            }
        }
    }
    return ZS_OK;
}
