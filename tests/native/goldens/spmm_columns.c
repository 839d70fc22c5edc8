#include "zs_kernel.h"
#include "zs_columns.h"

/* 64 bytes of float at any element's address */
typedef float zs_vec __attribute__((vector_size(64), aligned(sizeof(float)), may_alias));
enum { LANES = 64 / sizeof(float) };

ZS_DEFINE_COLUMNS(float, float32_64, uint16_t)

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
    const uint16_t *restrict A_masks = args->buf[2];
    const int64_t *restrict A_first = args->buf[3];
    const float *restrict A_packed = args->buf[4];
    const int64_t line = args->dim[0];
    const int64_t rows = args->dim[1];
    const int64_t columns = args->dim[2];
    const int64_t line_tiles = args->dim[3];
    const int64_t row_blocks = args->dim[4];

    ZS_SHARED(group, args->part, args->parts, 0, row_blocks) {
        ZS_POLL(args);
        for (int64_t t = 0; t < line_tiles; t++) {
            const int64_t x = line * t / line_tiles;
            const int64_t count = line * (t + 1) / line_tiles - x;
            switch (count) {
                case 16:
                    zs_add_columns(16, A_masks + group * columns,
                                   A_packed + A_first[group], columns,
                                   B_vals + x, line,
                                   C_vals + 16 * group * line + x, line, zs_min(16, rows - 16 * group), 0);
                    break;
                default: return zs_fail(args, ZS_EINTERNAL, -1);
            }
        }
    }
    return ZS_OK;
}
