/*
 * zs_joined.h - lanes of 32 bits, each of several narrow integers of neighbouring summed places.
 *
 * An entry is a word of as many integers as a lane, the lowest bits being those of the first place;
 * word and lane are multiplied integer by integer, and the products added up modulo 2^32.
 */
#ifndef ZS_JOINED_H
#define ZS_JOINED_H

/*
 * ZS_DEFINE_JOINED() - zs_run_unrolled() for lanes of JOINED integers of type HELD, and zs_join(),
 * which makes them of integers of type FROM.
 *
 * Integers of 8 bits have no sign and are kept BIAS larger; those of 16 bits have one.
 */
#define ZS_DEFINE_JOINED(FROM, HELD, JOINED, BIAS)                                          \
    ZS_INLINE zs_vec zs_met(int32_t word, const HELD *from, uint32_t kept)                  \
    {                                                                                       \
        zs_vec sums = {};                                                                   \
        for (unsigned i = 0; i < LANES; i++)                                                \
            for (int j = 0; j < JOINED; j++) {                                              \
                const int32_t x = kept >> i & 1 ? from[i * JOINED + j] : BIAS;              \
                const int bits = 32 / JOINED;                                               \
                sums[i] += ((int32_t)((uint32_t)word << (32 - bits * (j + 1)))              \
                            >> (32 - bits)) * x;                                            \
            }                                                                               \
        return sums;                                                                        \
    }                                                                                       \
    ZS_DEFINE_RUN_UNROLLED(int32_t, HELD, JOINED)                                           \
    ZS_DEFINE_JOIN(FROM, HELD, JOINED, BIAS)

/*
 * zs_join() - 'places' places, JOINED at most, of 'lanes' lanes, those of a lane side by side.
 *
 * What lies 'place' elements behind another in 'from' is of the next place, what lies 'lane' behind
 * of the next lane.  Places that are missing keep what is there, which meets zeros.
 */
#define ZS_DEFINE_JOIN(FROM, HELD, JOINED, BIAS)                                            \
    ZS_INLINE void zs_join(HELD *restrict to, const FROM *restrict from, int64_t place,     \
                           int64_t lane, int64_t places, int64_t lanes)                     \
    {                                                                                       \
        if (places == JOINED && lane == 1) {                                                \
            for (int64_t i = 0; i < lanes; i++)                                             \
                for (int64_t j = 0; j < JOINED; j++)                                        \
                    to[i * JOINED + j] = (HELD)(from[j * place + i] + BIAS);                \
        } else if (places == JOINED && place == 1) {                                        \
            for (int64_t i = 0; i < lanes; i++)                                             \
                for (int64_t j = 0; j < JOINED; j++)                                        \
                    to[i * JOINED + j] = (HELD)(from[j + i * lane] + BIAS);                 \
        } else {                                                                            \
            for (int64_t i = 0; i < lanes; i++)                                             \
                for (int64_t j = 0; j < places; j++)                                        \
                    to[i * JOINED + j] = (HELD)(from[j * place + i * lane] + BIAS);         \
        }                                                                                   \
    }

#endif
