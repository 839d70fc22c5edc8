#include "zs_kernel.h"
#include "zs_dots.h"

/* 64 bytes of float at any element's address */
typedef float zs_vec __attribute__((vector_size(64), aligned(sizeof(float)), may_alias));
enum { LANES = 64 / sizeof(float) };

/*
 * y[i] = sum[j](A[i,j]*x[j])
 * A: 0:U 1:C, float32
 * x: 0:U, float32
 * dots: A
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict y_vals = args->buf[0];
    const int64_t *restrict A_j_pos = args->buf[1];
    const uint16_t *restrict A_j_crd = args->buf[2];
    const float *restrict A_vals = args->buf[3];
    const float *restrict x_vals = args->buf[4];
    const int64_t I = args->dim[0];

    ZS_SHARED_BY(A_j_pos, i, args->part, args->parts, 0, I) {
        ZS_POLL(args);
        float acc = 0.0f;
        int64_t pA_j = A_j_pos[i];
        const int64_t pA_j_end = A_j_pos[i + 1];
        zs_vec sums = {};
        for (; pA_j + LANES <= pA_j_end; pA_j += LANES) {
            ZS_FETCH(A_vals + pA_j, 4096);
            ZS_FETCH(A_j_crd + pA_j, 2048);
            const zs_vec picked = zs_picked_float32_64_uint16(x_vals, A_j_crd + pA_j);
            sums += *(const zs_vec *)(A_vals + pA_j) * picked;
        }
        if (pA_j < pA_j_end) {
            const int64_t left = pA_j_end - pA_j;
            const zs_vec picked = zs_picked_first_float32_64_uint16(x_vals, A_j_crd + pA_j, left);
            sums += zs_first_float32_64(A_vals + pA_j, left) * picked;
        }
        acc += zs_lane_sum_float32_64(sums);
        y_vals[i] = acc;
    }
    return ZS_OK;
}
