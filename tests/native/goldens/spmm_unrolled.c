#include "zs_kernel.h"
#include "zs_parts.h"
#include "zs_unrolled.h"

/* 64 bytes of float at any element's address */
typedef float zs_vec __attribute__((vector_size(64), aligned(sizeof(float)), may_alias));
enum { LANES = 64 / sizeof(float) };

ZS_DEFINE_PARTS(float)

ZS_DEFINE_UNROLLED(float)

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
    float *restrict B_panel = args->buf[2];
    const uint8_t *restrict A_code = args->buf[3];
    const int64_t *restrict A_starts = args->buf[4];
    const int64_t *restrict A_first = args->buf[5];
    const uint8_t *restrict A_member = args->buf[6];
    const int32_t *restrict A_offset = args->buf[7];
    const float *restrict A_packed = args->buf[8];
    const int64_t block_span = args->dim[0];
    const int64_t line = args->dim[1];
    const int64_t strip_tiles = args->dim[2];
    const int64_t panel_size = args->dim[3];
    const int64_t panel_places = args->dim[4];
    const int64_t places = args->dim[5];
    const int64_t program_rows = args->dim[6];
    const int64_t rows = args->dim[7];
    const int64_t row_blocks = args->dim[8];
    const int64_t blocks = args->dim[9];
    const int64_t groups = args->dim[10];
    const int64_t members = args->dim[11];
    const int64_t line_tiles = args->dim[12];

    const zs_share share = zs_divide_line(args->part, args->parts, line_tiles, row_blocks);
    const int64_t lo = share.lo, hi = share.hi;
    const int64_t first = zs_cut(share.part, share.parts, 0, row_blocks);
    const int64_t end = zs_cut(share.part + 1, share.parts, 0, row_blocks);
    const int64_t part = args->part;
    for (int64_t strip = 0; strip < zs_ceil_div(hi - lo, strip_tiles); strip++) {
        ZS_POLL(args);
        for (int64_t block = 0; block < blocks; block++) {
            ZS_POLL(args);
            /* B_panel: B_vals from block * block_span * line + 16 * (lo + strip * strip_tiles) on, laid out for vectors; what it does not reach stays */
            for (int64_t i0 = 0; i0 < zs_min(block_span, places - block * block_span); i0++) {
                for (int64_t i1 = 0; i1 < zs_min(strip_tiles, hi - lo - strip * strip_tiles); i1++) {
                    ZS_FETCH(B_vals + block * block_span * line + 16 * (lo + strip * strip_tiles) + i0 * line + 16 * i1 + 8 * line, 0);
                    *(zs_vec *)(B_panel + part * panel_size + 16 * i0 + 16 * i1 * panel_places) = zs_load_part(B_vals + block * block_span * line + 16 * (lo + strip * strip_tiles) + i0 * line + 16 * i1, line - 16 * (lo + strip * strip_tiles) - 16 * i1);
                }
            }
            for (int64_t program = first; program < end; program++) {
                const zs_unrolled programs_ = {A_code, A_starts, A_first, A_member, A_offset, 0, 0, groups, members};
                zs_run_unrolled(&programs_, block * row_blocks + program, (program + 1 < end ? block * row_blocks + program + 1 : ((block + 1) % blocks) * row_blocks + first), rows - program * program_rows, A_packed, B_panel + part * panel_size, 16 * panel_places, lo + strip * strip_tiles, C_vals + program * program_rows * line + 16 * (lo + strip * strip_tiles), line, zs_min(line - 16 * (lo + strip * strip_tiles), 16 * zs_min(strip_tiles, hi - lo - strip * strip_tiles)), block > 0, 0);
            }
        }
    }
    return ZS_OK;
}
