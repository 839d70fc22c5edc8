/*
 * zs_turned.h - as many vectors as they have lanes, with rows as columns.
 */
#ifndef ZS_TURNED_H
#define ZS_TURNED_H

#include "zs_kernel.h"

typedef uint32_t zs_square16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint64_t zs_square8 __attribute__((vector_size(64), aligned(8), may_alias));

/*
 * zs_turn_square_BYTES() - lane j of vector i trades with lane i of vector j, for items of so many
 * bytes: 16 vectors of 4, 8 vectors of 8.
 *
 * Vectors that are D apart trade blocks of D lanes, once for each bit of a lane's number: of two, the
 * first gets the LOW_D lanes of both, the other the HIGH_D ones.
 */
#if defined(__clang__) || __GNUC__ >= 12
#define ZS_TRADE(ROWS, COUNT, D, LOW, HIGH)                                                 \
    _Pragma("GCC unroll 16") for (int i = 0; i < COUNT; i++)                                \
        if (!(i & D)) {                                                                     \
            const __typeof__(*ROWS) a = ROWS[i], b = ROWS[i | D];                           \
            ROWS[i] = __builtin_shufflevector(a, b, LOW);                                   \
            ROWS[i | D] = __builtin_shufflevector(a, b, HIGH);                              \
        }
#define ZS_LOW_1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define ZS_HIGH_1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#define ZS_LOW_2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define ZS_HIGH_2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define ZS_LOW_4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define ZS_HIGH_4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define ZS_LOW_8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define ZS_HIGH_8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define ZS_LOW_1_OF_8 0, 8, 2, 10, 4, 12, 6, 14
#define ZS_HIGH_1_OF_8 1, 9, 3, 11, 5, 13, 7, 15
#define ZS_LOW_2_OF_8 0, 1, 8, 9, 4, 5, 12, 13
#define ZS_HIGH_2_OF_8 2, 3, 10, 11, 6, 7, 14, 15
#define ZS_LOW_4_OF_8 0, 1, 2, 3, 8, 9, 10, 11
#define ZS_HIGH_4_OF_8 4, 5, 6, 7, 12, 13, 14, 15
ZS_INLINE void zs_turn_square_4(void *rows)
{
    zs_square16 r[16];
    __builtin_memcpy(r, rows, sizeof r);
    ZS_TRADE(r, 16, 1, ZS_LOW_1, ZS_HIGH_1)
    ZS_TRADE(r, 16, 2, ZS_LOW_2, ZS_HIGH_2)
    ZS_TRADE(r, 16, 4, ZS_LOW_4, ZS_HIGH_4)
    ZS_TRADE(r, 16, 8, ZS_LOW_8, ZS_HIGH_8)
    __builtin_memcpy(rows, r, sizeof r);
}
ZS_INLINE void zs_turn_square_8(void *rows)
{
    zs_square8 r[8];
    __builtin_memcpy(r, rows, sizeof r);
    ZS_TRADE(r, 8, 1, ZS_LOW_1_OF_8, ZS_HIGH_1_OF_8)
    ZS_TRADE(r, 8, 2, ZS_LOW_2_OF_8, ZS_HIGH_2_OF_8)
    ZS_TRADE(r, 8, 4, ZS_LOW_4_OF_8, ZS_HIGH_4_OF_8)
    __builtin_memcpy(rows, r, sizeof r);
}
#else
#define ZS_DEFINE_TURN_SQUARE(BYTES, LANE, COUNT)                                           \
    ZS_INLINE void zs_turn_square_##BYTES(void *rows)                                       \
    {                                                                                       \
        LANE r[COUNT][COUNT];                                                               \
        __builtin_memcpy(r, rows, sizeof r);                                                \
        for (int i = 0; i < COUNT; i++)                                                     \
            for (int j = 0; j < i; j++) {                                                   \
                const LANE held = r[i][j];                                                  \
                r[i][j] = r[j][i];                                                          \
                r[j][i] = held;                                                             \
            }                                                                               \
        __builtin_memcpy(rows, r, sizeof r);                                                \
    }
ZS_DEFINE_TURN_SQUARE(4, uint32_t, 16)
ZS_DEFINE_TURN_SQUARE(8, uint64_t, 8)
#endif

#endif
