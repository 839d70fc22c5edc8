/*
 * zs_narrow.h - products of values of 8 and 16 bits under a bitmask, 64 bytes of them at once.
 *
 * Values are spread while they are narrow, two or four times as many to a vector as of their sums,
 * and widened, exactly, where they are multiplied.  Names end in the types of the values and of
 * what they are multiplied with; sums are what zs_sums.h calls zs_float32x64 and zs_int32x64.
 */
#ifndef ZS_NARROW_H
#define ZS_NARROW_H

#include "zs_dots.h"

/*
 * zs_add_narrow_STORED_OTHER() - 'sums' with a product for each bit of 'mask' that is set.
 *
 * The n-th of these bits, from 0, adds values[n] * x[bit], in a lane that is left open; what 'x'
 * holds at other bits adds nothing.  Reads 64 bytes of each, and takes as many bits as these hold
 * values.
 *
 * zs_narrow_sum_STORED_OTHER() - all that was added to the two vectors 'sums' of zero.
 */
#define ZS_DEFINE_NARROW(STORED, CSTORED, OTHER, COTHER, NAME, TYPE)                        \
    ZS_INLINE void zs_add_narrow_##STORED##_##OTHER(                                        \
        zs_##NAME##x64 *sums, const CSTORED *values, const COTHER *x, uint64_t mask)        \
    {                                                                                       \
        const int lanes = 64 / sizeof(TYPE), columns = 64 / sizeof(CSTORED);                \
        for (int at = 0; at < columns; at += lanes) {                                       \
            const unsigned part = mask >> at & ZS_LANE_BITS(lanes);                         \
            sums[0] = zs_add_spread_##NAME##_64(                                            \
                sums[0], zs_widened_##STORED##_##NAME##_64(values),                         \
                zs_widened_##OTHER##_##NAME##_64(x + at), part);                            \
            values += zs_popcount(part);                                                    \
        }                                                                                   \
    }                                                                                       \
    ZS_INLINE TYPE zs_narrow_sum_##STORED##_##OTHER(const zs_##NAME##x64 *sums)             \
    {                                                                                       \
        return zs_lane_sum_##NAME##_64(sums[0]);                                            \
    }

/*
 * zs_held - bfloat16 that many fibers are multiplied with, as float32, the even ones of 32 before
 * the odd ones.  'of' is where they come from, 0 before there are any.
 */
enum { ZS_MOST_HELD = 8192 }; /* 32 KiB, most of a first-level cache */
typedef struct {
    const zs_bfloat16 *of;
    const float *wide;
    float factors[ZS_MOST_HELD] __attribute__((aligned(64)));
} zs_held;

/* zs_hold_nothing() - as it is before the first fiber. */
ZS_INLINE void zs_hold_nothing(zs_held *held)
{
    held->of = 0;
    held->wide = 0;
}

#if defined(__AVX512VBMI2__) && defined(__AVX512BW__)
typedef ZS_VECTOR(uint32_t, 64) zs_words64;

/* The destination is zeroed first, and masks are moved by name, as in zs_dots.h. */
#define ZS_SET_NARROW(set, mask) __asm__("kmovd %1, %0" : "=Yk"(set) : "r"((uint32_t)(mask)))
#define ZS_EXPAND_NARROW(EXPAND, spread, values, mask)                                      \
    __asm__("vpxord %0, %0, %0\n\t" EXPAND " %1, %0%{%2%}%{z%}"                             \
            : "=&v"(spread) : "v"(values), "Yk"(mask))

/*
 * Two bfloat16 are the halves of a word, and each is the upper half of a float32.  What x holds
 * at other bits becomes 0, so that an infinity there adds nothing.
 */
ZS_INLINE void zs_add_narrow_bfloat16_bfloat16(zs_float32x64 *sums, const zs_bfloat16 *values,
                                               const zs_bfloat16 *x, uint64_t mask)
{
    const zs_words64 *const from = (const zs_words64 *)x;
    zs_words64 spread, there;
    uint32_t set;
    ZS_SET_NARROW(set, mask);
    ZS_EXPAND_NARROW("vpexpandw", spread, *(const zs_words64 *)values, set);
    __asm__("vmovdqu16 %1, %0%{%2%}%{z%}" : "=v"(there) : "m"(*from), "Yk"(set));
    sums[0] += (zs_float32x64)(spread << 16) * (zs_float32x64)(there << 16);
    sums[1] += (zs_float32x64)(spread & 0xffff0000u) * (zs_float32x64)(there & 0xffff0000u);
}
ZS_INLINE float zs_narrow_sum_bfloat16_bfloat16(const zs_float32x64 *sums)
{
    return zs_lane_sum_float32_64(sums[0] + sums[1]);
}

/*
 * zs_add_held_bfloat16() - zs_add_narrow_bfloat16_bfloat16() of what zs_hold() has widened: 'x' is
 * finite, so that an absent value, which is 0, adds nothing to a sum that began at 0.
 */
ZS_INLINE void zs_add_held_bfloat16(zs_float32x64 *sums, const zs_bfloat16 *values,
                                    const float *x, uint64_t mask)
{
    zs_words64 spread;
    uint32_t set;
    ZS_SET_NARROW(set, mask);
    ZS_EXPAND_NARROW("vpexpandw", spread, *(const zs_words64 *)values, set);
    sums[0] += (zs_float32x64)(spread << 16) * *(const zs_float32x64 *)x;
    sums[1] += (zs_float32x64)(spread & 0xffff0000u) * *(const zs_float32x64 *)(x + 16);
}

static __attribute__((noinline, unused)) const float *
zs_hold_anew(zs_held *held, const zs_bfloat16 *x, int64_t count)
{
    zs_float32x64 nothing = {}; /* 0 times anything finite */
    held->of = x;
    held->wide = 0;
    if (count > ZS_MOST_HELD)
        return 0;
    for (int64_t i = 0; i + 32 <= count; i += 32) {
        const zs_words64 both = *(const zs_words64 *)(x + i);
        const zs_float32x64 even = (zs_float32x64)(both << 16);
        const zs_float32x64 odd = (zs_float32x64)(both & 0xffff0000u);
        *(zs_float32x64 *)(held->factors + i) = even;
        *(zs_float32x64 *)(held->factors + i + 16) = odd;
        nothing += even * 0.0f + odd * 0.0f;
    }
    if (zs_lane_sum_float32_64(nothing) == 0.0f)
        held->wide = held->factors;
    return held->wide;
}

/* Two products of 16 bits are added in 32, where only that of -2^15 with itself, twice, wraps. */
ZS_INLINE void zs_add_narrow_int16_int16(zs_int32x64 *sums, const int16_t *values,
                                         const int16_t *x, uint64_t mask)
{
    zs_words64 spread;
    zs_int32x64 products;
    uint32_t set;
    ZS_SET_NARROW(set, mask);
    ZS_EXPAND_NARROW("vpexpandw", spread, *(const zs_words64 *)values, set);
    __asm__("vpmaddwd %2, %1, %0" : "=v"(products) : "v"(spread), "vm"(*(const zs_words64 *)x));
    sums[0] += products;
}
ZS_INLINE int32_t zs_narrow_sum_int16_int16(const zs_int32x64 *sums)
{
    return zs_lane_sum_int32_64(sums[0]);
}
#else
ZS_INLINE void zs_add_held_bfloat16(zs_float32x64 *sums, const zs_bfloat16 *values,
                                    const float *x, uint64_t mask)
{
    (void)sums, (void)values, (void)x, (void)mask; /* nothing is held */
}
ZS_INLINE const float *zs_hold_anew(zs_held *held, const zs_bfloat16 *x, int64_t count)
{
    (void)count;
    held->of = x;
    return held->wide = 0;
}
ZS_DEFINE_NARROW(bfloat16, zs_bfloat16, bfloat16, zs_bfloat16, float32, float)
ZS_DEFINE_NARROW(int16, int16_t, int16, int16_t, int32, int32_t)
#endif

/*
 * zs_hold() - 'count' values from 'x' on, as they are held, without what 32 of them leave over; 0
 * where they are too many, one of them is not finite, or the processor multiplies them as they are.
 */
ZS_INLINE const float *zs_hold(zs_held *held, const zs_bfloat16 *x, int64_t count)
{
    return held->of == x ? held->wide : zs_hold_anew(held, x, count);
}

#if defined(__AVX512VBMI2__) && defined(__AVX512BW__) && defined(__AVX512VNNI__)
/*
 * The processor multiplies unsigned bytes with signed ones and adds four products up.  A factor is
 * made what it asks for by its upper bit, which moves it by 128; sums[1] is the other factor times
 * 128, to be taken off.  Sums wrap around, as they do without it.
 */
#define ZS_DOT_BYTES(sum, WHOLE, SIGNED)                                                    \
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(WHOLE), "v"(SIGNED))
#define ZS_MOVED 0x80808080u
#define ZS_DEFINE_NARROW_BYTES(STORED, CSTORED, OTHER, COTHER, ADD)                         \
    ZS_INLINE void zs_add_narrow_##STORED##_##OTHER(                                        \
        zs_int32x64 *sums, const CSTORED *values, const COTHER *x, uint64_t mask)           \
    {                                                                                       \
        const zs_words64 there = *(const zs_words64 *)x, moved = (zs_words64){} + ZS_MOVED; \
        zs_words64 spread;                                                                  \
        ZS_EXPAND_NARROW("vpexpandb", spread, *(const zs_words64 *)values, mask);           \
        ADD                                                                                 \
        (void)moved;                                                                        \
    }                                                                                       \
    ZS_INLINE int32_t zs_narrow_sum_##STORED##_##OTHER(const zs_int32x64 *sums)             \
    {                                                                                       \
        return zs_lane_sum_int32_64(sums[0] - sums[1]);                                     \
    }
ZS_DEFINE_NARROW_BYTES(int8, int8_t, int8, int8_t,
                       ZS_DOT_BYTES(sums[0], there ^ moved, spread);
                       ZS_DOT_BYTES(sums[1], moved, spread);)
ZS_DEFINE_NARROW_BYTES(uint8, uint8_t, uint8, uint8_t,
                       ZS_DOT_BYTES(sums[0], spread, there ^ moved);
                       ZS_DOT_BYTES(sums[1], spread, moved);)
ZS_DEFINE_NARROW_BYTES(int8, int8_t, uint8, uint8_t, ZS_DOT_BYTES(sums[0], there, spread);)
ZS_DEFINE_NARROW_BYTES(uint8, uint8_t, int8, int8_t, ZS_DOT_BYTES(sums[0], spread, there);)
#else
ZS_DEFINE_NARROW(int8, int8_t, int8, int8_t, int32, int32_t)
ZS_DEFINE_NARROW(uint8, uint8_t, uint8, uint8_t, int32, int32_t)
ZS_DEFINE_NARROW(int8, int8_t, uint8, uint8_t, int32, int32_t)
ZS_DEFINE_NARROW(uint8, uint8_t, int8, int8_t, int32, int32_t)
#endif

#endif /* ZS_NARROW_H */
