/*
 * zs_columns.h - entries that lie by columns of some rows, against lanes of a line.
 *
 * The rows are the lanes of a vector: a column is a bit for each row that stores it, and their
 * values.  These are spread to the lanes of their rows, and multiplied by what one lane of the line
 * has at the column's place, which meets all rows.  Names end in the type and the bytes of a vector.
 */
#ifndef ZS_COLUMNS_H
#define ZS_COLUMNS_H

#include "zs_dots.h"

/* Lanes of the line whose sums are held in registers, a vector of rows each; the rest of 32 holds
   what is loaded. */
#define ZS_MOST_LANES 28

/* Columns at once, which ask for what comes later together. */
#define ZS_AT_ONCE 4

/* Lanes up to which the columns go round two sums of each, so that none waits for the one before. */
#define ZS_FEW_LANES 4

/*
 * zs_rows_of_TYPE_BYTES() - the lanes whose bits are set in 'mask', as the others take them.
 * zs_spread_TYPE_BYTES()  - in the n-th of these lanes, from 0, values[n]; 0 in the others.  As many
 *                           values are read as a vector has lanes.
 * zs_add_rows_TYPE_BYTES() - 'sum' with spread * x added in these lanes.  Others stay as they are,
 *                           whatever x is.
 */
#define ZS_DEFINE_ROWS(NAME, TYPE, WHOLE, BYTES)                                            \
    typedef zs_##WHOLE##x##BYTES zs_rows_##NAME##_##BYTES;                                  \
    ZS_INLINE zs_rows_##NAME##_##BYTES zs_rows_of_##NAME##_##BYTES(unsigned mask)           \
    {                                                                                       \
        zs_##WHOLE##x##BYTES bits = {0};                                                    \
        for (unsigned i = 0; i < BYTES / sizeof(TYPE); i++)                                 \
            bits[i] = 1 << i;                                                               \
        return (zs_##WHOLE##x##BYTES)((bits & ((zs_##WHOLE##x##BYTES){0} + (int)mask)) != 0); \
    }                                                                                       \
    ZS_INLINE zs_##NAME##x##BYTES zs_add_rows_##NAME##_##BYTES(                             \
        zs_##NAME##x##BYTES sum, zs_##NAME##x##BYTES spread, const TYPE *x,                 \
        zs_rows_##NAME##_##BYTES rows)                                                      \
    {                                                                                       \
        const zs_##NAME##x##BYTES all = *x - (zs_##NAME##x##BYTES){0};                      \
        return sum + spread * (zs_##NAME##x##BYTES)((zs_##WHOLE##x##BYTES)all & rows);      \
    }
#define ZS_DEFINE_SPREAD(NAME, TYPE, BYTES)                                                 \
    ZS_INLINE zs_##NAME##x##BYTES zs_spread_##NAME##_##BYTES(                               \
        const TYPE *values, unsigned mask, zs_rows_##NAME##_##BYTES rows)                   \
    {                                                                                       \
        zs_##NAME##x##BYTES spread = {0};                                                   \
        int n = 0;                                                                          \
        (void)rows;                                                                         \
        for (unsigned i = 0; i < BYTES / sizeof(TYPE); i++)                                 \
            if (mask >> i & 1)                                                              \
                spread[i] = values[n++];                                                    \
        return spread;                                                                      \
    }
ZS_DEFINE_ROWS(float32, float, int32, 16)
ZS_DEFINE_ROWS(float64, double, int64, 16)
ZS_DEFINE_ROWS(float32, float, int32, 32)
ZS_DEFINE_ROWS(float64, double, int64, 32)
ZS_DEFINE_SPREAD(float32, float, 16)
ZS_DEFINE_SPREAD(float64, double, 16)

#ifdef __AVX2__
#define ZS_DEFINE_SPREAD_AVX2(NAME, TYPE)                                                   \
    ZS_INLINE zs_##NAME##x32 zs_spread_##NAME##_32(                                         \
        const TYPE *values, unsigned mask, zs_rows_##NAME##_32 rows)                        \
    {                                                                                       \
        const zs_epi32 next = (zs_epi32)*(const zs_##NAME##x32 *)values;                    \
        const zs_epi32 take =                                                               \
            *(const zs_epi32 *)(sizeof(TYPE) == 4 ? zs_spread8[mask] : zs_spread4[mask & 15]); \
        return (zs_##NAME##x32)(__builtin_ia32_permvarsi256(next, take) & (zs_epi32)rows);  \
    }
ZS_DEFINE_SPREAD_AVX2(float32, float)
ZS_DEFINE_SPREAD_AVX2(float64, double)
#else
ZS_DEFINE_SPREAD(float32, float, 32)
ZS_DEFINE_SPREAD(float64, double, 32)
#endif

#ifdef __AVX512F__
/* All lanes take the same element of the memory, and sums are kept by the mask itself. */
#define ZS_DEFINE_ROWS_AVX512(NAME, TYPE, EXPAND, ADD)                                      \
    typedef uint16_t zs_rows_##NAME##_64;                                                   \
    ZS_INLINE zs_rows_##NAME##_64 zs_rows_of_##NAME##_64(unsigned mask)                     \
    {                                                                                       \
        uint16_t rows;                                                                      \
        ZS_SET_AVX512(rows, mask);                                                          \
        return rows;                                                                        \
    }                                                                                       \
    ZS_INLINE zs_##NAME##x64 zs_spread_##NAME##_64(                                         \
        const TYPE *values, unsigned mask, zs_rows_##NAME##_64 rows)                        \
    {                                                                                       \
        zs_##NAME##x64 spread;                                                              \
        (void)mask;                                                                         \
        __asm__("vpxord %0, %0, %0\n\t" EXPAND " %1, %0%{%2%}%{z%}"                         \
                : "=&v"(spread) : "m"(*(const zs_##NAME##x64 *)values), "Yk"(rows));        \
        return spread;                                                                      \
    }                                                                                       \
    ZS_INLINE zs_##NAME##x64 zs_add_rows_##NAME##_64(                                       \
        zs_##NAME##x64 sum, zs_##NAME##x64 spread, const TYPE *x, zs_rows_##NAME##_64 rows) \
    {                                                                                       \
        __asm__(ADD : "+v"(sum) : "v"(spread), "m"(*x), "Yk"(rows));                        \
        return sum;                                                                         \
    }
ZS_DEFINE_ROWS_AVX512(float32, float, "vexpandps", "vfmadd231ps %2%{1to16%}, %1, %0%{%3%}")
ZS_DEFINE_ROWS_AVX512(float64, double, "vexpandpd", "vfmadd231pd %2%{1to8%}, %1, %0%{%3%}")
#else
ZS_DEFINE_ROWS(float32, float, int32, 64)
ZS_DEFINE_ROWS(float64, double, int64, 64)
ZS_DEFINE_SPREAD(float32, float, 64)
ZS_DEFINE_SPREAD(float64, double, 64)
#endif

/* ZS_ADD_COLUMN() - the next column: what is stored of it, times what a place has of each lane. */
#define ZS_ADD_COLUMN(OF, sums, stored)                                                     \
    {                                                                                       \
        const unsigned mask = stored;                                                       \
        const zs_rows_##OF own = zs_rows_of_##OF(mask);                                     \
        const zs_vec spread = zs_spread_##OF(values, mask, own);                            \
        values += __builtin_popcount(mask);                                                 \
        _Pragma("GCC unroll 28") for (int v = 0; v < lanes; v++)                            \
            (sums)[v] = zs_add_rows_##OF((sums)[v], spread, source + v, own);               \
        source += step;                                                                     \
        ZS_HOLD(source);                                                                    \
    }

/*
 * ZS_DEFINE_COLUMNS() - zs_add_columns() for the kernel's zs_vec of TYPE, called OF; masks of MASK.
 *
 * To 'lanes' lanes of each of 'rows' rows, no more than LANES, from result on and 'pitch' elements
 * apart, what these rows store in 'n' columns is added, times what lies at the columns' places:
 * at source + offset[column] * step, lane after lane.  Where nothing is resumed, sums start from 0.
 * 'lanes' is a constant of each call, at most ZS_MOST_LANES.  Rows that are not there have no bits.
 */
#define ZS_DEFINE_COLUMNS(TYPE, OF, MASK)                                                   \
    static inline __attribute__((always_inline, unused)) void zs_add_columns(               \
        const int lanes, const MASK *masks, const TYPE *values, int64_t n,                  \
        const TYPE *source, int64_t step, TYPE *result, int64_t pitch, int64_t rows,        \
        int resumed)                                                                        \
    {                                                                                       \
        const int chains = lanes <= ZS_FEW_LANES ? 2 : 1;                                   \
        TYPE held[ZS_MOST_LANES][LANES];                                                    \
        zs_vec sums[2 * ZS_MOST_LANES];                                                     \
        _Pragma("GCC unroll 28") for (int v = 0; v < chains * lanes; v++)                   \
            sums[v] = (zs_vec){};                                                           \
        if (resumed) {                                                                      \
            __builtin_memset(held, 0, sizeof held);                                         \
            for (int64_t i = 0; i < rows; i++)                                              \
                for (int v = 0; v < lanes; v++)                                             \
                    held[v][i] = result[i * pitch + v];                                     \
            _Pragma("GCC unroll 28") for (int v = 0; v < lanes; v++)                        \
                sums[v] = *(const zs_vec *)held[v];                                         \
        }                                                                                   \
        int64_t k = 0;                                                                      \
        for (; k + ZS_AT_ONCE <= n; k += ZS_AT_ONCE) {                                      \
            _Pragma("GCC unroll 4") for (int c = 0; c < ZS_AT_ONCE; c++)                    \
                ZS_FETCH(values, ZS_COLUMNS_AHEAD + c * 64);                                \
            _Pragma("GCC unroll 4") for (int c = 0; c < ZS_AT_ONCE; c++)                    \
                ZS_ADD_COLUMN(OF, sums + c % chains * lanes, masks[k + c])                  \
        }                                                                                   \
        for (; k < n; k++)                                                                  \
            ZS_ADD_COLUMN(OF, sums, masks[k])                                               \
        _Pragma("GCC unroll 28") for (int v = 0; v < lanes; v++) {                          \
            if (chains > 1)                                                                 \
                sums[v] += sums[lanes + v];                                                 \
            *(zs_vec *)held[v] = sums[v];                                                   \
        }                                                                                   \
        for (int64_t i = 0; i < rows; i++)                                                  \
            for (int v = 0; v < lanes; v++)                                                 \
                result[i * pitch + v] = held[v][i];                                         \
    }

/* Bytes of values ahead of those at work that are asked for, a line for each column.  Of 1, 2, 3, 4
   and 8 KiB ahead, 2 took least on one machine (Granite Rapids) of 4096 x 4096 entries at a density
   of .8 that came from memory, a tenth less than 8: what is asked for waits in one of few places, and
   what the processor fetches by itself needs none. */
#define ZS_COLUMNS_AHEAD 2048

#endif
