#include "zs_kernel.h"
#include "zs_parts.h"
#include "zs_turned.h"

/* 64 bytes of float at any element's address */
typedef float zs_vec __attribute__((vector_size(64), aligned(sizeof(float)), may_alias));
enum { LANES = 64 / sizeof(float) };

ZS_DEFINE_PARTS(float)

ZS_DEFINE_TURNED(float)

/* 3 vectors of x, from x on */
static inline __attribute__((always_inline)) int32_t tile_x(
    const int tile,
    const int64_t x,
    const int64_t part,
    const int64_t parts,
    zs_args *args,
    float *restrict Y_vals,
    const float *restrict X_vals,
    float *restrict X_panel,
    const int64_t *restrict W_columns,
    const uint16_t *restrict W_offset,
    const int64_t *restrict W_first,
    const float *restrict W_packed,
    float *restrict row_sums,
    float *restrict turned,
    const float *restrict B_vals,
    const int64_t places,
    const int64_t line,
    const int64_t panel_size,
    const int64_t blocks,
    const int64_t row_blocks,
    const int64_t rows,
    const int64_t row_pitch,
    const int64_t block_span,
    const int64_t B,
    const int64_t O)
{
    const int64_t width = tile * LANES;
    /* X_panel: X_vals from x * places on, its rows as columns; what it does not reach stays */
    zs_turn_rows(X_panel + part * panel_size, width, X_vals + x * places, places, zs_min(line - x, width), places);
    for (int64_t block = 0; block < blocks; block++) {
        ZS_POLL(args);
        ZS_SHARED(chunk, part, parts, 0, zs_ceil_div(row_blocks, 16)) {
            ZS_POLL(args);
            for (int64_t row = 16 * chunk; row < zs_min(row_blocks, 16 * (chunk + 1)); row++) {
                zs_vec acc[4][3];
                #pragma GCC unroll 4
                for (int64_t member = 0; member < 4; member++) {
                    #pragma GCC unroll 3
                    for (int v = 0; v < tile; v++) {
                        acc[member][v] = (block - 1 >= 0 ? *(const zs_vec *)(row_sums + zs_min(4 * row + member, rows - 1) * row_pitch + v * LANES) : (zs_vec){});
                    }
                }
                const float *base = X_panel + part * panel_size + block * block_span * width;
                int64_t e_ = W_first[block * row_blocks + row];
                int64_t column = W_columns[15 * (block * row_blocks + row)];
                /* columns by who stores them: row member where its bit of the pattern is set */
                #pragma GCC unroll 15
                for (int pattern = 1; pattern <= 15; pattern++) {
                    for (; column < W_columns[15 * (block * row_blocks + row) + pattern]; column++) {
                        if ((pattern & (pattern - 1)) != 0) {
                            ZS_FETCH(W_packed + e_, 4096);
                        }
                        const int64_t offset = W_offset[column];
                        const float *at = base + offset * width;
                        ZS_HOLD(at);
                        #pragma GCC unroll 4
                        for (int64_t member = 0; member < 4; member++) {
                            if (pattern >> member & 1) {
                                const int64_t e = e_++;
                                #pragma GCC unroll 3
                                for (int v = 0; v < tile; v++) {
                                    acc[member][v] += W_packed[e] * *(const zs_vec *)(at + v * LANES);
                                }
                            }
                        }
                    }
                }
                #pragma GCC unroll 4
                for (int64_t member = 0; member < 4; member++) {
                    #pragma GCC unroll 3
                    for (int v = 0; v < tile; v++) {
                        *(zs_vec *)(row_sums + (4 * row + member) * row_pitch + v * LANES) = acc[member][v];
                    }
                }
            }
            if (block == blocks - 1) {
                const int64_t row_0 = 64 * chunk;
                const int64_t row_end = zs_min(rows, 4 * zs_min(row_blocks, 16 * (chunk + 1)));
                for (int64_t group = 0; group < zs_ceil_div(width, 16); group++) {
                    ZS_POLL(args);
                    const int64_t lane_0 = x + 16 * group;
                    /* turned: row_sums from row_0 * row_pitch + lane_0 - x on, its rows as columns; what it does not reach stays */
                    zs_turn_rows(turned + 1280 * part, 80, row_sums + row_0 * row_pitch + lane_0 - x, row_pitch, row_end - row_0, zs_min(16, width - lane_0 + x));
                    for (int64_t b = zs_max(0, lane_0); b < zs_min(B, lane_0 + zs_min(16, width - lane_0 + x)); b++) {
                        const int64_t o_end = zs_min(O, row_end);
                        for (int64_t o = zs_max(0, row_0); o < o_end; o += LANES) {
                            zs_store_part(Y_vals + b * O + o, o_end - o, zs_relu_part(zs_load_part(turned + 1280 * part + 80 * (b - lane_0) + o - row_0, o_end - o) + zs_load_part(B_vals + o, o_end - o)));
                        }
                    }
                }
            }
        }
    }
    return ZS_OK;
}

/*
 * Y[b,o] = relu(B[o] + sum[i](W[o,i]*X[b,i]))
 * B: 0:U, float32
 * W: 0:U 1:C, float32
 * X: 0:U 1:U, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict Y_vals = args->buf[0];
    const float *restrict X_vals = args->buf[1];
    float *restrict X_panel = args->buf[2];
    const int64_t *restrict W_columns = args->buf[3];
    const uint16_t *restrict W_offset = args->buf[4];
    const int64_t *restrict W_first = args->buf[5];
    const float *restrict W_packed = args->buf[6];
    float *restrict row_sums = args->buf[7];
    float *restrict turned = args->buf[8];
    const float *restrict B_vals = args->buf[9];
    const int64_t panel_size = args->dim[0];
    const int64_t places = args->dim[1];
    const int64_t line = args->dim[2];
    const int64_t block_span = args->dim[3];
    const int64_t row_blocks = args->dim[4];
    const int64_t row_pitch = args->dim[5];
    const int64_t rows = args->dim[6];
    const int64_t O = args->dim[7];
    const int64_t B = args->dim[8];
    const int64_t blocks = args->dim[9];
    const int64_t line_tiles = args->dim[10];

    /* register tiles of the line */
    {
        const int64_t vectors = (line + LANES - 1) / LANES;
        for (int64_t t = 0; t < line_tiles; t++) {
            ZS_POLL(args);
            const int64_t x = vectors * t / line_tiles * LANES;
            switch (vectors * (t + 1) / line_tiles - vectors * t / line_tiles) {
                case 3: if (tile_x(3, x, args->part, args->parts, args, Y_vals, X_vals, X_panel, W_columns, W_offset, W_first, W_packed, row_sums, turned, B_vals, places, line, panel_size, blocks, row_blocks, rows, row_pitch, block_span, B, O) != ZS_OK) { return args->error; } break;
                default: return zs_fail(args, ZS_EINTERNAL, -1);
            }
        }
    }
    return ZS_OK;
}
