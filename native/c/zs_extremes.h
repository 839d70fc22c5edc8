/*
 * zs_extremes.h - the larger and the smaller of two vectors, lane by lane, and of all lanes of one.
 */
#ifndef ZS_EXTREMES_H
#define ZS_EXTREMES_H

#include "zs_pointwise.h"

/*
 * ZS_DEFINE_EXTREMES() - for the kernel's zs_vec of TYPE, whose name is NAME:
 *
 * zs_max_lanes(), zs_min_lanes() - what zs_max_NAME() and zs_min_NAME() give of each lane: a NaN in
 * either stays one, and of equal lanes the second is taken.
 * zs_lane_max(), zs_lane_min() - the extreme of all lanes, a NaN where there is one.
 */
#define ZS_DEFINE_EXTREMES(NAME, TYPE)                                                      \
    ZS_DEFINE_EXTREME(NAME, TYPE, max, >, "vmax")                                           \
    ZS_DEFINE_EXTREME(NAME, TYPE, min, <, "vmin")

#define ZS_DEFINE_EXTREME(NAME, TYPE, WHICH, BEYOND, OPCODE)                                \
    ZS_INLINE zs_vec zs_##WHICH##_lanes(zs_vec a, zs_vec b)                                 \
    {                                                                                       \
        typedef __typeof__(a != a) lanes;                                                   \
        ZS_EXTREME_MASKED(TYPE, OPCODE, a, b)                                               \
        const lanes kept = (a != a) | (a BEYOND b);                                         \
        return (zs_vec)(((lanes)a & kept) | ((lanes)b & ~kept));                            \
    }                                                                                       \
    ZS_INLINE TYPE zs_lane_##WHICH(zs_vec x)                                                \
    {                                                                                       \
        TYPE found = x[0];                                                                  \
        for (int i = 1; i < (int)LANES; i++)                                                \
            found = zs_##WHICH##_##NAME(found, x[i]);                                       \
        return found;                                                                       \
    }

#ifdef __AVX512F__
/* The processor takes the second of two of which one is NaN: lanes of 'a' that are stay as they are. */
#define ZS_EXTREME_MASKED(TYPE, OPCODE, a, b)                                               \
    if (sizeof(a) == 64 && (TYPE)0.5 != 0) {                                                \
        uint16_t known;                                                                     \
        if (sizeof(TYPE) == 4) {                                                            \
            __asm__("vcmpps $7, %1, %1, %0" : "=Yk"(known) : "v"(a));                       \
            __asm__(OPCODE "ps %1, %0, %0%{%2%}" : "+v"(a) : "v"(b), "Yk"(known));          \
        } else {                                                                            \
            __asm__("vcmppd $7, %1, %1, %0" : "=Yk"(known) : "v"(a));                       \
            __asm__(OPCODE "pd %1, %0, %0%{%2%}" : "+v"(a) : "v"(b), "Yk"(known));          \
        }                                                                                   \
        return a;                                                                           \
    }
#else
#define ZS_EXTREME_MASKED(TYPE, OPCODE, a, b)
#endif

#endif
