#include "zs_kernel.h"
#include "zs_pointwise.h"

/*
 * O[m,p] = relu(B[m] + sum[c](I[c,p]*W[m,c]))
 * B: 0:U, float32
 * I: 0:U 1:U, float32
 * W: 0:U 1:U, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict O_vals = args->buf[0];
    const float *restrict B_vals = args->buf[1];
    const float *restrict I_vals = args->buf[2];
    const float *restrict W_vals = args->buf[3];
    const int64_t M = args->dim[0];
    const int64_t P = args->dim[1];
    const int64_t C = args->dim[2];

    ZS_SHARED(i, args->part, args->parts, 0, M * P) {
        O_vals[i] = 0.0f;
    }
    ZS_BARRIER(args);
    ZS_SHARED(m, args->part, args->parts, 0, M) {
        ZS_POLL(args);
        for (int64_t c = 0; c < C; c++) {
            ZS_POLL(args);
            for (int64_t p = 0; p < P; p++) {
                O_vals[m * P + p] += I_vals[c * P + p] * W_vals[m * C + c];
            }
        }
    }
    ZS_BARRIER(args);
    ZS_SHARED(m, args->part, args->parts, 0, M) {
        ZS_POLL(args);
        for (int64_t p = 0; p < P; p++) {
            O_vals[m * P + p] = zs_relu_float32(O_vals[m * P + p] + B_vals[m]);
        }
    }
    return ZS_OK;
}
