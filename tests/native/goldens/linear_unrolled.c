#include "zs_kernel.h"
#include "zs_parts.h"
#include "zs_unrolled.h"
#include "zs_turned.h"

/* 64 bytes of float at any element's address */
typedef float zs_vec __attribute__((vector_size(64), aligned(sizeof(float)), may_alias));
enum { LANES = 64 / sizeof(float) };

ZS_DEFINE_PARTS(float)

ZS_DEFINE_UNROLLED(float)

ZS_DEFINE_TURNED(float)

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
    float *restrict row_sums = args->buf[3];
    const uint8_t *restrict W_code = args->buf[4];
    const int64_t *restrict W_starts = args->buf[5];
    const int64_t *restrict W_first = args->buf[6];
    const uint8_t *restrict W_member = args->buf[7];
    const int32_t *restrict W_offset = args->buf[8];
    const float *restrict W_packed = args->buf[9];
    float *restrict turned = args->buf[10];
    const float *restrict B_vals = args->buf[11];
    const int64_t block_span = args->dim[0];
    const int64_t line = args->dim[1];
    const int64_t strip_tiles = args->dim[2];
    const int64_t panel_size = args->dim[3];
    const int64_t panel_places = args->dim[4];
    const int64_t places = args->dim[5];
    const int64_t row_pitch = args->dim[6];
    const int64_t sums_size = args->dim[7];
    const int64_t program_rows = args->dim[8];
    const int64_t rows = args->dim[9];
    const int64_t row_blocks = args->dim[10];
    const int64_t blocks = args->dim[11];
    const int64_t groups = args->dim[12];
    const int64_t members = args->dim[13];
    const int64_t O = args->dim[14];
    const int64_t B = args->dim[15];
    const int64_t line_tiles = args->dim[16];

    const zs_share share = zs_divide_line(args->part, args->parts, line_tiles, row_blocks);
    const int64_t lo = share.lo, hi = share.hi;
    const int64_t first = zs_cut(share.part, share.parts, 0, row_blocks);
    const int64_t end = zs_cut(share.part + 1, share.parts, 0, row_blocks);
    const int64_t part = args->part;
    for (int64_t strip = 0; strip < zs_ceil_div(hi - lo, strip_tiles); strip++) {
        ZS_POLL(args);
        for (int64_t block = 0; block < blocks; block++) {
            ZS_POLL(args);
            for (int64_t tile_ = 0; tile_ < zs_min(strip_tiles, hi - lo - strip * strip_tiles); tile_++) {
                /* X_panel: X_vals from block * block_span + 16 * (lo + strip * strip_tiles) * places + 16 * tile_ * places on, its rows as columns; what it does not reach stays */
                zs_turn_rows(X_panel + part * panel_size + 16 * tile_ * panel_places, 16, X_vals + block * block_span + 16 * (lo + strip * strip_tiles) * places + 16 * tile_ * places, places, zs_min(16, line - 16 * (lo + strip * strip_tiles) - 16 * tile_), zs_min(block_span, places - block * block_span));
            }
            for (int64_t program = first; program < end; program++) {
                const zs_unrolled programs_ = {W_code, W_starts, W_first, W_member, W_offset, 0, 0, groups, members};
                zs_run_unrolled(&programs_, block * row_blocks + program, (program + 1 < end ? block * row_blocks + program + 1 : ((block + 1) % blocks) * row_blocks + first), rows - program * program_rows, W_packed, X_panel + part * panel_size, 16 * panel_places, lo + strip * strip_tiles, row_sums + program * program_rows * row_pitch + part * sums_size, row_pitch, 16 * zs_min(strip_tiles, hi - lo - strip * strip_tiles), block > 0, 0);
            }
            if (block == blocks - 1) {
                for (int64_t chunk = 0; chunk < zs_ceil_div(zs_min(rows, end * program_rows) - first * program_rows, 64); chunk++) {
                    ZS_POLL(args);
                    const int64_t row_0 = first * program_rows + 64 * chunk;
                    const int64_t row_end = zs_min(zs_min(rows, end * program_rows), first * program_rows + 64 * chunk + 64);
                    for (int64_t group = 0; group < zs_ceil_div(16 * zs_min(strip_tiles, hi - lo - strip * strip_tiles), 16); group++) {
                        ZS_POLL(args);
                        const int64_t lane_0 = 16 * (lo + strip * strip_tiles) + 16 * group;
                        /* turned: row_sums from part * sums_size + row_0 * row_pitch + lane_0 - 16 * (lo + strip * strip_tiles) on, its rows as columns; what it does not reach stays */
                        zs_turn_rows(turned + 1280 * part, 80, row_sums + part * sums_size + row_0 * row_pitch + lane_0 - 16 * (lo + strip * strip_tiles), row_pitch, row_end - row_0, zs_min(16, 16 * zs_min(strip_tiles, hi - lo - strip * strip_tiles) - lane_0 + 16 * (lo + strip * strip_tiles)));
                        for (int64_t b = zs_max(0, lane_0); b < zs_min(B, lane_0 + zs_min(16, 16 * zs_min(strip_tiles, hi - lo - strip * strip_tiles) - lane_0 + 16 * (lo + strip * strip_tiles))); b++) {
                            const int64_t o_end = zs_min(O, row_end);
                            for (int64_t o = zs_max(0, row_0); o < o_end; o += LANES) {
                                zs_store_part(Y_vals + b * O + o, o_end - o, zs_relu_part(zs_load_part(turned + 1280 * part + 80 * (b - lane_0) + o - row_0, o_end - o) + zs_load_part(B_vals + o, o_end - o)));
                            }
                        }
                    }
                }
            }
        }
    }
    return ZS_OK;
}
