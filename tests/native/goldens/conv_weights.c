#include "zs_kernel.h"
#include "zs_pointwise.h"

/*
 * O[n,m,p,q] = relu(B[m] + sum[c,r,s](F[m,c,r,s]*I[n,c,2*p+r,q+s]))
 * B: 0:U, float32
 * F: 0:U 1*2*3:C, float32
 * I: 0:U 1:U 2:U 3:U, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict O_vals = args->buf[0];
    const float *restrict B_vals = args->buf[1];
    const int64_t *restrict F_crs_pos = args->buf[2];
    const uint16_t *restrict F_crs_crd = args->buf[3];
    const float *restrict F_vals = args->buf[4];
    const float *restrict I_vals = args->buf[5];
    const int64_t M = args->dim[0];
    const int64_t N = args->dim[1];
    const int64_t P = args->dim[2];
    const int64_t Q = args->dim[3];
    const int64_t C = args->dim[4];
    const int64_t R = args->dim[5];
    const int64_t S = args->dim[6];
    const int64_t I_pad2 = args->dim[7];
    const int64_t I_dim2 = args->dim[8];
    const int64_t I_pad3 = args->dim[9];
    const int64_t I_dim3 = args->dim[10];

    ZS_SHARED(i, args->part, args->parts, 0, N * M * P * Q) {
        O_vals[i] = 0.0f;
    }
    ZS_BARRIER(args);
    ZS_SHARED_BY(F_crs_pos, m, args->part, args->parts, 0, M) {
        ZS_POLL(args);
        for (int64_t pF_crs = F_crs_pos[m]; pF_crs < F_crs_pos[m + 1]; pF_crs++) {
            const int64_t F_crs_at = F_crs_crd[pF_crs];
            ZS_POLL(args);
            const int64_t c = F_crs_at / (R * S);
            const int64_t r = (F_crs_at / S) % R;
            const int64_t s = F_crs_at % S;
            for (int64_t n = 0; n < N; n++) {
                ZS_POLL(args);
                for (int64_t p = zs_max(0, zs_ceil_div(I_pad2 - r, 2)); p < zs_min(P, zs_floor_div(I_dim2 + I_pad2 - r - 1, 2) + 1); p++) {
                    for (int64_t q = zs_max(0, I_pad3 - s); q < zs_min(Q, I_dim3 + I_pad3 - s); q++) {
                        O_vals[((n * M + m) * P + p) * Q + q] += F_vals[pF_crs] * I_vals[((n * C + c) * I_dim2 + 2 * p + r - I_pad2) * I_dim3 + q + s - I_pad3];
                    }
                }
            }
        }
    }
    ZS_BARRIER(args);
    {
        const zs_share n_share = zs_divide(args->part, args->parts, 0, N);
        for (int64_t n = n_share.lo; n < n_share.hi; n++) {
            ZS_POLL(args);
            ZS_SHARED(m, n_share.part, n_share.parts, 0, M) {
                ZS_POLL(args);
                for (int64_t p = 0; p < P; p++) {
                    for (int64_t q = 0; q < Q; q++) {
                        O_vals[((n * M + m) * P + p) * Q + q] = zs_relu_float32(O_vals[((n * M + m) * P + p) * Q + q] + B_vals[m]);
                    }
                }
            }
        }
    }
    return ZS_OK;
}
