#include "zs_kernel.h"
#include "zs_pointwise.h"

/* 64 bytes of float at any element's address */
typedef float zs_vec __attribute__((vector_size(64), aligned(sizeof(float)), may_alias));
enum { LANES = 64 / sizeof(float) };

/*
 * O[n,m,p,q] = relu(B[m] + sum[c,r,s](F[m,c,r,s]*I[n,c,2*p+r,q+s]))
 * B: 0:U, float32
 * F: 1:U 2:U 3:U 0:U, float32
 * I: 0:C 1:C 2:C 3:C, float32
 * lanes: m
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict O_vals = args->buf[0];
    float *restrict row_sums = args->buf[1];
    float *restrict F_staged = args->buf[2];
    const float *restrict F_vals = args->buf[3];
    const int64_t *restrict I_n_pos = args->buf[4];
    const uint16_t *restrict I_n_crd = args->buf[5];
    const int64_t *restrict I_c_pos = args->buf[6];
    const uint16_t *restrict I_c_crd = args->buf[7];
    const int64_t *restrict I_level2_pos = args->buf[8];
    const uint16_t *restrict I_level2_crd = args->buf[9];
    const int64_t *restrict I_level3_pos = args->buf[10];
    const uint16_t *restrict I_level3_crd = args->buf[11];
    const float *restrict I_vals = args->buf[12];
    const float *restrict B_vals = args->buf[13];
    const int64_t row_pitch = args->dim[0];
    const int64_t N = args->dim[1];
    const int64_t P = args->dim[2];
    const int64_t Q = args->dim[3];
    const int64_t F_extent0 = args->dim[4];
    const int64_t F_from0 = args->dim[5];
    const int64_t F_extent1 = args->dim[6];
    const int64_t F_from1 = args->dim[7];
    const int64_t F_to1 = args->dim[8];
    const int64_t F_extent2 = args->dim[9];
    const int64_t F_from2 = args->dim[10];
    const int64_t F_to2 = args->dim[11];
    const int64_t F_extent3 = args->dim[12];
    const int64_t F_to3 = args->dim[13];
    const int64_t R = args->dim[15];
    const int64_t I_pad2 = args->dim[17];
    const int64_t S = args->dim[18];
    const int64_t I_pad3 = args->dim[20];
    const int64_t M = args->dim[21];

    /* F_staged: F_vals laid out for vectors; what it does not reach is 0 */
    for (int64_t i0 = 0; i0 < F_extent0; i0++) {
        for (int64_t i1 = 0; i1 < F_extent1; i1++) {
            for (int64_t i2 = 0; i2 < F_extent2; i2++) {
                for (int64_t i3 = 0; i3 < F_extent3; i3++) {
                    F_staged[i0 + i1 * F_to1 + i2 * F_to2 + i3 * F_to3] = F_vals[i0 * F_from0 + i1 * F_from1 + i2 * F_from2 + i3];
                }
            }
        }
    }
    for (int64_t i = 0; i < row_pitch * N * P * Q; i++) {
        row_sums[i] = 0.0f;
    }
    for (int64_t pI_n = I_n_pos[0]; pI_n < I_n_pos[1]; pI_n++) {
        const int64_t n = I_n_crd[pI_n];
        ZS_POLL(args);
        for (int64_t pI_c = I_c_pos[pI_n]; pI_c < I_c_pos[pI_n + 1]; pI_c++) {
            const int64_t c = I_c_crd[pI_c];
            ZS_POLL(args);
            for (int64_t r = 0; r < R; r++) {
                ZS_POLL(args);
                for (int64_t pI_level2 = I_level2_pos[pI_c]; pI_level2 < I_level2_pos[pI_c + 1]; pI_level2++) {
                    const int64_t I_level2_at = I_level2_crd[pI_level2];
                    ZS_POLL(args);
                    const int64_t p_by_2 = I_level2_at + I_pad2 - r;
                    if (p_by_2 >= 0 && p_by_2 % 2 == 0) {
                        const int64_t p = p_by_2 / 2;
                        if (p < P) {
                            for (int64_t s = 0; s < S; s++) {
                                ZS_POLL(args);
                                for (int64_t pI_level3 = I_level3_pos[pI_level2]; pI_level3 < I_level3_pos[pI_level2 + 1]; pI_level3++) {
                                    const int64_t I_level3_at = I_level3_crd[pI_level3];
                                    const int64_t q = I_level3_at + I_pad3 - s;
                                    if (q >= 0 && q < Q) {
                                        for (int64_t m = 0; m < M; m += LANES) {
                                            *(zs_vec *)(row_sums + ((n * P + p) * Q + q) * row_pitch + m) += *(const zs_vec *)(F_staged + ((c * R + r) * S + s) * M + m) * I_vals[pI_level3];
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    for (int64_t n = 0; n < N; n++) {
        ZS_POLL(args);
        for (int64_t m = 0; m < M; m++) {
            ZS_POLL(args);
            for (int64_t p = 0; p < P; p++) {
                for (int64_t q = 0; q < Q; q++) {
                    O_vals[((n * M + m) * P + p) * Q + q] = zs_relu_float32(row_sums[((n * P + p) * Q + q) * row_pitch + m] + B_vals[m]);
                }
            }
        }
    }
    return ZS_OK;
}
