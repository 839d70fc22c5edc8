/*
 * zs_dots.h - vectors of entries: spread to their coordinates, picked.
 *
 * What GNU vectors lack, one wrapper each, with a portable twin beside the processor's own
 * instruction.  Names end in the arithmetic's type and the bytes of a vector: the kernel's zs_vec
 * of that type and width is what they take and give.
 */
#ifndef ZS_DOTS_H
#define ZS_DOTS_H

#include "zs_sums.h"
#include "zs_widened.h"

/* ZS_LANE_BITS() - as many set bits as a vector has lanes, 1 to 16. */
#define ZS_LANE_BITS(lanes) ((1u << (lanes)) - 1)

/*
 * ZS_AHEAD() - have the memory fetch what a walk of about a byte or more a column comes to soon.
 *
 * 64 lines ahead, about what the memory takes to answer while a processor goes through them at
 * the memory's own pace; found on matrices of 4096 x 4096, of which 16 lines were too few.
 */
#define ZS_AHEAD(from) (ZS_FETCH(from, 4096), ZS_FETCH(from, 4096 + 64))

/* ---- spreading ----------------------------------------------------------------------- */

/*
 * zs_add_spread_TYPE_BYTES() - 'sum' with a product added in each lane whose bit of 'mask' is set.
 *
 * The n-th of these lanes, from 0, adds values[n] * x[lane].  Other lanes stay as they are, whatever
 * 'x' and the rest of 'values' hold.  No bit of 'mask' is set past the lanes.
 */
#define ZS_DEFINE_ADD_SPREAD(NAME, TYPE, BYTES)                                             \
    ZS_INLINE zs_##NAME##x##BYTES zs_add_spread_##NAME##_##BYTES(                           \
        zs_##NAME##x##BYTES sum, zs_##NAME##x##BYTES values, zs_##NAME##x##BYTES x,         \
        unsigned mask)                                                                      \
    {                                                                                       \
        int n = 0;                                                                          \
        for (unsigned i = 0; i < BYTES / sizeof(TYPE); i++)                                 \
            if (mask >> i & 1)                                                              \
                sum[i] += values[n++] * x[i];                                               \
        return sum;                                                                         \
    }
ZS_DEFINE_TYPES(ZS_DEFINE_ADD_SPREAD, 16)

#ifdef __AVX2__
/*
 * zs_spread8, zs_spread4 - for each mask, which of the values every lane of 32 bits takes; negative
 * in lanes that take none.  Lanes of 64 bits are two of 32 each, four of them to a vector.
 */
#define ZS_TAKEN(mask, lane)                                                                \
    ((mask) >> (lane) & 1 ? __builtin_popcount((mask) & ((1 << (lane)) - 1)) : INT32_MIN)
#define ZS_TAKEN8(mask)                                                                     \
    {ZS_TAKEN(mask, 0), ZS_TAKEN(mask, 1), ZS_TAKEN(mask, 2), ZS_TAKEN(mask, 3),            \
     ZS_TAKEN(mask, 4), ZS_TAKEN(mask, 5), ZS_TAKEN(mask, 6), ZS_TAKEN(mask, 7)}
#define ZS_HALF(mask, lane, half)                                                           \
    ((mask) >> (lane) & 1 ? 2 * __builtin_popcount((mask) & ((1 << (lane)) - 1)) + (half)   \
                          : INT32_MIN)
#define ZS_TAKEN4(mask)                                                                     \
    {ZS_HALF(mask, 0, 0), ZS_HALF(mask, 0, 1), ZS_HALF(mask, 1, 0), ZS_HALF(mask, 1, 1),    \
     ZS_HALF(mask, 2, 0), ZS_HALF(mask, 2, 1), ZS_HALF(mask, 3, 0), ZS_HALF(mask, 3, 1)}
#define ZS_EACH16(ROW, m)                                                                   \
    ROW(m), ROW(m + 1), ROW(m + 2), ROW(m + 3), ROW(m + 4), ROW(m + 5), ROW(m + 6),         \
    ROW(m + 7), ROW(m + 8), ROW(m + 9), ROW(m + 10), ROW(m + 11), ROW(m + 12), ROW(m + 13), \
    ROW(m + 14), ROW(m + 15)
static const int32_t zs_spread4[16][8] __attribute__((aligned(32), unused)) = {
    ZS_EACH16(ZS_TAKEN4, 0)};
static const int32_t zs_spread8[256][8] __attribute__((aligned(32), unused)) = {
    ZS_EACH16(ZS_TAKEN8, 0),   ZS_EACH16(ZS_TAKEN8, 16),  ZS_EACH16(ZS_TAKEN8, 32),
    ZS_EACH16(ZS_TAKEN8, 48),  ZS_EACH16(ZS_TAKEN8, 64),  ZS_EACH16(ZS_TAKEN8, 80),
    ZS_EACH16(ZS_TAKEN8, 96),  ZS_EACH16(ZS_TAKEN8, 112), ZS_EACH16(ZS_TAKEN8, 128),
    ZS_EACH16(ZS_TAKEN8, 144), ZS_EACH16(ZS_TAKEN8, 160), ZS_EACH16(ZS_TAKEN8, 176),
    ZS_EACH16(ZS_TAKEN8, 192), ZS_EACH16(ZS_TAKEN8, 208), ZS_EACH16(ZS_TAKEN8, 224),
    ZS_EACH16(ZS_TAKEN8, 240)};

typedef float zs_ps __attribute__((vector_size(32)));
typedef int32_t zs_epi32 __attribute__((vector_size(32)));
#define ZS_DEFINE_ADD_SPREAD_AVX2(NAME, TYPE, BYTES)                                        \
    ZS_INLINE zs_##NAME##x##BYTES zs_add_spread_##NAME##_##BYTES(                           \
        zs_##NAME##x##BYTES sum, zs_##NAME##x##BYTES values, zs_##NAME##x##BYTES x,         \
        unsigned mask)                                                                      \
    {                                                                                       \
        const zs_epi32 take =                                                               \
            *(const zs_epi32 *)(sizeof(TYPE) == 4 ? zs_spread8[mask] : zs_spread4[mask & 15]); \
        const zs_##NAME##x##BYTES spread =                                                  \
            (zs_##NAME##x##BYTES)__builtin_ia32_permvarsi256((zs_epi32)values, take);       \
        const zs_ps product = (zs_ps)(spread * x);                                          \
        return sum + (zs_##NAME##x##BYTES)__builtin_ia32_blendvps256(product, (zs_ps){},    \
                                                                     (zs_ps)take);          \
    }
ZS_DEFINE_TYPES(ZS_DEFINE_ADD_SPREAD_AVX2, 32)
#else
ZS_DEFINE_TYPES(ZS_DEFINE_ADD_SPREAD, 32)
#endif

#ifdef __AVX512F__
/* The destination is zeroed first: Zen 4 waits for its old value although none of it is kept. */
#define ZS_EXPAND_AVX512(EXPAND, spread, values, mask)                                      \
    __asm__("vpxord %0, %0, %0\n\t" EXPAND " %1, %0%{%2%}%{z%}"                             \
            : "=&v"(spread) : "v"(values), "Yk"(mask))
/* A mask is moved by name: gcc would shift it among mask registers, and bring it back to count it. */
#define ZS_SET_AVX512(set, mask) __asm__("kmovw %1, %0" : "=Yk"(set) : "r"(mask))
/* Floats are multiplied and added under the mask itself, in one instruction. */
#define ZS_DEFINE_ADD_SPREAD_FLOAT_AVX512(NAME, EXPAND, ADD)                          \
    ZS_INLINE zs_##NAME##x64 zs_add_spread_##NAME##_64(                                     \
        zs_##NAME##x64 sum, zs_##NAME##x64 values, zs_##NAME##x64 x, unsigned mask)         \
    {                                                                                       \
        zs_##NAME##x64 spread;                                                              \
        uint16_t set;                                                                       \
        ZS_SET_AVX512(set, mask);                                                           \
        ZS_EXPAND_AVX512(EXPAND, spread, values, set);                                      \
        __asm__(ADD " %2, %1, %0%{%3%}" : "+v"(sum) : "v"(spread), "vm"(x), "Yk"(set));     \
        return sum;                                                                         \
    }
#define ZS_DEFINE_ADD_SPREAD_AVX512(NAME, EXPAND, MOVE)                               \
    ZS_INLINE zs_##NAME##x64 zs_add_spread_##NAME##_64(                                     \
        zs_##NAME##x64 sum, zs_##NAME##x64 values, zs_##NAME##x64 x, unsigned mask)         \
    {                                                                                       \
        zs_##NAME##x64 spread, held;                                                        \
        uint16_t set;                                                                       \
        ZS_SET_AVX512(set, mask);                                                           \
        ZS_EXPAND_AVX512(EXPAND, spread, values, set);                                      \
        __asm__(MOVE " %1, %0%{%2%}%{z%}" : "=v"(held) : "v"(x), "Yk"(set));                \
        return sum + spread * held;                                                         \
    }
ZS_DEFINE_ADD_SPREAD_FLOAT_AVX512(float32, "vexpandps", "vfmadd231ps")
ZS_DEFINE_ADD_SPREAD_FLOAT_AVX512(float64, "vexpandpd", "vfmadd231pd")
ZS_DEFINE_ADD_SPREAD_AVX512(int32, "vpexpandd", "vmovdqa32")
ZS_DEFINE_ADD_SPREAD_AVX512(int64, "vpexpandq", "vmovdqa64")
ZS_DEFINE_ADD_SPREAD_AVX512(uint64, "vpexpandq", "vmovdqa64")
#else
ZS_DEFINE_TYPES(ZS_DEFINE_ADD_SPREAD, 64)
#endif

/* ---- picking ------------------------------------------------------------------------- */

/*
 * zs_picked_TYPE_BYTES_PLACE() - the values of 'from' at the next places from 'at' on, a lane each.
 *
 * Places are of type PLACE and not negative; as many are read as the vector has lanes.
 */
#define ZS_DEFINE_PICKED(NAME, TYPE, BYTES, PLACE, CPLACE)                                  \
    ZS_INLINE zs_##NAME##x##BYTES zs_picked_##NAME##_##BYTES##_##PLACE(const TYPE *from,    \
                                                                       const CPLACE *at)    \
    {                                                                                       \
        zs_##NAME##x##BYTES x = {0};                                                        \
        for (size_t i = 0; i < BYTES / sizeof(TYPE); i++)                                   \
            x[i] = from[at[i]];                                                             \
        return x;                                                                           \
    }

/*
 * zs_picked_first_TYPE_BYTES_PLACE() - the same in the first 'there' lanes, of which there are more.
 * zs_first_TYPE_BYTES()              - the first 'there' values from 'from' on.
 *
 * The other lanes are 0, and nothing is read for them.
 */
#define ZS_DEFINE_FIRST(NAME, TYPE, BYTES)                                                  \
    ZS_INLINE zs_##NAME##x##BYTES zs_first_##NAME##_##BYTES(const TYPE *from, int64_t there) \
    {                                                                                       \
        zs_##NAME##x##BYTES x = {0};                                                        \
        for (int64_t i = 0; i < there; i++)                                                 \
            x[i] = from[i];                                                                 \
        return x;                                                                           \
    }
#define ZS_DEFINE_PICKED_FIRST(NAME, TYPE, BYTES, PLACE, CPLACE)                            \
    ZS_INLINE zs_##NAME##x##BYTES zs_picked_first_##NAME##_##BYTES##_##PLACE(               \
        const TYPE *from, const CPLACE *at, int64_t there)                                  \
    {                                                                                       \
        zs_##NAME##x##BYTES x = {0};                                                        \
        for (int64_t i = 0; i < there; i++)                                                 \
            x[i] = from[at[i]];                                                             \
        return x;                                                                           \
    }
#define ZS_DEFINE_PLACES(DEFINE, NAME, TYPE)                                                \
    DEFINE(NAME, TYPE, 64, uint16, uint16_t)                                                \
    DEFINE(NAME, TYPE, 64, int32, int32_t)

#ifdef __AVX512VL__
typedef ZS_VECTOR(int32_t, 64) zs_places_float32;
typedef ZS_VECTOR(int32_t, 32) zs_places_float64;
#define ZS_GATHERED_float32 __builtin_ia32_gathersiv16sf
#define ZS_GATHERED_float64 __builtin_ia32_gathersiv8df
#define ZS_READ_uint16 "vpmovzxwd"
#define ZS_READ_int32 "vmovdqu32"
/* A bit of the mask is a lane; what it leaves out is not looked at, mapped or not. */
#define ZS_READ_MASKED(READ, to, from, mask)                                                \
    __asm__(READ " %1, %0%{%2%}%{z%}"                                                       \
            : "=v"(to) : "m"(*(const __typeof__(*(from))(*)[16])(from)), "Yk"(mask))
#define ZS_DEFINE_FIRST_MASKED(NAME, TYPE, READ)                                            \
    ZS_INLINE zs_##NAME##x64 zs_first_##NAME##_64(const TYPE *from, int64_t there)          \
    {                                                                                       \
        const uint16_t mask = (uint16_t)ZS_LANE_BITS(there);                                \
        zs_##NAME##x64 x;                                                                   \
        ZS_READ_MASKED(READ, x, from, mask);                                                \
        return x;                                                                           \
    }
#define ZS_DEFINE_PICKED_FIRST_MASKED(NAME, TYPE, BYTES, PLACE, CPLACE)                     \
    ZS_INLINE zs_##NAME##x##BYTES zs_picked_first_##NAME##_##BYTES##_##PLACE(               \
        const TYPE *from, const CPLACE *at, int64_t there)                                  \
    {                                                                                       \
        const uint16_t mask = (uint16_t)ZS_LANE_BITS(there);                                \
        zs_places_##NAME places;                                                            \
        ZS_READ_MASKED(ZS_READ_##PLACE, places, at, mask);                                  \
        typedef TYPE lanes __attribute__((vector_size(BYTES)));                             \
        typedef int32_t four __attribute__((vector_size(sizeof places)));                   \
        return (zs_##NAME##x##BYTES)ZS_GATHERED_##NAME((lanes){}, from, (four)places,       \
                                                       mask, sizeof(TYPE));                 \
    }
ZS_DEFINE_FIRST_MASKED(float32, float, "vmovups")
ZS_DEFINE_FIRST_MASKED(float64, double, "vmovupd")
ZS_DEFINE_PLACES(ZS_DEFINE_PICKED_FIRST_MASKED, float32, float)
ZS_DEFINE_PLACES(ZS_DEFINE_PICKED_FIRST_MASKED, float64, double)
#else
ZS_DEFINE_FIRST(float32, float, 64)
ZS_DEFINE_FIRST(float64, double, 64)
ZS_DEFINE_PLACES(ZS_DEFINE_PICKED_FIRST, float32, float)
ZS_DEFINE_PLACES(ZS_DEFINE_PICKED_FIRST, float64, double)
#endif

#if defined(__AVX512VL__) && defined(__AVX512FP16__)
/*
 * At once: processors that compute with float16 (from Sapphire Rapids on) gather 16 values in less
 * time than they read them one by one, which takes a third longer there.
 */
#define ZS_DEFINE_PICKED_GATHERED(NAME, TYPE, BYTES, PLACE, CPLACE)                         \
    ZS_INLINE zs_##NAME##x##BYTES zs_picked_##NAME##_##BYTES##_##PLACE(const TYPE *from,    \
                                                                       const CPLACE *at)    \
    {                                                                                       \
        typedef ZS_VECTOR(CPLACE, BYTES / sizeof(TYPE) * sizeof(CPLACE)) stored;            \
        typedef TYPE lanes __attribute__((vector_size(BYTES)));                             \
        typedef int32_t four __attribute__((vector_size(BYTES / sizeof(TYPE) * 4)));        \
        const four places = __builtin_convertvector(*(const stored *)at, four);             \
        return (zs_##NAME##x##BYTES)ZS_GATHERED_##NAME(                                     \
            (lanes){}, from, places, (uint16_t)ZS_LANE_BITS(BYTES / sizeof(TYPE)), sizeof(TYPE)); \
    }
ZS_DEFINE_PLACES(ZS_DEFINE_PICKED_GATHERED, float32, float)
ZS_DEFINE_PLACES(ZS_DEFINE_PICKED_GATHERED, float64, double)
#elif defined(__AVX512F__)
/*
 * One by one, four coordinates or two from one read of 64 bits: on Zen 4 gathering 16 takes longer
 * than 16 plain reads.  Found by timing both there; no command of the repository finds it again.
 */
#define ZS_PUT_FLOAT32(x, lane, value)                                                      \
    __asm__("vinsertps %2, %1, %0, %0" : "+x"(x) : "m"(value), "i"((lane) << 4))
#define ZS_DEFINE_FOUR_PICKED(PLACE, CPLACE)                                                \
    ZS_INLINE zs_float32x16 zs_four_picked_##PLACE(const float *from, const void *at)       \
    {                                                                                       \
        enum { EACH = 8 / sizeof(CPLACE), BITS = 8 * sizeof(CPLACE) };                      \
        uint64_t words[4 / EACH];                                                           \
        __builtin_memcpy(words, at, sizeof words);                                          \
        zs_float32x16 x = {from[(CPLACE)words[0]]};                                         \
        ZS_PUT_FLOAT32(x, 1, from[(CPLACE)(words[1 / EACH] >> BITS * (1 % EACH))]);         \
        ZS_PUT_FLOAT32(x, 2, from[(CPLACE)(words[2 / EACH] >> BITS * (2 % EACH))]);         \
        ZS_PUT_FLOAT32(x, 3, from[(CPLACE)(words[3 / EACH] >> BITS * (3 % EACH))]);         \
        return x;                                                                           \
    }
ZS_DEFINE_FOUR_PICKED(uint16, uint16_t)
ZS_DEFINE_FOUR_PICKED(int32, uint32_t)
#define ZS_DEFINE_PICKED_AVX512(PLACE, CPLACE)                                              \
    ZS_INLINE zs_float32x64 zs_picked_float32_64_##PLACE(const float *from, const CPLACE *at) \
    {                                                                                       \
        const zs_float32x16 a = zs_four_picked_##PLACE(from, at),                           \
                            b = zs_four_picked_##PLACE(from, at + 4),                       \
                            c = zs_four_picked_##PLACE(from, at + 8),                       \
                            d = zs_four_picked_##PLACE(from, at + 12);                      \
        zs_float32x32 low, high;                                                            \
        zs_float32x64 x;                                                                    \
        __asm__("vinsertf128 $1, %2, %t1, %0" : "=x"(low) : "x"(a), "x"(b));                \
        __asm__("vinsertf128 $1, %2, %t1, %0" : "=x"(high) : "x"(c), "x"(d));               \
        __asm__("vinsertf64x4 $1, %2, %g1, %0" : "=v"(x) : "v"(low), "v"(high));            \
        return x;                                                                           \
    }
ZS_DEFINE_PICKED_AVX512(uint16, uint16_t)
ZS_DEFINE_PICKED_AVX512(int32, int32_t)
ZS_DEFINE_PLACES(ZS_DEFINE_PICKED, float64, double)
#else
ZS_DEFINE_PLACES(ZS_DEFINE_PICKED, float32, float)
ZS_DEFINE_PLACES(ZS_DEFINE_PICKED, float64, double)
#endif

#endif /* ZS_DOTS_H */
