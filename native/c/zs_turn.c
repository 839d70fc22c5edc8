/*
 * zs_turn.c - matrices of items stored by rows, stored by columns.
 */
#include "zs_turns.h"

ZS_FOLDED int32_t zs_turn_of(zs_args *args, int width)
{
    const int64_t matrices = args->dim[0], rows = args->dim[1], columns = args->dim[2];
    for (int64_t m = 0; m < matrices; m++) {
        const char *from = (const char *)args->buf[0] + m * rows * columns * width;
        char *to = (char *)args->buf[1] + m * rows * columns * width;
        for (int64_t c = 0; c < columns; c += ZS_TURN_COLUMNS) {
            ZS_POLL(args);
            zs_turn_columns(to + c * rows * width, from + c * width, rows, columns,
                            zs_min(columns - c, ZS_TURN_COLUMNS), width);
        }
    }
    return ZS_OK;
}

/*
 * zs_turn() - each of some matrices one after the other, with its columns as rows.
 *
 * buf: matrices, where they go.  dim: how many, rows, columns, bytes of an item (1, 2, 4, 8).
 */
int32_t zs_turn(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    switch (args->dim[3]) {
    case 1: return zs_turn_of(args, 1);
    case 2: return zs_turn_of(args, 2);
    case 4: return zs_turn_of(args, 4);
    default: return zs_turn_of(args, 8);
    }
}
