#include "zs_kernel.h"
#include "zs_parts.h"
#include "zs_unrolled.h"

/* 64 bytes of float at any element's address */
typedef float zs_vec __attribute__((vector_size(64), aligned(sizeof(float)), may_alias));
enum { LANES = 64 / sizeof(float) };

ZS_DEFINE_PARTS(float)

ZS_DEFINE_UNROLLED(float)

/*
 * O[n,m,p,q] = sum[c,r,s](F[m,c,r,s]*I[n,c,p+r,q+s])
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
    const uint8_t *restrict F_code = args->buf[3];
    const int64_t *restrict F_starts = args->buf[4];
    const int64_t *restrict F_first = args->buf[5];
    const uint8_t *restrict F_member = args->buf[6];
    const int32_t *restrict F_offset = args->buf[7];
    const float *restrict F_packed = args->buf[8];
    const uint8_t *restrict F_shift = args->buf[9];
    const uint16_t *restrict masks = args->buf[10];
    const int64_t source_extent0 = args->dim[0];
    const int64_t source_stride0 = args->dim[1];
    const int64_t row_stride0 = args->dim[2];
    const int64_t source_extent1 = args->dim[3];
    const int64_t source_stride1 = args->dim[4];
    const int64_t row_stride1 = args->dim[5];
    const int64_t lying_before = args->dim[6];
    const int64_t head_lanes = args->dim[7];
    const int64_t tail_first = args->dim[8];
    const int64_t tail_into = args->dim[9];
    const int64_t tail_lanes = args->dim[10];
    const int64_t block_span = args->dim[11];
    const int64_t line = args->dim[12];
    const int64_t strip_tiles = args->dim[13];
    const int64_t staged_size = args->dim[14];
    const int64_t program_rows = args->dim[15];
    const int64_t rows = args->dim[16];
    const int64_t row_blocks = args->dim[17];
    const int64_t blocks = args->dim[18];
    const int64_t groups = args->dim[19];
    const int64_t members = args->dim[20];
    const int64_t lying_first = args->dim[21];
    const int64_t lying_end = args->dim[22];
    const int64_t lying_behind = args->dim[23];
    const int64_t lying_residue = args->dim[24];
    const int64_t line_tiles = args->dim[25];

    const zs_share share = zs_divide_line(args->part, args->parts, line_tiles, row_blocks);
    const int64_t lo = share.lo, hi = share.hi;
    const int64_t first = zs_cut(share.part, share.parts, 0, row_blocks);
    const int64_t end = zs_cut(share.part + 1, share.parts, 0, row_blocks);
    const int64_t part = args->part;
    /* I_staged: I_vals laid out for vectors; what it does not reach is 0 */
    for (int64_t i0 = 0; i0 < source_extent0; i0++) {
        for (int64_t i1 = 0; i1 < source_extent1; i1++) {
            const int64_t i2_end = head_lanes;
            for (int64_t i2 = 0; i2 < i2_end; i2 += LANES) {
                zs_store_part(I_staged + part * staged_size + lying_before + i0 * row_stride0 + i1 * row_stride1 + i2, i2_end - i2, zs_load_part(I_vals + i0 * source_stride0 + i1 * source_stride1 + i2, i2_end - i2));
            }
        }
    }
    /* I_staged: I_vals from tail_first on, laid out for vectors; what it does not reach stays */
    for (int64_t i0 = 0; i0 < source_extent0; i0++) {
        for (int64_t i1 = 0; i1 < source_extent1; i1++) {
            const int64_t i2_end = tail_lanes;
            for (int64_t i2 = 0; i2 < i2_end; i2 += LANES) {
                zs_store_part(I_staged + part * staged_size + tail_into + i0 * row_stride0 + i1 * row_stride1 + i2, i2_end - i2, zs_load_part(I_vals + tail_first + i0 * source_stride0 + i1 * source_stride1 + i2, i2_end - i2));
            }
        }
    }
    for (int64_t strip = 0; strip < zs_ceil_div(hi - lo, strip_tiles); strip++) {
        ZS_POLL(args);
        for (int64_t block = 0; block < blocks; block++) {
            ZS_POLL(args);
            for (int64_t program = first; program < end; program++) {
                const zs_unrolled programs_ = {F_code, F_starts, F_first, F_member, F_offset, F_shift, masks, groups, members};
                const zs_lying lying_ = {I_vals, block * block_span + 16 * (lo + strip * strip_tiles) - lying_before, lying_first, lying_end, lying_behind, lying_residue, blocks * row_blocks};
                zs_run_unrolled(&programs_, block * row_blocks + program, (program + 1 < end ? block * row_blocks + program + 1 : ((block + 1) % blocks) * row_blocks + first), rows - program * program_rows, F_packed, I_staged + part * staged_size + block * block_span + 16 * (lo + strip * strip_tiles), 16, lo + strip * strip_tiles, O_vals + program * program_rows * line + 16 * (lo + strip * strip_tiles), line, zs_min(line - 16 * (lo + strip * strip_tiles), 16 * zs_min(strip_tiles, hi - lo - strip * strip_tiles)), block > 0, &lying_);
            }
        }
    }
    return ZS_OK;
}
