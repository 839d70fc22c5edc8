/*
 * zs_half.h - float16 (IEEE 754 binary16) and bfloat16, as they are stored.
 *
 * Kernels compute in float: a stored value is widened when it is read, which is exact, and a
 * result is narrowed once, when it is stored, to the nearest value, ties to the even one.
 * Nothing here needs a processor or a compiler that knows the two types, nor float32
 * subnormals, which a process may have switched off.  Every path is computed and one chosen,
 * so that loops become vectors.  The types are structs: arithmetic on the bits does not compile.
 */
#ifndef ZS_HALF_H
#define ZS_HALF_H

#include "zs_kernel.h"

typedef struct { uint16_t bits; } zs_float16;  /* 1 sign, 5 exponent, 10 fraction */
typedef struct { uint16_t bits; } zs_bfloat16; /* 1 sign, 8 exponent, 7 fraction */

ZS_INLINE uint32_t zs_bits_of_float(float x)
{
    uint32_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits;
}

ZS_INLINE float zs_float_of_bits(uint32_t bits)
{
    float x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
}

#define ZS_SUBNORMAL 0x38800000u /* bits of 2^-14, the least normal float16, as a float */
#define ZS_INFINITY 0x7f800000u  /* bits of an infinite float; NaNs lie above */

/*
 * zs_wide_float16() - the float of the same value; exact, and a NaN keeps its payload.
 *
 * The exponent's bias grows by 127 - 15 = 112, for infinities and NaN by twice that.  A
 * subnormal, fraction * 2^-24, becomes the fraction of 2^-14 * (1 + fraction / 2^10), less 2^-14.
 */
ZS_INLINE float zs_wide_float16(zs_float16 x)
{
    const uint32_t shifted = (uint32_t)(x.bits & 0x7fff) << 13;
    const uint32_t bias = shifted >= 31u << 23 ? 224u << 23 : 112u << 23;
    const uint32_t normal = shifted + bias;
    const float beside = zs_float_of_bits(shifted + ZS_SUBNORMAL);
    const uint32_t subnormal = zs_bits_of_float(beside - zs_float_of_bits(ZS_SUBNORMAL));
    const uint32_t magnitude = shifted < 1u << 23 ? subnormal : normal;
    return zs_float_of_bits(magnitude | (uint32_t)(x.bits & 0x8000) << 16);
}

/*
 * zs_narrow_float16() - the nearest float16, ties to even; a NaN stays one, and becomes quiet.
 *
 * Adding half a unit less one, and one more where the last bit kept is odd, rounds; a carry
 * into the exponent is right, up to infinity.  Below 2^-14 the unit is 2^-24, which is also that
 * of floats in [1/2, 1): adding 1/2 has the processor round there.
 */
ZS_INLINE zs_float16 zs_narrow_float16(float x)
{
    const uint32_t bits = zs_bits_of_float(x), magnitude = bits & 0x7fffffffu;
    const uint32_t rounded = magnitude - (112u << 23) + 0xfffu + (magnitude >> 13 & 1);
    const float beside = zs_float_of_bits(magnitude < ZS_SUBNORMAL ? magnitude : 0) + 0.5f;
    const uint32_t subnormal = zs_bits_of_float(beside) - zs_bits_of_float(0.5f);
    const uint32_t nan = 0x7e00u | (magnitude >> 13 & 0x3ff);
    uint32_t made = magnitude < ZS_SUBNORMAL ? subnormal : rounded >> 13;
    made = magnitude >= 143u << 23 ? 0x7c00u : made; /* 2^16 and more */
    made = magnitude > ZS_INFINITY ? nan : made;
    return (zs_float16){ (uint16_t)(made | (bits >> 16 & 0x8000u)) };
}

/* zs_wide_bfloat16() - the float whose upper half it is. */
ZS_INLINE float zs_wide_bfloat16(zs_bfloat16 x)
{
    return zs_float_of_bits((uint32_t)x.bits << 16);
}

/* zs_narrow_bfloat16() - the nearest bfloat16, ties to even; a NaN stays one, and becomes quiet. */
ZS_INLINE zs_bfloat16 zs_narrow_bfloat16(float x)
{
    const uint32_t bits = zs_bits_of_float(x);
    const uint32_t rounded = bits + 0x7fffu + (bits >> 16 & 1);
    const uint32_t nan = bits | 0x400000u;
    return (zs_bfloat16){ (uint16_t)(((bits & 0x7fffffffu) > ZS_INFINITY ? nan : rounded) >> 16) };
}

#endif /* ZS_HALF_H */
