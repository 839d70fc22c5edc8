/*
 * zs_parts.h - vectors of which the memory holds a part: the last ones of a line.
 */
#ifndef ZS_PARTS_H
#define ZS_PARTS_H

/*
 * ZS_DEFINE_PARTS() - zs_load_part() and zs_store_part() for the kernel's zs_vec of TYPE, and
 * zs_relu_part(), zs_relu_TYPE() of each lane.
 *
 * The first 'there' lanes, 1 or more, are in memory from an element's address on; where 'there' is
 * LANES or more, all.  Other lanes are not touched: not written, and read as 0.  Processors without
 * masks take a part an element at a time, out of line, so that whole vectors stay in registers.
 */
#define ZS_DEFINE_PARTS(TYPE)                                                               \
    static __attribute__((noinline, cold, unused)) zs_vec zs_load_few(const TYPE *from,     \
                                                                      int64_t there)        \
    {                                                                                       \
        zs_vec x = {};                                                                      \
        for (int64_t i = 0; i < there; i++)                                                 \
            x[i] = from[i];                                                                 \
        return x;                                                                           \
    }                                                                                       \
    static __attribute__((noinline, cold, unused)) void zs_store_few(TYPE *to,              \
                                                                     int64_t there,         \
                                                                     zs_vec x)              \
    {                                                                                       \
        for (int64_t i = 0; i < there; i++)                                                 \
            to[i] = x[i];                                                                   \
    }                                                                                       \
    ZS_INLINE zs_vec zs_load_part(const TYPE *from, int64_t there)                          \
    {                                                                                       \
        if (there >= (int64_t)LANES)                                                        \
            return *(const zs_vec *)from;                                                   \
        ZS_LOAD_MASKED(TYPE, from, there)                                                   \
        return zs_load_few(from, there);                                                    \
    }                                                                                       \
    ZS_INLINE void zs_store_part(TYPE *to, int64_t there, zs_vec x)                         \
    {                                                                                       \
        if (there >= (int64_t)LANES) {                                                      \
            *(zs_vec *)to = x;                                                              \
            return;                                                                         \
        }                                                                                   \
        ZS_STORE_MASKED(TYPE, to, there, x)                                                 \
        zs_store_few(to, there, x);                                                         \
    }                                                                                       \
    ZS_INLINE zs_vec zs_relu_part(zs_vec x)                                                 \
    {                                                                                       \
        return (zs_vec)((__typeof__(x < 0))x & ~(x < 0));                                   \
    }

#ifdef __AVX512VL__
/* A bit of the mask is a lane; what it leaves out is not looked at, mapped or not. */
#define ZS_LOAD_MASKED(TYPE, from, there)                                                   \
    if (sizeof(TYPE) == 4 || sizeof(TYPE) == 8) {                                           \
        const uint16_t mask = (uint16_t)((1u << there) - 1);                                \
        zs_vec x;                                                                           \
        if (sizeof(TYPE) == 4)                                                              \
            __asm__("vmovups %1, %0%{%2%}%{z%}"                                             \
                    : "=v"(x) : "m"(*(const zs_vec *)from), "Yk"(mask));                    \
        else                                                                                \
            __asm__("vmovupd %1, %0%{%2%}%{z%}"                                             \
                    : "=v"(x) : "m"(*(const zs_vec *)from), "Yk"(mask));                    \
        return x;                                                                           \
    }
#define ZS_STORE_MASKED(TYPE, to, there, x)                                                 \
    if (sizeof(TYPE) == 4 || sizeof(TYPE) == 8) {                                           \
        const uint16_t mask = (uint16_t)((1u << there) - 1);                                \
        if (sizeof(TYPE) == 4)                                                              \
            __asm__("vmovups %1, %0%{%2%}" : "+m"(*(zs_vec *)to) : "v"(x), "Yk"(mask));     \
        else                                                                                \
            __asm__("vmovupd %1, %0%{%2%}" : "+m"(*(zs_vec *)to) : "v"(x), "Yk"(mask));     \
        return;                                                                             \
    }
#else
#define ZS_LOAD_MASKED(TYPE, from, there)
#define ZS_STORE_MASKED(TYPE, to, there, x)
#endif

#endif
