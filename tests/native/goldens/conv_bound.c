#include "zs_kernel.h"
#include "zs_parts.h"

/* 64 bytes of float at any element's address */
typedef float zs_vec __attribute__((vector_size(64), aligned(sizeof(float)), may_alias));
enum { LANES = 64 / sizeof(float) };

ZS_DEFINE_PARTS(float)

/* 5 or 6 vectors of x, from x on */
static inline __attribute__((always_inline)) int32_t tile_x(
    const int tile,
    const int64_t x,
    const int64_t part,
    const int64_t parts,
    zs_args *args,
    float *restrict O_vals,
    float *restrict I_staged,
    const int64_t *restrict F_columns,
    const uint16_t *restrict F_offset,
    const int64_t *restrict F_first,
    const float *restrict F_packed,
    float *restrict row_sums,
    const float *restrict B_vals,
    const int64_t blocks,
    const int64_t row_blocks,
    const int64_t rows,
    const int64_t row_pitch,
    const int64_t block_span,
    const int64_t pitch_n,
    const int64_t N,
    const int64_t pitch_p,
    const int64_t P,
    const int64_t Q,
    const int64_t M)
{
    const int64_t width = tile * LANES;
    for (int64_t block = 0; block < blocks; block++) {
        ZS_POLL(args);
        ZS_SHARED(row, part, parts, 0, row_blocks) {
            ZS_POLL(args);
            zs_vec acc[4][6];
            #pragma GCC unroll 4
            for (int64_t member = 0; member < 4; member++) {
                #pragma GCC unroll 6
                for (int v = 0; v < tile; v++) {
                    acc[member][v] = (block - 1 >= 0 ? *(const zs_vec *)(row_sums + zs_min(4 * row + member, rows - 1) * row_pitch + v * LANES) : (zs_vec){});
                }
            }
            int64_t e_ = F_first[block * row_blocks + row];
            int64_t column = F_columns[15 * (block * row_blocks + row)];
            /* columns by who stores them: row member where its bit of the pattern is set */
            #pragma GCC unroll 15
            for (int pattern = 1; pattern <= 15; pattern++) {
                for (; column < F_columns[15 * (block * row_blocks + row) + pattern]; column++) {
                    if ((pattern & (pattern - 1)) != 0) {
                        ZS_FETCH(F_packed + e_, 4096);
                    }
                    const int64_t offset = F_offset[column];
                    #pragma GCC unroll 4
                    for (int64_t member = 0; member < 4; member++) {
                        if (pattern >> member & 1) {
                            const int64_t e = e_++;
                            #pragma GCC unroll 6
                            for (int v = 0; v < tile; v++) {
                                acc[member][v] += F_packed[e] * *(const zs_vec *)(I_staged + x + offset + block * block_span + v * LANES);
                            }
                        }
                    }
                }
            }
            #pragma GCC unroll 4
            for (int64_t member = 0; member < 4; member++) {
                #pragma GCC unroll 6
                for (int v = 0; v < tile; v++) {
                    *(zs_vec *)(row_sums + (4 * row + member) * row_pitch + v * LANES) = acc[member][v];
                }
            }
            if (block == blocks - 1) {
                for (int64_t member = 0; member < 4; member++) {
                    ZS_POLL(args);
                    if (4 * row + member < rows) {
                        const int64_t m = 4 * row + member;
                        for (int64_t n = zs_max(0, x) / pitch_n; n < zs_min(N, zs_ceil_div(x + width, pitch_n)); n++) {
                            ZS_POLL(args);
                            for (int64_t p = zs_max(0, x - n * pitch_n) / pitch_p; p < zs_min(P, zs_ceil_div(x + width - n * pitch_n, pitch_p)); p++) {
                                const int64_t q_end = zs_min(Q, x + width - n * pitch_n - p * pitch_p);
                                for (int64_t q = zs_max(0, x - n * pitch_n - p * pitch_p); q < q_end; q += LANES) {
                                    zs_store_part(O_vals + ((n * M + m) * P + p) * Q + q, q_end - q, zs_relu_part(zs_load_part(row_sums + (4 * row + member) * row_pitch + n * pitch_n + p * pitch_p + q - x, q_end - q) + B_vals[m]));
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
 * F: 0:U 1*2*3:C, float32
 * I: 0:U 1:U 2:U 3:U, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict O_vals = args->buf[0];
    const float *restrict I_vals = args->buf[1];
    float *restrict I_staged = args->buf[2];
    const int64_t *restrict F_columns = args->buf[3];
    const uint16_t *restrict F_offset = args->buf[4];
    const int64_t *restrict F_first = args->buf[5];
    const float *restrict F_packed = args->buf[6];
    float *restrict row_sums = args->buf[7];
    const float *restrict B_vals = args->buf[8];
    const int64_t source_extent0 = args->dim[0];
    const int64_t source_stride0 = args->dim[1];
    const int64_t row_stride0 = args->dim[2];
    const int64_t source_extent1 = args->dim[3];
    const int64_t source_stride1 = args->dim[4];
    const int64_t row_stride1 = args->dim[5];
    const int64_t source_extent2 = args->dim[6];
    const int64_t I_pad2 = args->dim[7];
    const int64_t source_stride2 = args->dim[8];
    const int64_t phase_stride2 = args->dim[9];
    const int64_t row_stride2 = args->dim[10];
    const int64_t source_extent3 = args->dim[11];
    const int64_t I_pad3 = args->dim[12];
    const int64_t block_span = args->dim[13];
    const int64_t row_blocks = args->dim[14];
    const int64_t row_pitch = args->dim[15];
    const int64_t rows = args->dim[16];
    const int64_t N = args->dim[17];
    const int64_t M = args->dim[18];
    const int64_t P = args->dim[19];
    const int64_t Q = args->dim[20];
    const int64_t pitch_n = args->dim[21];
    const int64_t pitch_p = args->dim[22];
    const int64_t blocks = args->dim[23];
    const int64_t line = args->dim[24];
    const int64_t line_tiles = args->dim[25];

    /* I_staged: I_vals laid out for vectors; what it does not reach is 0 */
    {
        const zs_share i0_share = zs_divide(args->part, args->parts, 0, source_extent0);
        for (int64_t i0 = i0_share.lo; i0 < i0_share.hi; i0++) {
            ZS_SHARED(i1, i0_share.part, i0_share.parts, 0, source_extent1) {
                for (int64_t i2 = 0; i2 < source_extent2; i2++) {
                    const int64_t i3_end = source_extent3;
                    for (int64_t i3 = 0; i3 < i3_end; i3 += LANES) {
                        zs_store_part(I_staged + i0 * row_stride0 + i1 * row_stride1 + ((i2 + I_pad2) % 2) * phase_stride2 + ((i2 + I_pad2) / 2) * row_stride2 + i3 + I_pad3, i3_end - i3, zs_load_part(I_vals + i0 * source_stride0 + i1 * source_stride1 + i2 * source_stride2 + i3, i3_end - i3));
                    }
                }
            }
        }
    }
    ZS_BARRIER(args);
    /* register tiles of the line */
    {
        const int64_t vectors = (line + LANES - 1) / LANES;
        for (int64_t t = 0; t < line_tiles; t++) {
            ZS_POLL(args);
            const int64_t x = vectors * t / line_tiles * LANES;
            switch (vectors * (t + 1) / line_tiles - vectors * t / line_tiles) {
                case 5: if (tile_x(5, x, args->part, args->parts, args, O_vals, I_staged, F_columns, F_offset, F_first, F_packed, row_sums, B_vals, blocks, row_blocks, rows, row_pitch, block_span, pitch_n, N, pitch_p, P, Q, M) != ZS_OK) { return args->error; } break;
                case 6: if (tile_x(6, x, args->part, args->parts, args, O_vals, I_staged, F_columns, F_offset, F_first, F_packed, row_sums, B_vals, blocks, row_blocks, rows, row_pitch, block_span, pitch_n, N, pitch_p, P, Q, M) != ZS_OK) { return args->error; } break;
                default: return zs_fail(args, ZS_EINTERNAL, -1);
            }
        }
    }
    return ZS_OK;
}
