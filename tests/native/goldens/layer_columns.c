#include "zs_kernel.h"
#include "zs_pointwise.h"
#include "zs_columns.h"

/* 64 bytes of float at any element's address */
typedef float zs_vec __attribute__((vector_size(64), aligned(sizeof(float)), may_alias));
enum { LANES = 64 / sizeof(float) };

ZS_DEFINE_COLUMNS(float, float32_64, uint16_t)

/*
 * O[m,p] = relu(B[m] + sum[c](I[c,p]*W[m,c]))
 * B: 0:U, float32
 * I: 0:U 1:U, float32
 * W: 0:U 1:C, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict O_vals = args->buf[0];
    const float *restrict I_vals = args->buf[1];
    const uint16_t *restrict W_masks = args->buf[2];
    const int64_t *restrict W_first = args->buf[3];
    const float *restrict W_packed = args->buf[4];
    const float *restrict B_vals = args->buf[5];
    const int64_t line = args->dim[0];
    const int64_t rows = args->dim[1];
    const int64_t row_blocks = args->dim[2];
    const int64_t columns = args->dim[3];
    const int64_t summed = args->dim[4];
    const int64_t line_tiles = args->dim[5];
    const int64_t P = args->dim[7];
    const int64_t blocks = args->dim[8];

    for (int64_t block = 0; block < blocks; block++) {
        ZS_POLL(args);
        ZS_SHARED(group, args->part, args->parts, 0, row_blocks) {
            ZS_POLL(args);
            {
                for (int64_t t = 0; t < line_tiles; t++) {
                    const int64_t x = line * t / line_tiles;
                    const int64_t count = line * (t + 1) / line_tiles - x;
                    switch (count) {
                        case 24:
                            zs_add_columns(24, W_masks + (block * row_blocks + group) * columns,
                                           W_packed + W_first[block * row_blocks + group], zs_min(columns, summed - block * columns),
                                           I_vals + block * columns * line + x, line,
                                           O_vals + 16 * group * line + x, line, zs_min(16, rows - 16 * group), block > 0);
                            break;
                        case 25:
                            zs_add_columns(25, W_masks + (block * row_blocks + group) * columns,
                                           W_packed + W_first[block * row_blocks + group], zs_min(columns, summed - block * columns),
                                           I_vals + block * columns * line + x, line,
                                           O_vals + 16 * group * line + x, line, zs_min(16, rows - 16 * group), block > 0);
                            break;
                        default: return zs_fail(args, ZS_EINTERNAL, -1);
                    }
                }
            }
            if (block == blocks - 1) {
                for (int64_t member = 0; member < zs_min(16, rows - 16 * group); member++) {
                    const int64_t m = 16 * group + member;
                    for (int64_t p = zs_max(0, 0); p < zs_min(P, line); p++) {
                        O_vals[m * P + p] = zs_relu_float32(O_vals[m * P + p] + B_vals[m]);
                    }
                }
            }
        }
        ZS_BARRIER(args);
    }
    return ZS_OK;
}
