/*
 * zs_joined.h - lanes of 32 bits, each of several narrow integers of neighbouring summed places.
 *
 * An entry is a word of as many integers as a lane, the lowest bits being those of the first place;
 * word and lane are multiplied integer by integer, and the products added up modulo 2^32.
 */
#ifndef ZS_JOINED_H
#define ZS_JOINED_H

#include "zs_dots.h"

/*
 * ZS_DEFINE_JOINED() - zs_run_unrolled() for lanes of JOINED integers of type HELD, and zs_join(),
 * which makes them of integers NAME, in kernels of vectors of 64 bytes.
 *
 * Integers of 8 bits have no sign and are kept BIAS larger; those of 16 bits have one.
 */
#define ZS_DEFINE_JOINED(NAME, HELD, JOINED, BIAS)                                          \
    static __attribute__((noinline, unused)) zs_vec zs_met(int32_t word, const HELD *from,  \
                                                           uint32_t kept)                   \
    {                                                                                       \
        uint32_t sums[LANES] = {0};                                                         \
        const int bits = 32 / JOINED;                                                       \
        for (int64_t k = 0; k < (int64_t)LANES * JOINED; k++) {                             \
            const int64_t lane = k / JOINED, left = 32 - bits * (k % JOINED + 1);           \
            const int32_t factor = (int32_t)((uint32_t)word << left) >> (32 - bits);        \
            const int32_t x = kept >> lane & 1 ? from[k] : BIAS;                            \
            sums[lane] += (uint32_t)factor * (uint32_t)x;                                   \
        }                                                                                   \
        return *(const zs_vec *)sums;                                                       \
    }                                                                                       \
    ZS_DEFINE_RUN_UNROLLED(int32_t, HELD, JOINED)                                           \
    ZS_DEFINE_JOIN(NAME, HELD, JOINED, BIAS)

/*
 * zs_join() - 'places' places, JOINED at most, of 'lanes' lanes, those of a lane side by side.
 *
 * What lies 'place' elements behind another in 'from' is of the next place, what lies 'lane' behind
 * of the next lane.  Places that are missing keep what is there, which meets zeros.
 */
#define ZS_DEFINE_JOIN(NAME, HELD, JOINED, BIAS)                                            \
    ZS_INLINE void zs_join(HELD *restrict to, const NAME##_t *restrict from, int64_t place,     \
                           int64_t lane, int64_t places, int64_t lanes)                     \
    {                                                                                       \
        const int bits = 32 / JOINED, whole = places == JOINED;                             \
        const uint32_t all = BIAS ? BIAS * 0x01010101u : 0; /* to add 128 flips a bit */    \
        int64_t i = 0;                                                                      \
        for (; whole && lane == 1 && i + (int64_t)LANES <= lanes; i += LANES) {             \
            zs_vec x = (zs_vec){} + (int32_t)all;                                           \
            _Pragma("GCC unroll 4")                                                         \
            for (int j = 0; j < JOINED; j++) {                                              \
                const zs_vec wide =                                                         \
                    (zs_vec)zs_widened_##NAME##_int32_64(from + j * place + i);             \
                x ^= (wide & (int32_t)((1ll << bits) - 1)) << j * bits;                     \
            }                                                                               \
            *(zs_vec *)(to + i * JOINED) = x;                                               \
        }                                                                                   \
        for (; whole && place == 1 && sizeof(NAME##_t) == sizeof(HELD) && i < lanes; i++) {     \
            uint32_t x;                                                                     \
            __builtin_memcpy(&x, from + i * lane, sizeof x);                                \
            x ^= all;                                                                       \
            __builtin_memcpy(to + i * JOINED, &x, sizeof x);                                \
        }                                                                                   \
        for (; i < lanes; i++)                                                              \
            for (int64_t j = 0; j < places; j++)                                            \
                to[i * JOINED + j] = (HELD)(from[j * place + i * lane] + BIAS);             \
    }

#endif
