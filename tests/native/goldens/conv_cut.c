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
    const int64_t F_extent2,
    const int64_t F_from2,
    const int64_t F_to2,
    const int64_t F_extent1,
    const int64_t F_from1,
    const int64_t F_to1,
    const int64_t F_extent3,
    const int64_t F_to3,
    const int64_t M,
    const int64_t F_from0,
    const int64_t F_places)
{
    const int64_t width = tile * LANES;
    /* F_staged: F_vals from x * F_from0 on, its rows as columns; what it does not reach stays */
    for (int64_t i0 = 0; i0 < F_extent2; i0++) {
        for (int64_t i1 = 0; i1 < F_extent1; i1++) {
            zs_turn_rows(F_staged + x * F_places + i0 * F_to2 * width + i1 * F_to1 * width, F_to3 * width, F_vals + x * F_from0 + i0 * F_from2 + i1 * F_from1, F_from0, zs_min(M - x, width), F_extent3);
        }
    }
}

/* sums of 3 places at a time along a line of q */
static inline __attribute__((always_inline)) void slide_q(
    const int tile,
    float *restrict row_sums,
    const uint16_t *restrict I_c_crd,
    int64_t *restrict I_c_cuts,
    float *restrict F_staged,
    const float *restrict I_vals,
    const int64_t Q,
    const int64_t n,
    const int64_t P,
    const int64_t p,
    const int64_t row_pitch,
    const int64_t x,
    const int64_t F_places,
    const int64_t r,
    const int64_t C,
    const int64_t block,
    const int64_t block_size,
    const int64_t S,
    const int64_t F_brought,
    const int64_t I_pad3,
    const int64_t I_dim3,
    const int64_t I_dim2,
    const int64_t I_pad2,
    const int64_t fibers)
{
    const int64_t width = tile * LANES;
    zs_vec acc[3][1];
    /* acc[i]: sums of q - i */
    #pragma GCC unroll 3
    for (int i = 0; i < 3; i++) {
        #pragma GCC unroll 1
        for (int v = 0; v < tile; v++) {
            acc[i][v] = (zs_vec){};
        }
    }
    for (int64_t q = 0; q < Q + 2; q++) {
        if (q < Q) {
            #pragma GCC unroll 1
            for (int v = 0; v < tile; v++) {
                acc[0][v] = *(const zs_vec *)(row_sums + ((n * P + p) * Q + q) * row_pitch + x + v * LANES);
            }
        }
        zs_bring(F_staged + x * F_places + (r * C + (block + 1) * block_size) * S * width + ((n * P + p) * Q + q) * F_brought, F_brought * sizeof(float));
        if (q < Q + 2) {
            const int64_t s = 0;
            if (q + s - I_pad3 >= 0 && q + s - I_pad3 < I_dim3) {
                for (int64_t pI_c = I_c_cuts[block * fibers + (n * I_dim2 + 2 * p + r - I_pad2) * I_dim3 + q + s - I_pad3]; pI_c < I_c_cuts[block * fibers + (n * I_dim2 + 2 * p + r - I_pad2) * I_dim3 + q + s - I_pad3 + fibers]; pI_c++) {
                    const int64_t c = I_c_crd[pI_c];
                    #pragma GCC unroll 1
                    for (int v = 0; v < tile; v++) {
                        acc[0][v] += *(const zs_vec *)(F_staged + x * F_places + (3 * (r * C + c) + s) * width + v * LANES) * I_vals[pI_c];
                    }
                    #pragma GCC unroll 1
                    for (int v = 0; v < tile; v++) {
                        acc[1][v] += *(const zs_vec *)(F_staged + x * F_places + (3 * (r * C + c) + s) * width + width + v * LANES) * I_vals[pI_c];
                    }
                    #pragma GCC unroll 1
                    for (int v = 0; v < tile; v++) {
                        acc[2][v] += *(const zs_vec *)(F_staged + x * F_places + (3 * (r * C + c) + s) * width + 2 * width + v * LANES) * I_vals[pI_c];
                    }
                }
            }
        }
        if (q >= 2) {
            #pragma GCC unroll 1
            for (int v = 0; v < tile; v++) {
                *(zs_vec *)(row_sums + ((n * P + p) * Q + q - 2) * row_pitch + x + v * LANES) = acc[2][v];
            }
        }
        #pragma GCC unroll 3
        for (int i = 2; i > 0; i--) {
            #pragma GCC unroll 1
            for (int v = 0; v < tile; v++) {
                acc[i][v] = acc[i - 1][v];
            }
        }
    }
}

static __attribute__((noinline)) void slide_q1(
    float *restrict row_sums,
    const uint16_t *restrict I_c_crd,
    int64_t *restrict I_c_cuts,
    float *restrict F_staged,
    const float *restrict I_vals,
    const int64_t Q,
    const int64_t n,
    const int64_t P,
    const int64_t p,
    const int64_t row_pitch,
    const int64_t x,
    const int64_t F_places,
    const int64_t r,
    const int64_t C,
    const int64_t block,
    const int64_t block_size,
    const int64_t S,
    const int64_t F_brought,
    const int64_t I_pad3,
    const int64_t I_dim3,
    const int64_t I_dim2,
    const int64_t I_pad2,
    const int64_t fibers)
{
    slide_q(1, row_sums, I_c_crd, I_c_cuts, F_staged, I_vals, Q, n, P, p, row_pitch, x, F_places, r, C, block, block_size, S, F_brought, I_pad3, I_dim3, I_dim2, I_pad2, fibers);
}

/* 1 vector of x, from x on */
static inline __attribute__((always_inline)) int32_t tile_x2(
    const int tile,
    const int64_t x,
    zs_args *args,
    float *restrict row_sums,
    const uint16_t *restrict I_c_crd,
    int64_t *restrict I_c_cuts,
    float *restrict F_staged,
    const float *restrict I_vals,
    const int64_t R,
    const int64_t blocks,
    const int64_t N,
    const int64_t I_pad2,
    const int64_t P,
    const int64_t I_dim2,
    const int64_t Q,
    const int64_t row_pitch,
    const int64_t F_places,
    const int64_t C,
    const int64_t block_size,
    const int64_t S,
    const int64_t F_brought,
    const int64_t I_pad3,
    const int64_t I_dim3,
    const int64_t fibers)
{
    for (int64_t r = 0; r < R; r++) {
        ZS_POLL(args);
        /* blocks of fibers */
        for (int64_t block = 0; block < blocks; block++) {
            ZS_POLL(args);
            for (int64_t n = 0; n < N; n++) {
                ZS_POLL(args);
                for (int64_t p = zs_max(0, zs_ceil_div(I_pad2 - r, 2)); p < zs_min(P, zs_floor_div(I_dim2 + I_pad2 - r - 1, 2) + 1); p++) {
                    ZS_POLL(args);
                    switch (tile) {
                        case 1: slide_q1(row_sums, I_c_crd, I_c_cuts, F_staged, I_vals, Q, n, P, p, row_pitch, x, F_places, r, C, block, block_size, S, F_brought, I_pad3, I_dim3, I_dim2, I_pad2, fibers); break;
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
 * F: 2:U 1:U 3:U 0:U, float32
 * I: 0:U 2:U 3:U 1:C, float32
 * lanes: m
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict O_vals = args->buf[0];
    float *restrict row_sums = args->buf[1];
    const int64_t *restrict I_c_pos = args->buf[2];
    const uint16_t *restrict I_c_crd = args->buf[3];
    int64_t *restrict I_c_cuts = args->buf[4];
    float *restrict F_staged = args->buf[5];
    const float *restrict F_vals = args->buf[6];
    const float *restrict I_vals = args->buf[7];
    const float *restrict B_vals = args->buf[8];
    const int64_t row_pitch = args->dim[0];
    const int64_t N = args->dim[1];
    const int64_t P = args->dim[2];
    const int64_t Q = args->dim[3];
    const int64_t block_size = args->dim[4];
    const int64_t blocks = args->dim[5];
    const int64_t fibers = args->dim[6];
    const int64_t C = args->dim[7];
    const int64_t F_from0 = args->dim[8];
    const int64_t F_from1 = args->dim[9];
    const int64_t F_from2 = args->dim[10];
    const int64_t F_extent2 = args->dim[11];
    const int64_t F_to2 = args->dim[12];
    const int64_t F_extent1 = args->dim[13];
    const int64_t F_to1 = args->dim[14];
    const int64_t F_extent3 = args->dim[15];
    const int64_t F_to3 = args->dim[16];
    const int64_t M = args->dim[17];
    const int64_t F_places = args->dim[18];
    const int64_t lane_tiles = args->dim[19];
    const int64_t R = args->dim[20];
    const int64_t I_pad2 = args->dim[21];
    const int64_t I_dim2 = args->dim[22];
    const int64_t S = args->dim[23];
    const int64_t F_brought = args->dim[24];
    const int64_t I_pad3 = args->dim[25];
    const int64_t I_dim3 = args->dim[26];

    /* operands by tiles of lanes */
    {
        const int64_t vectors = (M + LANES - 1) / LANES;
        for (int64_t t = 0; t < lane_tiles; t++) {
            ZS_POLL(args);
            const int64_t x = vectors * t / lane_tiles * LANES;
            switch (vectors * (t + 1) / lane_tiles - vectors * t / lane_tiles) {
                case 1: tile_x(1, x, F_staged, F_vals, F_extent2, F_from2, F_to2, F_extent1, F_from1, F_to1, F_extent3, F_to3, M, F_from0, F_places); break;
                default: return zs_fail(args, ZS_EINTERNAL, -1);
            }
        }
    }
    /* I_c_cuts: where the fibers of I.c come to each block of block_size coordinates */
    for (int64_t f = 0; f < fibers; f++) {
        int64_t p_ = I_c_pos[f];
        for (int64_t b = 0; b < blocks; b++) {
            p_ = zs_lower_bound_uint16(I_c_crd, p_, I_c_pos[f + 1], b * block_size);
            I_c_cuts[b * fibers + f] = p_;
        }
        I_c_cuts[blocks * fibers + f] = I_c_pos[f + 1];
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
                case 1: if (tile_x2(1, x, args, row_sums, I_c_crd, I_c_cuts, F_staged, I_vals, R, blocks, N, I_pad2, P, I_dim2, Q, row_pitch, F_places, C, block_size, S, F_brought, I_pad3, I_dim3, fibers) != ZS_OK) { return args->error; } break;
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
