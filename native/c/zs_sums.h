/*
 * zs_sums.h - vectors of each type of arithmetic, and the sums of their lanes.
 *
 * Names end in the arithmetic's type and the bytes of a vector, as in zs_dots.h.
 */
#ifndef ZS_SUMS_H
#define ZS_SUMS_H

#include "zs_kernel.h"

#define ZS_VECTOR(TYPE, BYTES) TYPE __attribute__((vector_size(BYTES), aligned(sizeof(TYPE)), may_alias))
typedef ZS_VECTOR(float, 16) zs_float32x16;
typedef ZS_VECTOR(float, 32) zs_float32x32;
typedef ZS_VECTOR(float, 64) zs_float32x64;
typedef ZS_VECTOR(double, 16) zs_float64x16;
typedef ZS_VECTOR(double, 32) zs_float64x32;
typedef ZS_VECTOR(double, 64) zs_float64x64;
typedef ZS_VECTOR(int32_t, 16) zs_int32x16;
typedef ZS_VECTOR(int32_t, 32) zs_int32x32;
typedef ZS_VECTOR(int32_t, 64) zs_int32x64;
typedef ZS_VECTOR(int64_t, 16) zs_int64x16;
typedef ZS_VECTOR(int64_t, 32) zs_int64x32;
typedef ZS_VECTOR(int64_t, 64) zs_int64x64;
typedef ZS_VECTOR(uint64_t, 16) zs_uint64x16;
typedef ZS_VECTOR(uint64_t, 32) zs_uint64x32;
typedef ZS_VECTOR(uint64_t, 64) zs_uint64x64;

/* zs_lane_sum_TYPE_BYTES() - all lanes of 'x': halves on each other, until one is left. */
#define ZS_DEFINE_LAST_SUM(NAME, TYPE, BYTES)                                               \
    ZS_INLINE TYPE zs_lane_sum_##NAME##_##BYTES(zs_##NAME##x##BYTES x)                      \
    {                                                                                       \
        const size_t half = BYTES / sizeof(TYPE) / 2;                                       \
        return half == 1 ? x[0] + x[1] : (x[0] + x[half]) + (x[1] + x[half + 1]);           \
    }
#define ZS_DEFINE_LANE_SUM(NAME, TYPE, BYTES, HALF)                                         \
    ZS_INLINE TYPE zs_lane_sum_##NAME##_##BYTES(zs_##NAME##x##BYTES x)                      \
    {                                                                                       \
        zs_##NAME##x##HALF halves[2];                                                       \
        __builtin_memcpy(halves, &x, sizeof halves);                                        \
        return zs_lane_sum_##NAME##_##HALF(halves[0] + halves[1]);                          \
    }
#define ZS_DEFINE_LANE_SUM32(NAME, TYPE, BYTES) ZS_DEFINE_LANE_SUM(NAME, TYPE, BYTES, 16)
#define ZS_DEFINE_LANE_SUM64(NAME, TYPE, BYTES) ZS_DEFINE_LANE_SUM(NAME, TYPE, BYTES, 32)

#define ZS_DEFINE_TYPES(DEFINE, BYTES)                                                      \
    DEFINE(float32, float, BYTES)                                                           \
    DEFINE(float64, double, BYTES)                                                          \
    DEFINE(int32, int32_t, BYTES)                                                           \
    DEFINE(int64, int64_t, BYTES)                                                           \
    DEFINE(uint64, uint64_t, BYTES)

ZS_DEFINE_TYPES(ZS_DEFINE_LAST_SUM, 16)
ZS_DEFINE_TYPES(ZS_DEFINE_LANE_SUM32, 32)
ZS_DEFINE_TYPES(ZS_DEFINE_LANE_SUM64, 64)
/*
 * zs_lane_sums4_TYPE_BYTES() - to[e] = zs_lane_sum_TYPE_BYTES(x[e]) for four vectors, to the bit.
 *
 * Halves of vectors lie side by side, so that four sums take little more than one.
 */
#define ZS_DEFINE_LANE_SUMS4(NAME, TYPE, BYTES)                                             \
    ZS_INLINE void zs_lane_sums4_##NAME##_##BYTES(TYPE *to, const zs_##NAME##x##BYTES *x)   \
    {                                                                                       \
        for (int e = 0; e < 4; e++)                                                         \
            to[e] = zs_lane_sum_##NAME##_##BYTES(x[e]);                                     \
    }
ZS_DEFINE_TYPES(ZS_DEFINE_LANE_SUMS4, 16)
ZS_DEFINE_TYPES(ZS_DEFINE_LANE_SUMS4, 32)
ZS_DEFINE_LANE_SUMS4(float64, double, 64)
ZS_DEFINE_LANE_SUMS4(int32, int32_t, 64)
ZS_DEFINE_LANE_SUMS4(int64, int64_t, 64)
ZS_DEFINE_LANE_SUMS4(uint64, uint64_t, 64)
#if defined(__clang__) || __GNUC__ >= 12
#define ZS_BOTH(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
/*
 * zs_halves_…() - halves of what two vectors have left of each of their sums, added on each other:
 * of both, first the 8 lanes of one sum; then the 4 of two, the 2 of four, the 1 of eight.
 */
ZS_INLINE zs_float32x64 zs_halves_8(zs_float32x64 a, zs_float32x64 b)
{
    return ZS_BOTH(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
           ZS_BOTH(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
}
ZS_INLINE zs_float32x64 zs_halves_4(zs_float32x64 a, zs_float32x64 b)
{
    return ZS_BOTH(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
           ZS_BOTH(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
}
ZS_INLINE zs_float32x64 zs_halves_2(zs_float32x64 a, zs_float32x64 b)
{
    return ZS_BOTH(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +
           ZS_BOTH(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
}
ZS_INLINE zs_float32x64 zs_halves_1(zs_float32x64 a, zs_float32x64 b)
{
    return ZS_BOTH(a, b, 0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30) +
           ZS_BOTH(a, b, 1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31);
}
ZS_INLINE void zs_lane_sums4_float32_64(float *to, const zs_float32x64 *x)
{
    zs_float32x64 sums = zs_halves_4(zs_halves_8(x[0], x[1]), zs_halves_8(x[2], x[3]));
    sums += ZS_BOTH(sums, sums, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    sums += ZS_BOTH(sums, sums, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
    const float each[4] = {sums[0], sums[4], sums[8], sums[12]};
    __builtin_memcpy(to, each, sizeof each);
}
/* zs_lane_sums_float32_64() - lane e is zs_lane_sum_float32_64(x[e]), to the bit, of sixteen. */
ZS_INLINE zs_float32x64 zs_lane_sums_float32_64(const zs_float32x64 *x)
{
    zs_float32x64 four[4];
    for (int m = 0; m < 4; m++)
        four[m] = zs_halves_4(zs_halves_8(x[m], x[4 + m]), zs_halves_8(x[8 + m], x[12 + m]));
    return zs_halves_1(zs_halves_2(four[0], four[1]), zs_halves_2(four[2], four[3]));
}
#undef ZS_BOTH
#else
ZS_DEFINE_LANE_SUMS4(float32, float, 64)
ZS_INLINE zs_float32x64 zs_lane_sums_float32_64(const zs_float32x64 *x)
{
    zs_float32x64 sums;
    for (int e = 0; e < 16; e++)
        sums[e] = zs_lane_sum_float32_64(x[e]);
    return sums;
}
#endif

#endif
