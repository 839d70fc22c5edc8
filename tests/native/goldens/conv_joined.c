#include "zs_kernel.h"
#include "zs_parts.h"
#include "zs_unrolled.h"
#include "zs_joined.h"

/* 64 bytes of int32_t at any element's address */
typedef int32_t zs_vec __attribute__((vector_size(64), aligned(sizeof(int32_t)), may_alias));
enum { LANES = 64 / sizeof(int32_t) };

ZS_DEFINE_PARTS(int32_t)

ZS_DEFINE_JOINED(int8, uint8_t, 4, 128)

/*
 * O[n,m,p,q] = sum[c,r,s](F[m,c,r,s]*I[n,c,p+r,q+s])
 * F: 0:U 1*2*3:C, int8
 * I: 0:U 1:U 2:U 3:U, int8
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    int32_t *restrict O_vals = args->buf[0];
    const int8_t *restrict I_vals = args->buf[1];
    uint8_t *restrict I_staged = args->buf[2];
    const uint8_t *restrict F_code = args->buf[3];
    const int64_t *restrict F_starts = args->buf[4];
    const int64_t *restrict F_first = args->buf[5];
    const uint8_t *restrict F_member = args->buf[6];
    const int32_t *restrict F_offset = args->buf[7];
    const int32_t *restrict F_packed = args->buf[8];
    const uint8_t *restrict F_shift = args->buf[9];
    const uint16_t *restrict masks = args->buf[10];
    const int64_t row_stride0 = args->dim[0];
    const int64_t source_extent0 = args->dim[2];
    const int64_t source_stride0 = args->dim[3];
    const int64_t row_stride1 = args->dim[4];
    const int64_t source_extent1 = args->dim[6];
    const int64_t source_stride1 = args->dim[7];
    const int64_t source_extent2 = args->dim[10];
    const int64_t I_pad2 = args->dim[11];
    const int64_t source_extent3 = args->dim[15];
    const int64_t I_pad3 = args->dim[16];
    const int64_t block_span = args->dim[17];
    const int64_t line = args->dim[18];
    const int64_t strip_tiles = args->dim[19];
    const int64_t staged_size = args->dim[20];
    const int64_t program_rows = args->dim[21];
    const int64_t rows = args->dim[22];
    const int64_t row_blocks = args->dim[23];
    const int64_t blocks = args->dim[24];
    const int64_t groups = args->dim[25];
    const int64_t members = args->dim[26];
    const int64_t line_tiles = args->dim[27];

    const zs_share share = zs_divide_line(args->part, args->parts, line_tiles, row_blocks);
    const int64_t lo = share.lo, hi = share.hi;
    const int64_t first = zs_cut(share.part, share.parts, 0, row_blocks);
    const int64_t end = zs_cut(share.part + 1, share.parts, 0, row_blocks);
    const int64_t part = args->part;
    /* I_staged: I_vals places side by side; what it does not reach is 128 */
    for (int64_t i0 = 0; i0 < source_extent0; i0++) {
        for (int64_t i1 = 0; i1 < zs_ceil_div(source_extent1, 4); i1++) {
            zs_join(I_staged + part * staged_size + 4 * i0 * row_stride0 + 4 * i1 * row_stride1 + 4 * (I_pad2 * source_extent3 + I_pad3), I_vals + i0 * source_stride0 + 4 * i1 * source_stride1, source_stride1, 1, zs_min(source_extent1 - 4 * i1, 4), source_extent2 * source_extent3);
        }
    }
    for (int64_t strip = 0; strip < zs_ceil_div(hi - lo, strip_tiles); strip++) {
        ZS_POLL(args);
        for (int64_t block = 0; block < blocks; block++) {
            ZS_POLL(args);
            for (int64_t program = first; program < end; program++) {
                const zs_unrolled programs_ = {F_code, F_starts, F_first, F_member, F_offset, F_shift, masks, groups, members};
                zs_run_unrolled(&programs_, block * row_blocks + program, (program + 1 < end ? block * row_blocks + program + 1 : ((block + 1) % blocks) * row_blocks + first), rows - program * program_rows, F_packed, I_staged + part * staged_size + block * block_span + 64 * (lo + strip * strip_tiles), 64, lo + strip * strip_tiles, O_vals + program * program_rows * line + 16 * (lo + strip * strip_tiles), line, zs_min(line - 16 * (lo + strip * strip_tiles), 16 * zs_min(strip_tiles, hi - lo - strip * strip_tiles)), block > 0, 0);
            }
        }
    }
    return ZS_OK;
}
