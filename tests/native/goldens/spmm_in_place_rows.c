#include "zs_kernel.h"
#include "zs_places.h"
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
    const float *restrict A_packed,
    const int64_t blocks,
    const int64_t row_blocks,
    const int64_t line,
    const int64_t block_span)
{
    for (int64_t block = 0; block < blocks; block++) {
        ZS_POLL(args);
        ZS_SHARED(row, part, parts, 0, row_blocks) {
            zs_vec acc[2][3];
            #pragma GCC unroll 2
            for (int64_t member = 0; member < 2; member++) {
                #pragma GCC unroll 3
                for (int v = 0; v < tile; v++) {
                    acc[member][v] = (zs_vec){};
                }
            }
            const float *base = B_vals + x + block * block_span * line;
            int64_t at_ = A_columns[block * row_blocks + row];
            const int64_t end = A_columns[block * row_blocks + row + 1];
            /* so many sums, none of which waits for another */
            for (; at_ + 8 <= end; at_ += 8) {
                ZS_FETCH(A_packed + at_, 2048);
                ZS_FETCH(A_offset + at_, 1024);
                #pragma GCC unroll 2
                for (int64_t word = 0; word < 8; word += 4) {
                    const uint64_t places = zs_word(A_offset + at_ + word);
                    #pragma GCC unroll 4
                    for (int64_t i = 0; i < 4; i++) {
                        const int64_t e = at_ + word + i;
                        const int64_t member = (word + i) % 2;
                        const int64_t offset = ZS_PLACE(uint16_t, places, i);
                        const float *at = base + offset * line;
                        ZS_HOLD(at);
                        #pragma GCC unroll 3
                        for (int v = 0; v < tile; v++) {
                            acc[member][v] += A_packed[e] * zs_load_part(at + v * LANES, v + 1 < tile ? LANES : line - x - v * LANES);
                        }
                    }
                }
            }
            for (; at_ < end; at_++) {
                const int64_t e = at_;
                const int64_t member = 0;
                const int64_t offset = A_offset[e];
                const float *at = base + offset * line;
                ZS_HOLD(at);
                #pragma GCC unroll 3
                for (int v = 0; v < tile; v++) {
                    acc[member][v] += A_packed[e] * zs_load_part(at + v * LANES, v + 1 < tile ? LANES : line - x - v * LANES);
                }
            }
            #pragma GCC unroll 3
            for (int v = 0; v < tile; v++) {
                zs_store_part(C_vals + row * line + x + v * LANES, v + 1 < tile ? LANES : line - x - v * LANES, (block - 1 >= 0 ? zs_load_part(C_vals + row * line + x + v * LANES, v + 1 < tile ? LANES : line - x - v * LANES) : (zs_vec){}) + acc[0][v] + acc[1][v]);
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
    const float *restrict A_packed = args->buf[4];
    const int64_t line = args->dim[0];
    const int64_t block_span = args->dim[1];
    const int64_t row_blocks = args->dim[2];
    const int64_t blocks = args->dim[3];
    const int64_t line_tiles = args->dim[4];

    /* register tiles of the line */
    {
        const int64_t vectors = (line + LANES - 1) / LANES;
        for (int64_t t = 0; t < line_tiles; t++) {
            ZS_POLL(args);
            const int64_t x = vectors * t / line_tiles * LANES;
            switch (vectors * (t + 1) / line_tiles - vectors * t / line_tiles) {
                case 3: if (tile_x(3, x, args->part, args->parts, args, C_vals, B_vals, A_columns, A_offset, A_packed, blocks, row_blocks, line, block_span) != ZS_OK) { return args->error; } break;
                default: return zs_fail(args, ZS_EINTERNAL, -1);
            }
        }
    }
    return ZS_OK;
}
