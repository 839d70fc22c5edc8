#include "zs_kernel.h"
#include "zs_parts.h"

/* 64 bytes of float at any element's address */
typedef float zs_vec __attribute__((vector_size(64), aligned(sizeof(float)), may_alias));
enum { LANES = 64 / sizeof(float) };

ZS_DEFINE_PARTS(float)

/* 3 vectors of x, from x on */
static inline __attribute__((always_inline)) int32_t tile_x(
    const int tile,
    const int64_t x,
    const int64_t part,
    const int64_t parts,
    zs_args *args,
    float *restrict C_vals,
    const float *restrict B_vals,
    const int64_t *restrict A_columns,
    const uint16_t *restrict A_offset,
    const int64_t *restrict A_first,
    const float *restrict A_packed,
    const int64_t blocks,
    const int64_t row_blocks,
    const int64_t rows,
    const int64_t line,
    const int64_t block_span)
{
    for (int64_t block = 0; block < blocks; block++) {
        ZS_POLL(args);
        ZS_SHARED(row, part, parts, 0, row_blocks) {
            zs_vec acc[4][3];
            #pragma GCC unroll 4
            for (int64_t member = 0; member < 4; member++) {
                #pragma GCC unroll 3
                for (int v = 0; v < tile; v++) {
                    acc[member][v] = (block - 1 >= 0 ? zs_load_part(C_vals + zs_min(4 * row + member, rows - 1) * line + x + v * LANES, v + 1 < tile ? LANES : line - x - v * LANES) : (zs_vec){});
                }
            }
            const float *base = B_vals + x + block * block_span * line;
            int64_t e_ = A_first[block * row_blocks + row];
            int64_t column = A_columns[15 * (block * row_blocks + row)];
            /* columns by who stores them: row member where its bit of the pattern is set */
            #pragma GCC unroll 15
            for (int pattern = 1; pattern <= 15; pattern++) {
                for (; column < A_columns[15 * (block * row_blocks + row) + pattern]; column++) {
                    if ((pattern & (pattern - 1)) != 0) {
                        ZS_FETCH(A_packed + e_, 4096);
                    }
                    const int64_t offset = A_offset[column];
                    const float *at = base + offset * line;
                    ZS_HOLD(at);
                    #pragma GCC unroll 4
                    for (int64_t member = 0; member < 4; member++) {
                        if (pattern >> member & 1) {
                            const int64_t e = e_++;
                            #pragma GCC unroll 3
                            for (int v = 0; v < tile; v++) {
                                acc[member][v] += A_packed[e] * zs_load_part(at + v * LANES, v + 1 < tile ? LANES : line - x - v * LANES);
                            }
                        }
                    }
                }
            }
            #pragma GCC unroll 4
            for (int64_t member = 0; member < 4; member++) {
                if (4 * row + member < rows) {
                    #pragma GCC unroll 3
                    for (int v = 0; v < tile; v++) {
                        zs_store_part(C_vals + (4 * row + member) * line + x + v * LANES, v + 1 < tile ? LANES : line - x - v * LANES, acc[member][v]);
                    }
                }
            }
        }
    }
    return ZS_OK;
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
    const int64_t *restrict A_columns = args->buf[2];
    const uint16_t *restrict A_offset = args->buf[3];
    const int64_t *restrict A_first = args->buf[4];
    const float *restrict A_packed = args->buf[5];
    const int64_t line = args->dim[0];
    const int64_t block_span = args->dim[1];
    const int64_t row_blocks = args->dim[2];
    const int64_t rows = args->dim[3];
    const int64_t blocks = args->dim[4];
    const int64_t line_tiles = args->dim[5];

    /* register tiles of the line */
    {
        const int64_t vectors = (line + LANES - 1) / LANES;
        for (int64_t t = 0; t < line_tiles; t++) {
            ZS_POLL(args);
            const int64_t x = vectors * t / line_tiles * LANES;
            switch (vectors * (t + 1) / line_tiles - vectors * t / line_tiles) {
                case 3: if (tile_x(3, x, args->part, args->parts, args, C_vals, B_vals, A_columns, A_offset, A_first, A_packed, blocks, row_blocks, rows, line, block_span) != ZS_OK) { return args->error; } break;
                default: return zs_fail(args, ZS_EINTERNAL, -1);
            }
        }
    }
    return ZS_OK;
}
