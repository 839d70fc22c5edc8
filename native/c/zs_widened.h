/*
 * zs_widened.h - vectors of values that are stored in another type than they are computed in.
 *
 * Names end in the types of what is stored and of the arithmetic, and in the bytes of a vector: the
 * kernel's zs_vec of that type and width is what they give.
 */
#ifndef ZS_WIDENED_H
#define ZS_WIDENED_H

#include "zs_half.h"
#include "zs_sums.h"

/*
 * zs_widened_STORED_TYPE_BYTES() - a vector of the next values from 'from' on, each as C converts it.
 *
 * Reads as many of them as the vector has lanes.  All are exact but 64 bits as float64.
 */
#define ZS_DEFINE_WIDENED(STORED, CSTORED, WIDEN, NAME, TYPE, BYTES)                        \
    ZS_INLINE zs_##NAME##x##BYTES zs_widened_##STORED##_##NAME##_##BYTES(const CSTORED *from) \
    {                                                                                       \
        zs_##NAME##x##BYTES x = {0};                                                        \
        for (size_t i = 0; i < BYTES / sizeof(TYPE); i++)                                   \
            x[i] = WIDEN(from[i]);                                                          \
        return x;                                                                           \
    }

/* The same by a conversion of vectors, where what is read is at least 16 bytes. */
#define ZS_DEFINE_CONVERTED(STORED, CSTORED, NAME, TYPE, BYTES)                             \
    ZS_INLINE zs_##NAME##x##BYTES zs_widened_##STORED##_##NAME##_##BYTES(const CSTORED *from) \
    {                                                                                       \
        typedef ZS_VECTOR(CSTORED, BYTES / sizeof(TYPE) * sizeof(CSTORED)) stored;          \
        typedef TYPE wide __attribute__((vector_size(BYTES)));                              \
        return (zs_##NAME##x##BYTES)__builtin_convertvector(*(const stored *)from, wide);   \
    }

/* A bfloat16 is the upper half of a float32. */
#define ZS_DEFINE_WIDENED_BFLOAT16(BYTES)                                                   \
    ZS_INLINE zs_float32x##BYTES zs_widened_bfloat16_float32_##BYTES(const zs_bfloat16 *from) \
    {                                                                                       \
        typedef ZS_VECTOR(uint16_t, BYTES / 2) stored;                                      \
        typedef uint32_t wide __attribute__((vector_size(BYTES)));                          \
        return (zs_float32x##BYTES)(__builtin_convertvector(*(const stored *)from, wide) << 16); \
    }

ZS_DEFINE_WIDENED(bfloat16, zs_bfloat16, zs_wide_bfloat16, float32, float, 16)
ZS_DEFINE_WIDENED_BFLOAT16(32)
ZS_DEFINE_WIDENED_BFLOAT16(64)
ZS_DEFINE_WIDENED(float16, zs_float16, zs_wide_float16, float32, float, 16)
ZS_DEFINE_WIDENED(int8, int8_t, (int32_t), int32, int32_t, 16)
ZS_DEFINE_WIDENED(uint8, uint8_t, (int32_t), int32, int32_t, 16)
ZS_DEFINE_WIDENED(int16, int16_t, (int32_t), int32, int32_t, 16)
ZS_DEFINE_WIDENED(uint16, uint16_t, (int32_t), int32, int32_t, 16)
ZS_DEFINE_CONVERTED(int16, int16_t, int32, int32_t, 32)
ZS_DEFINE_CONVERTED(int16, int16_t, int32, int32_t, 64)
ZS_DEFINE_CONVERTED(uint16, uint16_t, int32, int32_t, 32)
ZS_DEFINE_CONVERTED(uint16, uint16_t, int32, int32_t, 64)

#ifdef __AVX512F__
/* By one instruction: compilers take the elements of such conversions apart. */
#define ZS_DEFINE_WIDENED_AVX512(STORED, CSTORED, WIDEN, NAME, LANES)                       \
    ZS_INLINE zs_##NAME##x64 zs_widened_##STORED##_##NAME##_64(const CSTORED *from)         \
    {                                                                                       \
        zs_##NAME##x64 x;                                                                   \
        __asm__(WIDEN " %1, %0" : "=v"(x) : "m"(*(const CSTORED(*)[LANES])from));           \
        return x;                                                                           \
    }
ZS_DEFINE_WIDENED_AVX512(float16, zs_float16, "vcvtph2ps", float32, 16)
ZS_DEFINE_WIDENED_AVX512(int8, int8_t, "vpmovsxbd", int32, 16)
ZS_DEFINE_WIDENED_AVX512(uint8, uint8_t, "vpmovzxbd", int32, 16)
ZS_DEFINE_WIDENED_AVX512(float32, float, "vcvtps2pd", float64, 8)
ZS_DEFINE_WIDENED_AVX512(int32, int32_t, "vcvtdq2pd", float64, 8)
ZS_DEFINE_WIDENED_AVX512(int32, int32_t, "vpmovsxdq", int64, 8)
ZS_DEFINE_WIDENED_AVX512(uint32, uint32_t, "vpmovzxdq", int64, 8)
ZS_DEFINE_WIDENED_AVX512(uint32, uint32_t, "vpmovzxdq", uint64, 8)
#else
ZS_DEFINE_WIDENED(float16, zs_float16, zs_wide_float16, float32, float, 64)
ZS_DEFINE_WIDENED(int8, int8_t, (int32_t), int32, int32_t, 64)
ZS_DEFINE_WIDENED(uint8, uint8_t, (int32_t), int32, int32_t, 64)
ZS_DEFINE_CONVERTED(float32, float, float64, double, 64)
ZS_DEFINE_CONVERTED(int32, int32_t, float64, double, 64)
ZS_DEFINE_CONVERTED(int32, int32_t, int64, int64_t, 64)
ZS_DEFINE_CONVERTED(uint32, uint32_t, int64, int64_t, 64)
ZS_DEFINE_CONVERTED(uint32, uint32_t, uint64, uint64_t, 64)
#endif

#ifdef __AVX2__
typedef char zs_epi8 __attribute__((vector_size(16)));
#define ZS_DEFINE_WIDENED_BYTES(STORED, CSTORED, WIDEN)                                     \
    ZS_INLINE zs_int32x32 zs_widened_##STORED##_int32_32(const CSTORED *from)               \
    {                                                                                       \
        typedef long long two __attribute__((vector_size(16)));                             \
        long long bytes;                                                                    \
        __builtin_memcpy(&bytes, from, sizeof bytes);                                       \
        return (zs_int32x32)WIDEN((zs_epi8)(two){bytes, 0});                                \
    }
ZS_DEFINE_WIDENED_BYTES(int8, int8_t, __builtin_ia32_pmovsxbd256)
ZS_DEFINE_WIDENED_BYTES(uint8, uint8_t, __builtin_ia32_pmovzxbd256)
#else
ZS_DEFINE_WIDENED(int8, int8_t, (int32_t), int32, int32_t, 32)
ZS_DEFINE_WIDENED(uint8, uint8_t, (int32_t), int32, int32_t, 32)
#endif

#ifdef __F16C__
ZS_INLINE zs_float32x32 zs_widened_float16_float32_32(const zs_float16 *from)
{
    typedef ZS_VECTOR(int16_t, 16) eight;
    typedef int16_t halves __attribute__((vector_size(16)));
    return (zs_float32x32)__builtin_ia32_vcvtph2ps256((halves)*(const eight *)from);
}
#else
ZS_DEFINE_WIDENED(float16, zs_float16, zs_wide_float16, float32, float, 32)
#endif

/* ---- by way of 32 bits, and to 64 ---------------------------------------------------- */

/* zs_of_int32_TYPE_BYTES() - the floats that a vector of as many whole numbers holds. */
#define ZS_DEFINE_OF_INT32(NAME, TYPE, BYTES, WHOLE_BYTES)                                  \
    ZS_INLINE zs_##NAME##x##BYTES zs_of_int32_##NAME##_##BYTES(zs_int32x##WHOLE_BYTES x)    \
    {                                                                                       \
        typedef TYPE wide __attribute__((vector_size(BYTES)));                              \
        return (zs_##NAME##x##BYTES)__builtin_convertvector(x, wide);                       \
    }
ZS_DEFINE_OF_INT32(float32, float, 16, 16)
ZS_DEFINE_OF_INT32(float32, float, 32, 32)
ZS_DEFINE_OF_INT32(float32, float, 64, 64)
ZS_DEFINE_OF_INT32(float64, double, 32, 16)
ZS_DEFINE_OF_INT32(float64, double, 64, 32)

/* Those of another type, with as many lanes, converted by one instruction more. */
#define ZS_DEFINE_WIDENED_BY(STORED, CSTORED, MIDDLE, LANES_BYTES, NAME, TYPE, BYTES)       \
    ZS_INLINE zs_##NAME##x##BYTES zs_widened_##STORED##_##NAME##_##BYTES(const CSTORED *from) \
    {                                                                                       \
        typedef TYPE wide __attribute__((vector_size(BYTES)));                              \
        return (zs_##NAME##x##BYTES)__builtin_convertvector(                                \
            zs_widened_##STORED##_##MIDDLE##_##LANES_BYTES(from), wide);                    \
    }

/* A bool is a byte, 0 or 1. */
#define ZS_DEFINE_WIDENED_BOOL(BYTES)                                                       \
    ZS_INLINE zs_int32x##BYTES zs_widened_bool_int32_##BYTES(const uint8_t *from)           \
    {                                                                                       \
        return zs_widened_uint8_int32_##BYTES(from);                                        \
    }
ZS_DEFINE_WIDENED_BOOL(16)
ZS_DEFINE_WIDENED_BOOL(32)
ZS_DEFINE_WIDENED_BOOL(64)

#define ZS_DEFINE_WIDENED_SHORT(STORED, CSTORED)                                            \
    ZS_DEFINE_WIDENED_BY(STORED, CSTORED, int32, 16, float32, float, 16)                    \
    ZS_DEFINE_WIDENED_BY(STORED, CSTORED, int32, 32, float32, float, 32)                    \
    ZS_DEFINE_WIDENED_BY(STORED, CSTORED, int32, 64, float32, float, 64)                    \
    ZS_DEFINE_WIDENED_LONG(STORED, CSTORED, int32, float64, double)                         \
    ZS_DEFINE_WIDENED_LONG(STORED, CSTORED, int32, int64, int64_t)
#define ZS_DEFINE_WIDENED_LONG(STORED, CSTORED, MIDDLE, NAME, TYPE)                         \
    ZS_DEFINE_WIDENED(STORED, CSTORED, ZS_WIDEN_##STORED, NAME, TYPE, 16)                   \
    ZS_DEFINE_WIDENED_BY(STORED, CSTORED, MIDDLE, 16, NAME, TYPE, 32)                       \
    ZS_DEFINE_WIDENED_BY(STORED, CSTORED, MIDDLE, 32, NAME, TYPE, 64)
#define ZS_WIDEN_int8
#define ZS_WIDEN_uint8
#define ZS_WIDEN_int16
#define ZS_WIDEN_uint16
#define ZS_WIDEN_bool
#define ZS_WIDEN_float16 zs_wide_float16
#define ZS_WIDEN_bfloat16 zs_wide_bfloat16
ZS_DEFINE_WIDENED_SHORT(int8, int8_t)
ZS_DEFINE_WIDENED_SHORT(uint8, uint8_t)
ZS_DEFINE_WIDENED_SHORT(int16, int16_t)
ZS_DEFINE_WIDENED_SHORT(uint16, uint16_t)
ZS_DEFINE_WIDENED_SHORT(bool, uint8_t)
ZS_DEFINE_WIDENED_LONG(uint8, uint8_t, int32, uint64, uint64_t)
ZS_DEFINE_WIDENED_LONG(uint16, uint16_t, int32, uint64, uint64_t)
ZS_DEFINE_WIDENED_LONG(bool, uint8_t, int32, uint64, uint64_t)
ZS_DEFINE_WIDENED_LONG(float16, zs_float16, float32, float64, double)
ZS_DEFINE_WIDENED_LONG(bfloat16, zs_bfloat16, float32, float64, double)

#define ZS_DEFINE_CONVERTED_LONG(STORED, CSTORED, NAME, TYPE)                               \
    ZS_DEFINE_WIDENED(STORED, CSTORED, , NAME, TYPE, 16)                                    \
    ZS_DEFINE_CONVERTED(STORED, CSTORED, NAME, TYPE, 32)
ZS_DEFINE_CONVERTED_LONG(float32, float, float64, double)
ZS_DEFINE_CONVERTED_LONG(int32, int32_t, float64, double)
ZS_DEFINE_CONVERTED_LONG(int32, int32_t, int64, int64_t)
ZS_DEFINE_CONVERTED_LONG(uint32, uint32_t, int64, int64_t)
ZS_DEFINE_CONVERTED_LONG(uint32, uint32_t, uint64, uint64_t)
ZS_DEFINE_CONVERTED_LONG(uint32, uint32_t, float64, double)
ZS_DEFINE_CONVERTED_LONG(int64, int64_t, float64, double)
ZS_DEFINE_CONVERTED_LONG(uint64, uint64_t, float64, double)
ZS_DEFINE_CONVERTED(uint32, uint32_t, float64, double, 64)
ZS_DEFINE_CONVERTED(int64, int64_t, float64, double, 64)
ZS_DEFINE_CONVERTED(uint64, uint64_t, float64, double, 64)

#endif /* ZS_WIDENED_H */
