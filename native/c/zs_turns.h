/*
 * zs_turns.h - some columns of a matrix that is stored by rows, stored as rows.
 */
#ifndef ZS_TURNS_H
#define ZS_TURNS_H

#include "zs_packs.h"

/* Columns that are gone through together: a line of memory of 4-byte items. */
#define ZS_TURN_COLUMNS 16
/* Rows that are: so few lines stay near whatever the pitch, also where all have one place in L1. */
#define ZS_TURN_BLOCK 8

#if defined(__AVX2__) && (defined(__clang__) || __GNUC__ >= 12)
#define ZS_TURNS_BY_VECTORS 1
typedef uint32_t zs_row8 __attribute__((vector_size(32)));
typedef uint32_t zs_row8_at __attribute__((vector_size(32), aligned(4), may_alias));

/* Lanes of two rows, by which they trade one, two or four at a time. */
#define ZS_BY_1 0, 8, 1, 9, 4, 12, 5, 13
#define ZS_BY_1_HIGH 2, 10, 3, 11, 6, 14, 7, 15
#define ZS_BY_2 0, 1, 8, 9, 4, 5, 12, 13
#define ZS_BY_2_HIGH 2, 3, 10, 11, 6, 7, 14, 15
#define ZS_BY_4 0, 1, 2, 3, 8, 9, 10, 11
#define ZS_BY_4_HIGH 4, 5, 6, 7, 12, 13, 14, 15

/* zs_turn8() - eight columns of eight rows of 4 bytes an item; pitches are in items. */
ZS_INLINE void zs_turn8(uint32_t *restrict to, int64_t to_pitch, const uint32_t *restrict from,
                        int64_t from_pitch)
{
#define ZS_ROW(K) *(const zs_row8_at *)(from + (K) * from_pitch)
    const zs_row8 r0 = ZS_ROW(0), r1 = ZS_ROW(1), r2 = ZS_ROW(2), r3 = ZS_ROW(3);
    const zs_row8 r4 = ZS_ROW(4), r5 = ZS_ROW(5), r6 = ZS_ROW(6), r7 = ZS_ROW(7);
#undef ZS_ROW
    const zs_row8 a0 = __builtin_shufflevector(r0, r1, ZS_BY_1);
    const zs_row8 a1 = __builtin_shufflevector(r0, r1, ZS_BY_1_HIGH);
    const zs_row8 a2 = __builtin_shufflevector(r2, r3, ZS_BY_1);
    const zs_row8 a3 = __builtin_shufflevector(r2, r3, ZS_BY_1_HIGH);
    const zs_row8 a4 = __builtin_shufflevector(r4, r5, ZS_BY_1);
    const zs_row8 a5 = __builtin_shufflevector(r4, r5, ZS_BY_1_HIGH);
    const zs_row8 a6 = __builtin_shufflevector(r6, r7, ZS_BY_1);
    const zs_row8 a7 = __builtin_shufflevector(r6, r7, ZS_BY_1_HIGH);
    const zs_row8 b0 = __builtin_shufflevector(a0, a2, ZS_BY_2);
    const zs_row8 b1 = __builtin_shufflevector(a0, a2, ZS_BY_2_HIGH);
    const zs_row8 b2 = __builtin_shufflevector(a1, a3, ZS_BY_2);
    const zs_row8 b3 = __builtin_shufflevector(a1, a3, ZS_BY_2_HIGH);
    const zs_row8 b4 = __builtin_shufflevector(a4, a6, ZS_BY_2);
    const zs_row8 b5 = __builtin_shufflevector(a4, a6, ZS_BY_2_HIGH);
    const zs_row8 b6 = __builtin_shufflevector(a5, a7, ZS_BY_2);
    const zs_row8 b7 = __builtin_shufflevector(a5, a7, ZS_BY_2_HIGH);
#define ZS_COLUMN(K, LOW, HIGH, HALF)                                                       \
    *(zs_row8_at *)(to + (K) * to_pitch) = __builtin_shufflevector(LOW, HIGH, HALF)
    ZS_COLUMN(0, b0, b4, ZS_BY_4);
    ZS_COLUMN(1, b1, b5, ZS_BY_4);
    ZS_COLUMN(2, b2, b6, ZS_BY_4);
    ZS_COLUMN(3, b3, b7, ZS_BY_4);
    ZS_COLUMN(4, b0, b4, ZS_BY_4_HIGH);
    ZS_COLUMN(5, b1, b5, ZS_BY_4_HIGH);
    ZS_COLUMN(6, b2, b6, ZS_BY_4_HIGH);
    ZS_COLUMN(7, b3, b7, ZS_BY_4_HIGH);
#undef ZS_COLUMN
}
#else
#define ZS_TURNS_BY_VECTORS 0
#endif

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
