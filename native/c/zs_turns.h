/*
 * zs_turns.h - some columns of a matrix that is stored by rows, stored as rows.
 */
#ifndef ZS_TURNS_H
#define ZS_TURNS_H

#include "zs_packs.h"
#include "zs_turned.h"

/* Columns that are gone through together: a line of memory of 4-byte items. */
#define ZS_TURN_COLUMNS 16
/* Rows that are: so few lines stay near whatever the pitch, also where all have one place in L1. */
#define ZS_TURN_BLOCK 8

/* zs_turn_block() - some rows of at most ZS_TURN_COLUMNS columns. */
ZS_FOLDED void zs_turn_block(char *restrict to, int64_t rows, const char *restrict from,
                             int64_t columns, int64_t row_count, int64_t column_count, int width)
{
    for (int64_t c = 0; c < column_count; c++)
        for (int64_t r = 0; r < row_count; r++)
            zs_put(to, width, c * rows + r, zs_item(from, width, r * columns + c));
}

/*
 * zs_turn_columns() - 'wide' <= ZS_TURN_COLUMNS columns of a matrix, one after the other.
 *
 * 'from' is the first of them in a matrix of 'rows' rows of 'columns' items.
 */
ZS_FOLDED void zs_turn_columns(char *restrict to, const char *restrict from, int64_t rows,
                               int64_t columns, int64_t wide, int width)
{
    for (int64_t r = 0; r < rows; r += ZS_TURN_BLOCK) {
        const int64_t high = zs_min(rows - r, ZS_TURN_BLOCK);
        char *there = to + r * width;
        const char *here = from + r * columns * width;
#if ZS_TURNS_BY_VECTORS
        if (width == 4 && high == ZS_TURN_BLOCK && wide == ZS_TURN_COLUMNS) {
            for (int64_t k = 0; k < wide; k += 8)
                zs_turn8((uint32_t *)there + k * rows, rows, (const uint32_t *)here + k, columns);
            continue;
        }
#endif
        zs_turn_block(there, rows, here, columns, high, wide, width);
    }
}

#endif
