/*
 * zs_parts.h - vectors of which the memory holds a part: the last ones of a line.
 */
#ifndef ZS_PARTS_H
#define ZS_PARTS_H

/*
 * ZS_DEFINE_PARTS() - zs_load_part() and zs_store_part() for the kernel's zs_vec of TYPE, the same
 * within its lanes, and zs_relu_part(), zs_relu_TYPE() of each lane.
 *
 * The first 'there' lanes, 1 or more, are in memory from an element's address on; where 'there' is
 * LANES or more, all.  'Within' leaves out the first 'before', fewer than LANES, too.  Other lanes
 * are not touched: not written, and read as 0.  Processors without masks take a part an element at
 * a time, out of line, so that whole vectors stay in registers.
 *
 * zs_early() - lanes before 'at' in the vector that holds it and begins where a multiple of its
 * bytes does: what lines of 'line' lanes, one behind the other, begin early by so that all their
 * vectors begin so.  0 where lines are no whole number of vectors.
 */
#define ZS_DEFINE_PARTS(TYPE)                                                               \
    static __attribute__((noinline, cold, unused)) zs_vec zs_load_few(                      \
        const TYPE *from, int64_t before, int64_t there)                                    \
    {                                                                                       \
        zs_vec x = {};                                                                      \
        for (int64_t i = before; i < there; i++)                                            \
            x[i] = from[i];                                                                 \
        return x;                                                                           \
    }                                                                                       \
    static __attribute__((noinline, cold, unused)) void zs_store_few(                       \
        TYPE *to, int64_t before, int64_t there, zs_vec x)                                  \
    {                                                                                       \
        for (int64_t i = before; i < there; i++)                                            \
            to[i] = x[i];                                                                   \
    }                                                                                       \
    ZS_INLINE zs_vec zs_load_within(const TYPE *from, int64_t before, int64_t there)        \
    {                                                                                       \
        there = there < (int64_t)LANES ? there : (int64_t)LANES;                            \
        if (before == 0 && there == (int64_t)LANES)                                         \
            return *(const zs_vec *)from;                                                   \
        ZS_LOAD_MASKED(TYPE, from, before, there)                                           \
        return zs_load_few(from, before, there);                                            \
    }                                                                                       \
    ZS_INLINE void zs_store_within(TYPE *to, int64_t before, int64_t there, zs_vec x)       \
    {                                                                                       \
        there = there < (int64_t)LANES ? there : (int64_t)LANES;                            \
        if (before == 0 && there == (int64_t)LANES) {                                       \
            *(zs_vec *)to = x;                                                              \
            return;                                                                         \
        }                                                                                   \
        ZS_STORE_MASKED(TYPE, to, before, there, x)                                         \
        zs_store_few(to, before, there, x);                                                 \
    }                                                                                       \
    ZS_INLINE zs_vec zs_load_part(const TYPE *from, int64_t there)                          \
    {                                                                                       \
        return zs_load_within(from, 0, there);                                              \
    }                                                                                       \
    ZS_INLINE void zs_store_part(TYPE *to, int64_t there, zs_vec x)                         \
    {                                                                                       \
        zs_store_within(to, 0, there, x);                                                   \
    }                                                                                       \
    ZS_INLINE int64_t zs_early(const TYPE *at, int64_t line)                                \
    {                                                                                       \
        const uintptr_t past = (uintptr_t)at % sizeof(zs_vec);                              \
        return line % (int64_t)LANES || past % sizeof(TYPE)                                 \
                   ? 0                                                                      \
                   : (int64_t)(past / sizeof(TYPE));                                        \
    }                                                                                       \
    ZS_INLINE zs_vec zs_relu_part(zs_vec x)                                                 \
    {                                                                                       \
        return (zs_vec)((__typeof__(x < 0))x & ~(x < 0));                                   \
    }

#ifdef __AVX512VL__
/* A bit of the mask is a lane; what it leaves out is not looked at, mapped or not. */
#define ZS_LOAD_MASKED(TYPE, from, before, there)                                           \
    if (sizeof(TYPE) == 4 || sizeof(TYPE) == 8) {                                           \
        const uint16_t mask = (uint16_t)((1u << there) - (1u << before));                   \
        zs_vec x;                                                                           \
        if (sizeof(TYPE) == 4)                                                              \
            __asm__("vmovups %1, %0%{%2%}%{z%}"                                             \
                    : "=v"(x) : "m"(*(const zs_vec *)from), "Yk"(mask));                    \
        else                                                                                \
            __asm__("vmovupd %1, %0%{%2%}%{z%}"                                             \
                    : "=v"(x) : "m"(*(const zs_vec *)from), "Yk"(mask));                    \
        return x;                                                                           \
    }
#define ZS_STORE_MASKED(TYPE, to, before, there, x)                                         \
    if (sizeof(TYPE) == 4 || sizeof(TYPE) == 8) {                                           \
        const uint16_t mask = (uint16_t)((1u << there) - (1u << before));                   \
        if (sizeof(TYPE) == 4)                                                              \
            __asm__("vmovups %1, %0%{%2%}" : "+m"(*(zs_vec *)to) : "v"(x), "Yk"(mask));     \
        else                                                                                \
            __asm__("vmovupd %1, %0%{%2%}" : "+m"(*(zs_vec *)to) : "v"(x), "Yk"(mask));     \
        return;                                                                             \
    }
#else
#define ZS_LOAD_MASKED(TYPE, from, before, there)
#define ZS_STORE_MASKED(TYPE, to, before, there, x)
#endif

#endif
