#include "zs_kernel.h"

/* 64 bytes of float at any element's address */
typedef float zs_vec __attribute__((vector_size(64), aligned(sizeof(float)), may_alias));
enum { LANES = 64 / sizeof(float) };

/* 8 vectors of x at most, from x on */
static inline __attribute__((always_inline)) void tile_x(
    const int tile,
    const int64_t x,
    float *restrict B_staged,
    const int64_t *restrict A_pos,
    const uint16_t *restrict A_offset,
    const float *restrict A_packed,
    float *restrict row_sums,
    const int64_t rows,
    const int64_t row_pitch)
{
    for (int64_t row = 0; row < rows; row++) {
        zs_vec acc[8];
        #pragma GCC unroll 8
        for (int v = 0; v < tile; v++) {
            acc[v] = (zs_vec){};
        }
        for (int64_t e = A_pos[row]; e < A_pos[row + 1]; e++) {
            const int64_t offset = A_offset[e];
            #pragma GCC unroll 8
            for (int v = 0; v < tile; v++) {
                acc[v] += A_packed[e] * *(const zs_vec *)(B_staged + x + offset + v * LANES);
            }
        }
        #pragma GCC unroll 8
        for (int v = 0; v < tile; v++) {
            *(zs_vec *)(row_sums + row * row_pitch + x + v * LANES) = acc[v];
        }
    }
}

/*
 * C[i,j] = sum[k](A[i,k]*B[k,j])
 * A: 0:U 1:C, float32
 * B: 0:U 1:U, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict C_vals = args->buf[0];
    const float *restrict B_vals = args->buf[1];
    float *restrict B_staged = args->buf[2];
    const int64_t *restrict A_pos = args->buf[3];
    const uint16_t *restrict A_offset = args->buf[4];
    const float *restrict A_packed = args->buf[5];
    float *restrict row_sums = args->buf[6];
    const int64_t source_extent0 = args->dim[0];
    const int64_t source_stride0 = args->dim[1];
    const int64_t row_stride0 = args->dim[2];
    const int64_t source_extent1 = args->dim[3];
    const int64_t row_pitch = args->dim[5];
    const int64_t rows = args->dim[6];
    const int64_t line = args->dim[7];
    const int64_t I = args->dim[8];
    const int64_t J = args->dim[9];

    /* B_staged: B_vals laid out for vectors; what it does not reach is 0 */
    for (int64_t i0 = 0; i0 < source_extent0; i0++) {
        for (int64_t i1 = 0; i1 < source_extent1; i1++) {
            B_staged[i0 * row_stride0 + i1] = B_vals[i0 * source_stride0 + i1];
        }
    }
    /* register tiles of the line */
    {
        const int64_t vectors = (line + LANES - 1) / LANES;
        const int64_t tiles = (vectors + 7) / 8;
        for (int64_t t = 0; t < tiles; t++) {
            ZS_POLL(args);
            const int64_t x = vectors * t / tiles * LANES;
            switch (vectors * (t + 1) / tiles - vectors * t / tiles) {
                case 1: tile_x(1, x, B_staged, A_pos, A_offset, A_packed, row_sums, rows, row_pitch); break;
                case 2: tile_x(2, x, B_staged, A_pos, A_offset, A_packed, row_sums, rows, row_pitch); break;
                case 3: tile_x(3, x, B_staged, A_pos, A_offset, A_packed, row_sums, rows, row_pitch); break;
                case 4: tile_x(4, x, B_staged, A_pos, A_offset, A_packed, row_sums, rows, row_pitch); break;
                case 5: tile_x(5, x, B_staged, A_pos, A_offset, A_packed, row_sums, rows, row_pitch); break;
                case 6: tile_x(6, x, B_staged, A_pos, A_offset, A_packed, row_sums, rows, row_pitch); break;
                case 7: tile_x(7, x, B_staged, A_pos, A_offset, A_packed, row_sums, rows, row_pitch); break;
                case 8: tile_x(8, x, B_staged, A_pos, A_offset, A_packed, row_sums, rows, row_pitch); break;
                default: break;
            }
        }
    }
    for (int64_t i = 0; i < I; i++) {
        ZS_POLL(args);
        for (int64_t j = 0; j < J; j++) {
            C_vals[i * J + j] = row_sums[i * row_pitch + j];
        }
    }
    return ZS_OK;
}
