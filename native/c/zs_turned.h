/*
 * zs_turned.h - rows of items, stored as columns.
 */
#ifndef ZS_TURNED_H
#define ZS_TURNED_H

#include "zs_kernel.h"

#if defined(__AVX2__) && (defined(__clang__) || __GNUC__ >= 12)
#define ZS_TURNS_BY_VECTORS 1
typedef uint32_t zs_row8 __attribute__((vector_size(32)));
typedef uint32_t zs_row8_at __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint64_t zs_row4 __attribute__((vector_size(32)));
typedef uint64_t zs_row4_at __attribute__((vector_size(32), aligned(8), may_alias));

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

/* zs_turn4() - four columns of four rows of 8 bytes an item. */
ZS_INLINE void zs_turn4(uint64_t *restrict to, int64_t to_pitch, const uint64_t *restrict from,
                        int64_t from_pitch)
{
#define ZS_ROW(K) *(const zs_row4_at *)(from + (K) * from_pitch)
    const zs_row4 r0 = ZS_ROW(0), r1 = ZS_ROW(1), r2 = ZS_ROW(2), r3 = ZS_ROW(3);
#undef ZS_ROW
    const zs_row4 a0 = __builtin_shufflevector(r0, r1, 0, 4, 2, 6);
    const zs_row4 a1 = __builtin_shufflevector(r0, r1, 1, 5, 3, 7);
    const zs_row4 a2 = __builtin_shufflevector(r2, r3, 0, 4, 2, 6);
    const zs_row4 a3 = __builtin_shufflevector(r2, r3, 1, 5, 3, 7);
#define ZS_COLUMN(K, LOW, HIGH, ...)                                                        \
    *(zs_row4_at *)(to + (K) * to_pitch) = __builtin_shufflevector(LOW, HIGH, __VA_ARGS__)
    ZS_COLUMN(0, a0, a2, 0, 1, 4, 5);
    ZS_COLUMN(1, a1, a3, 0, 1, 4, 5);
    ZS_COLUMN(2, a0, a2, 2, 3, 6, 7);
    ZS_COLUMN(3, a1, a3, 2, 3, 6, 7);
#undef ZS_COLUMN
}
#else
#define ZS_TURNS_BY_VECTORS 0
#endif

/*
 * zs_turn_rows() - item c of row r goes to place r of row c.
 *
 * 'high' rows of 'wide' items; pitches are in items.  TYPE is of 4 or 8 bytes.  Of every row a
 * line of memory is read before the next one.
 */
#define ZS_DEFINE_TURNED(TYPE)                                                              \
    ZS_INLINE void zs_turn_square(TYPE *restrict to, int64_t to_pitch,                      \
                                  const TYPE *restrict from, int64_t from_pitch,            \
                                  int64_t high, int64_t wide)                               \
    {                                                                                       \
        for (int64_t c = 0; c < wide; c++)                                                  \
            for (int64_t r = 0; r < high; r++)                                              \
                to[c * to_pitch + r] = from[r * from_pitch + c];                            \
    }                                                                                       \
    ZS_INLINE void zs_turn_rows(TYPE *restrict to, int64_t to_pitch,                        \
                                const TYPE *restrict from, int64_t from_pitch,              \
                                int64_t high, int64_t wide)                                 \
    {                                                                                       \
        enum { SIDE = 32 / sizeof(TYPE) };                                                  \
        for (int64_t start = 0; start < wide; start += 2 * SIDE)                            \
            for (int64_t r = 0; r < high; r += SIDE)                                        \
                for (int64_t c = start; c < zs_min(wide, start + 2 * SIDE); c += SIDE) {    \
                    TYPE *into = to + c * to_pitch + r;                                     \
                    const TYPE *at = from + r * from_pitch + c;                             \
                    const int64_t rows = zs_min(high - r, SIDE);                            \
                    const int64_t columns = zs_min(wide - c, SIDE);                         \
                    if (rows == SIDE && columns == SIDE)                                    \
                        ZS_TURN_WHOLE(TYPE, into, to_pitch, at, from_pitch)                 \
                    else                                                                    \
                        zs_turn_square(into, to_pitch, at, from_pitch, rows, columns);      \
                }                                                                           \
    }

#if ZS_TURNS_BY_VECTORS
#define ZS_TURN_WHOLE(TYPE, to, to_pitch, from, from_pitch)                                 \
    {                                                                                       \
        if (sizeof(TYPE) == 4)                                                              \
            zs_turn8((void *)(to), to_pitch, (const void *)(from), from_pitch);             \
        else                                                                                \
            zs_turn4((void *)(to), to_pitch, (const void *)(from), from_pitch);             \
    }
#else
#define ZS_TURN_WHOLE(TYPE, to, to_pitch, from, from_pitch)                                 \
    zs_turn_square(to, to_pitch, from, from_pitch, SIDE, SIDE);
#endif

#endif
