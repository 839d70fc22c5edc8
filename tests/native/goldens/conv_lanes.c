#include "zs_kernel.h"
#include "zs_pointwise.h"
#include "zs_turned.h"

/* 64 bytes of float at any element's address */
typedef float zs_vec __attribute__((vector_size(64), aligned(sizeof(float)), may_alias));
enum { LANES = 64 / sizeof(float) };

ZS_DEFINE_TURNED(float)

/* 1 vector of x, from x on */
static inline __attribute__((always_inline)) void tile_x(
    const int tile,
    const int64_t x,
    float *restrict F_staged,
    const float *restrict F_vals,
    const int64_t F_extent1,
    const int64_t F_from1,
    const int64_t F_to1,
    const int64_t F_extent2,
    const int64_t F_from2,
    const int64_t F_to2,
    const int64_t F_extent3,
    const int64_t F_to3,
    const int64_t M,
    const int64_t F_from0,
    const int64_t F_places)
{
    const int64_t width = tile * LANES;
    /* F_staged: F_vals from x * F_from0 on, its rows as columns; what it does not reach stays */
    for (int64_t i0 = 0; i0 < F_extent1; i0++) {
        for (int64_t i1 = 0; i1 < F_extent2; i1++) {
            zs_turn_rows(F_staged + x * F_places + i0 * F_to1 * width + i1 * F_to2 * width, F_to3 * width, F_vals + x * F_from0 + i0 * F_from1 + i1 * F_from2, F_from0, zs_min(M - x, width), F_extent3);
        }
    }
}

/* 1 vector of x, from x on */
static inline __attribute__((always_inline)) int32_t tile_x2(
    const int tile,
    const int64_t x,
    zs_args *args,
    float *restrict row_sums,
    float *restrict F_staged,
    const int64_t *restrict I_n_pos,
    const uint16_t *restrict I_n_crd,
    const int64_t *restrict I_c_pos,
    const uint16_t *restrict I_c_crd,
    const int64_t *restrict I_level2_pos,
    const uint16_t *restrict I_level2_crd,
    const int64_t *restrict I_level3_pos,
    const uint16_t *restrict I_level3_crd,
    const float *restrict I_vals,
    const int64_t R,
    const int64_t I_pad2,
    const int64_t P,
    const int64_t S,
    const int64_t I_pad3,
    const int64_t Q,
    const int64_t row_pitch,
    const int64_t F_places)
{
    const int64_t width = tile * LANES;
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
                                for (int64_t pI_level3 = I_level3_pos[pI_level2]; pI_level3 < I_level3_pos[pI_level2 + 1]; pI_level3++) {
                                    const int64_t I_level3_at = I_level3_crd[pI_level3];
                                    const int64_t q = I_level3_at + I_pad3 - s;
                                    if (q >= 0 && q < Q) {
                                        zs_vec acc[1];
                                        #pragma GCC unroll 1
                                        for (int v = 0; v < tile; v++) {
                                            acc[v] = *(const zs_vec *)(row_sums + ((n * P + p) * Q + q) * row_pitch + x + v * LANES);
                                        }
                                        #pragma GCC unroll 1
                                        for (int v = 0; v < tile; v++) {
                                            acc[v] += *(const zs_vec *)(F_staged + x * F_places + ((c * R + r) * S + s) * width + v * LANES) * I_vals[pI_level3];
                                        }
                                        #pragma GCC unroll 1
                                        for (int v = 0; v < tile; v++) {
                                            *(zs_vec *)(row_sums + ((n * P + p) * Q + q) * row_pitch + x + v * LANES) = acc[v];
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
    return ZS_OK;
}

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
    const int64_t F_from0 = args->dim[4];
    const int64_t F_from1 = args->dim[5];
    const int64_t F_from2 = args->dim[6];
    const int64_t F_extent1 = args->dim[7];
    const int64_t F_to1 = args->dim[8];
    const int64_t F_extent2 = args->dim[9];
    const int64_t F_to2 = args->dim[10];
    const int64_t F_extent3 = args->dim[11];
    const int64_t F_to3 = args->dim[12];
    const int64_t M = args->dim[13];
    const int64_t F_places = args->dim[14];
    const int64_t lane_tiles = args->dim[15];
    const int64_t R = args->dim[17];
    const int64_t I_pad2 = args->dim[19];
    const int64_t S = args->dim[20];
    const int64_t I_pad3 = args->dim[22];

    /* operands by tiles of lanes */
    {
        const int64_t vectors = (M + LANES - 1) / LANES;
        for (int64_t t = 0; t < lane_tiles; t++) {
            ZS_POLL(args);
            const int64_t x = vectors * t / lane_tiles * LANES;
            switch (vectors * (t + 1) / lane_tiles - vectors * t / lane_tiles) {
                case 1: tile_x(1, x, F_staged, F_vals, F_extent1, F_from1, F_to1, F_extent2, F_from2, F_to2, F_extent3, F_to3, M, F_from0, F_places); break;
                default: return zs_fail(args, ZS_EINTERNAL, -1);
            }
        }
    }
    for (int64_t i = 0; i < row_pitch * N * P * Q; i++) {
        row_sums[i] = 0.0f;
    }
    /* register tiles of lanes */
    {
        const int64_t vectors = (M + LANES - 1) / LANES;
        for (int64_t t = 0; t < lane_tiles; t++) {
            ZS_POLL(args);
            const int64_t x = vectors * t / lane_tiles * LANES;
            switch (vectors * (t + 1) / lane_tiles - vectors * t / lane_tiles) {
                case 1: if (tile_x2(1, x, args, row_sums, F_staged, I_n_pos, I_n_crd, I_c_pos, I_c_crd, I_level2_pos, I_level2_crd, I_level3_pos, I_level3_crd, I_vals, R, I_pad2, P, S, I_pad3, Q, row_pitch, F_places) != ZS_OK) { return args->error; } break;
                default: return zs_fail(args, ZS_EINTERNAL, -1);
            }
        }
    }
    for (int64_t n = 0; n < N; n++) {
        ZS_POLL(args);
        for (int64_t p = 0; p < P; p++) {
            ZS_POLL(args);
            for (int64_t m = 0; m < M; m++) {
                for (int64_t q = 0; q < Q; q++) {
                    O_vals[((n * M + m) * P + p) * Q + q] = zs_relu_float32(row_sums[((n * P + p) * Q + q) * row_pitch + m] + B_vals[m]);
                }
            }
        }
    }
    return ZS_OK;
}
