#include "zs_kernel.h"
#include "zs_pointwise.h"

/*
 * O[c,p,q] max= I[c,2*p+r,2*q+s]
 * I: 0:U 1:U 2:U, float32
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
    const int64_t I_dim1 = args->dim[3];
    const int64_t S = args->dim[4];
    const int64_t Q = args->dim[5];
    const int64_t I_dim2 = args->dim[6];

    ZS_SHARED(i, args->part, args->parts, 0, C * P * Q) {
        O_vals[i] = -__builtin_inff();
    }
    ZS_BARRIER(args);
    {
        const zs_share c_share = zs_divide(args->part, args->parts, 0, C);
        for (int64_t c = c_share.lo; c < c_share.hi; c++) {
            ZS_POLL(args);
            ZS_SHARED(p, c_share.part, c_share.parts, 0, P) {
                ZS_POLL(args);
                for (int64_t r = 0; r < R; r++) {
                    ZS_POLL(args);
                    for (int64_t s = 0; s < S; s++) {
                        for (int64_t q = 0; q < Q; q++) {
                            O_vals[(c * P + p) * Q + q] = zs_max_float32(O_vals[(c * P + p) * Q + q], I_vals[(c * I_dim1 + 2 * p + r) * I_dim2 + 2 * q + s]);
                        }
                    }
                }
            }
        }
    }
    return ZS_OK;
}
