/*
 * zs_rows.h - the places of one row of a sparse result, put in order and appended.
 */
#ifndef ZS_ROWS_H
#define ZS_ROWS_H

#include "zs_kernel.h"

/* A row with more than one place in so many is read off its marks, one mark after the other ... */
#define ZS_FULL_ROW 8
/* ... and in so many, by vectors: 64 marks at a time, or 8. */
#if defined(__AVX512VBMI2__) && defined(__AVX512BW__) && defined(__BMI2__)
#define ZS_SWEPT_ROW 128
#else
#define ZS_SWEPT_ROW 8
#endif
/* A list of so few places is sorted by insertion. */
#define ZS_SHORT_ROW 12

/* zs_is_full() - whether a row of 'n' places has more than one in 'most', and not just one. */
ZS_INLINE int zs_is_full(int64_t n, int64_t extent, int64_t most)
{
    return n > extent / most && n > 1;
}

/*
 * ZS_ASK() - have the memory bring the lines that 'n' entries from number 'from' on will be written
 * to, which may lie past the arrays' ends: a store that waits for its line holds up those behind it.
 */
#define ZS_ASK(places, values, from, n)                                                     \
    (zs_ask((uintptr_t)(places), (from) * (int64_t)sizeof *(places),                        \
            (n) * (int64_t)sizeof *(places)),                                               \
     zs_ask((uintptr_t)(values), (from) * (int64_t)sizeof *(values),                        \
            (n) * (int64_t)sizeof *(values)))
ZS_INLINE void zs_ask(uintptr_t array, int64_t first, int64_t n_bytes)
{
    for (int64_t at = 0; at < n_bytes; at += 64)
        __builtin_prefetch((const void *)(array + (uintptr_t)(first + at)), 1);
}

/* zs_sift() - move the item at 'root' of the heap at[0 .. n) down to where it belongs. */
ZS_INLINE void zs_sift(int64_t *at, int64_t root, int64_t n)
{
    const int64_t item = at[root];
    for (int64_t child = 2 * root + 1; child < n; child = 2 * root + 1) {
        child += child + 1 < n && at[child + 1] > at[child];
        if (at[child] <= item)
            break;
        at[root] = at[child];
        root = child;
    }
    at[root] = item;
}

/*
 * zs_list_bits() - the places whose bits are set, in order; the bits are 0 afterwards.
 *
 * bits[0 .. words) has one bit a place, what follows one bit a word that is not 0.
 */
ZS_INLINE void zs_list_bits(int64_t *restrict at, uint64_t *restrict bits, int64_t words)
{
    uint64_t *filled = bits + words;
    int64_t k = 0;
    for (int64_t block = 0; block < zs_bit_words(words); block++) {
        for (uint64_t left = filled[block]; left != 0; left = zs_drop_lowest(left)) {
            const int64_t word = block * 64 + zs_ctz(left);
            for (uint64_t set = bits[word]; set != 0; set = zs_drop_lowest(set))
                at[k++] = word * 64 + zs_ctz(set);
            bits[word] = 0;
        }
        filled[block] = 0;
    }
}

/*
 * zs_sort_row() - put the 'n' distinct places of 'at' in increasing order.
 *
 * seen[place] is 1 for these places and 0 for all others of [0, extent); 'at' has room for one
 * place more than there are.  A full row is rewritten from 'seen' without a branch; a short list
 * is sorted by insertion; any other goes through a bitmap of two levels, or through a heap where
 * the upper level would be longer than the list.
 */
ZS_INLINE void zs_sort_row(int64_t *restrict at, int64_t n, const uint8_t *restrict seen,
                           uint64_t *restrict bits, int64_t extent)
{
    const int64_t words = zs_bit_words(extent);
    if (zs_is_full(n, extent, ZS_FULL_ROW)) {
        int64_t k = 0;
        for (int64_t place = 0; place < extent; place++) {
            at[k] = place;
            k += seen[place];
        }
    } else if (n <= ZS_SHORT_ROW) {
        for (int64_t k = 1; k < n; k++) {
            const int64_t item = at[k];
            int64_t to = k;
            for (; to > 0 && at[to - 1] > item; to--)
                at[to] = at[to - 1];
            at[to] = item;
        }
    } else if (words / 64 <= 4 * n) {
        for (int64_t k = 0; k < n; k++) {
            bits[at[k] / 64] |= (uint64_t)1 << (at[k] % 64);
            bits[words + at[k] / 4096] |= (uint64_t)1 << (at[k] / 64 % 64);
        }
        zs_list_bits(at, bits, words);
    } else {
        for (int64_t root = n / 2 - 1; root >= 0; root--)
            zs_sift(at, root, n);
        for (int64_t last = n - 1; last > 0; last--) {
            const int64_t most = at[0];
            at[0] = at[last];
            at[last] = most;
            zs_sift(at, 0, last);
        }
    }
}

/* ---- sweeping ------------------------------------------------------------------------ */

/* Entries past the last one that a sweep may write; what they hold means nothing. */
#define ZS_SWEPT 64

/*
 * zs_is_swept() - whether row 'outer' is walked without a list of its places and swept.
 *
 * That is so where the row before was full, as zs_is_full() with 'most', and 'room' has place for a
 * whole one, so that no more is known of a row than of those before it: the result is the same
 * either way.
 */
ZS_INLINE int zs_is_swept(const int64_t *ends, int64_t outer, int64_t extent, int64_t room,
                          int64_t most)
{
    return outer > 0 && zs_is_full(ends[outer] - ends[outer - 1], extent, most) &&
           ends[outer] + extent + ZS_SWEPT <= room;
}

/*
 * zs_sweepBYTES_PLACES() - append the places that are marked, and their values, from entry 'k' on.
 *
 * row, vals: values of BYTES, of any type; 'seen' is 1 or 0 for each of 'extent' places.  Both are 0
 * afterwards.  'about' as many are expected, which decides how it is done and not what comes out.
 * Returns how many entries there are then; up to ZS_SWEPT more are written.
 */
#define ZS_DEFINE_SWEEP(BYTES, WORD, PLACE, CPLACE)                                         \
    ZS_INLINE int64_t zs_sweep##BYTES##_##PLACE(void *row, uint8_t *restrict seen,          \
                                                CPLACE *restrict places, void *vals,        \
                                                int64_t k, int64_t extent, int64_t about)   \
    {                                                                                       \
        typedef WORD __attribute__((may_alias)) word;                                       \
        word *restrict from = row, *restrict to = vals;                                     \
        int64_t at = 0;                                                                     \
        (void)about;                                                                        \
        ZS_SWEEP_VECTORS(BYTES, PLACE)                                                      \
        for (; at < extent; at++) {                                                         \
            places[k] = at;                                                                 \
            to[k] = from[at];                                                               \
            k += seen[at];                                                                  \
            from[at] = 0;                                                                   \
            seen[at] = 0;                                                                   \
        }                                                                                   \
        return k;                                                                           \
    }

#if ZS_SWEPT_ROW > ZS_FULL_ROW
typedef uint8_t zs_marks64 __attribute__((vector_size(64)));
typedef uint8_t zs_marks64_at __attribute__((vector_size(64), aligned(1), may_alias));
typedef uint8_t zs_marks32_at __attribute__((vector_size(32), aligned(1), may_alias));
typedef uint8_t zs_marks16_at __attribute__((vector_size(16), aligned(1), may_alias));
typedef int32_t zs_wide __attribute__((vector_size(64)));
typedef int32_t zs_wide_at __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint16_t zs_short16_at __attribute__((vector_size(32), aligned(2), may_alias));
typedef uint16_t zs_short32_at __attribute__((vector_size(64), aligned(2), may_alias));

/* zs_marked() - a bit for each of 64 bytes that is not 0. */
ZS_INLINE uint64_t zs_marked(const uint8_t *seen)
{
    uint64_t bits;
    const zs_marks64 marks = *(const zs_marks64_at *)seen;
    __asm__("vptestmb %1, %1, %0" : "=Yk"(bits) : "v"(marks));
    return bits;
}

/* zs_numbers64() - the numbers of the bits that are set, one a byte, from the lowest on. */
ZS_INLINE zs_marks64 zs_numbers64(uint64_t bits)
{
    static const uint8_t number[64] __attribute__((aligned(64))) = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
        44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    zs_marks64 found;
    __asm__("vpxord %0, %0, %0\n\tvpcompressb %1, %0%{%2%}%{z%}"
            : "=&v"(found) : "v"(*(const zs_marks64 *)number), "Yk"(bits));
    return found;
}

/* zs_part16(), zs_half32() - sixteen bytes of a vector, half of it; by number. */
ZS_INLINE zs_marks16_at zs_part16(zs_marks64 x, int part)
{
    zs_marks16_at found;
    __builtin_memcpy(&found, (const uint8_t *)&x + 16 * part, sizeof found);
    return found;
}
ZS_INLINE zs_marks32_at zs_half32(zs_marks64 x, int half)
{
    zs_marks32_at found;
    __builtin_memcpy(&found, (const uint8_t *)&x + 32 * half, sizeof found);
    return found;
}

/* Sixteen places, of which the first are meant. */
#define zs_write16_uint16(places, numbers, at)                                              \
    (*(zs_short16_at *)(places) =                                                           \
         __builtin_convertvector(numbers, zs_short16_at) + (uint16_t)(at))
#define zs_write16_int32(places, numbers, at)                                               \
    (*(zs_wide_at *)(places) = __builtin_convertvector(numbers, zs_wide_at) + (int32_t)(at))

/* The 64 bytes of values whose bits are set, from the lowest on. */
#define ZS_DEFINE_TIGHT(BYTES, MASK, COMPRESS)                                              \
    ZS_INLINE zs_wide zs_tight##BYTES(zs_wide values, uint64_t bits)                        \
    {                                                                                       \
        zs_wide found;                                                                      \
        __asm__("vpxord %0, %0, %0\n\t" COMPRESS " %1, %0%{%2%}%{z%}"                       \
                : "=&v"(found) : "v"(values), "Yk"((MASK)bits));                            \
        return found;                                                                       \
    }
ZS_DEFINE_TIGHT(4, uint16_t, "vpcompressd")
ZS_DEFINE_TIGHT(8, uint8_t, "vpcompressq")

/* All 64 places of a block, of which the first are meant. */
#define zs_write64_uint16(places, numbers, at)                                              \
    (*(zs_short32_at *)(places) =                                                           \
         __builtin_convertvector(zs_half32(numbers, 0), zs_short32_at) + (uint16_t)(at),    \
     *(zs_short32_at *)((places) + 32) =                                                    \
         __builtin_convertvector(zs_half32(numbers, 1), zs_short32_at) + (uint16_t)(at))
#define zs_write64_int32(places, numbers, at)                                               \
    (zs_write16_int32(places, zs_part16(numbers, 0), at),                                   \
     zs_write16_int32((places) + 16, zs_part16(numbers, 1), at),                            \
     zs_write16_int32((places) + 32, zs_part16(numbers, 2), at),                            \
     zs_write16_int32((places) + 48, zs_part16(numbers, 3), at))

/*
 * Where most vectors have some, places and values of 64 marks at a time, without a branch.  Else
 * places first, and then their values one after the other, for which no branch depends on where
 * they are.
 */
#define ZS_SWEEP_VECTORS(BYTES, PLACE)                                                      \
    if (zs_is_full(about, extent, ZS_FULL_ROW)) {                                           \
        for (; at + 64 <= extent; at += 64) {                                               \
            uint64_t bits = zs_marked(seen + at);                                           \
            const zs_marks64 numbers = zs_numbers64(bits);                                  \
            *(zs_marks64_at *)(seen + at) = (zs_marks64){0};                                \
            zs_write64_##PLACE(places + k, numbers, at);                                    \
            for (int64_t n = 0; n < 64; n += 64 / BYTES, bits >>= 64 / BYTES) {             \
                zs_wide_at *values = (zs_wide_at *)(from + at + n);                         \
                *(zs_wide_at *)(to + k) = zs_tight##BYTES(*values, bits);                   \
                *values = (zs_wide){0};                                                     \
                k += zs_popcount(bits & zs_bits_below(64 / BYTES));                         \
            }                                                                               \
        }                                                                                   \
    } else {                                                                                \
        int64_t next = k;                                                                   \
        for (; at + 64 <= extent; at += 64) {                                               \
            const uint64_t bits = zs_marked(seen + at);                                     \
            const zs_marks64 numbers = zs_numbers64(bits);                                  \
            zs_write16_##PLACE(places + k, zs_part16(numbers, 0), at);                      \
            if (__builtin_expect(zs_popcount(bits) > 16, 0))                                \
                zs_write64_##PLACE(places + k, numbers, at);                                \
            k += zs_popcount(bits);                                                         \
        }                                                                                   \
        for (; next < k; next++) {                                                          \
            const int64_t place = places[next];                                             \
            to[next] = from[place];                                                         \
            from[place] = 0;                                                                \
        }                                                                                   \
        __builtin_memset(seen, 0, at);                                                      \
    }
/* Where a byte of a mask is moved to a place of its own in one step: not before Zen 3. */
#elif defined(__AVX2__) && defined(__BMI2__) && !defined(__znver1__) && !defined(__znver2__)
typedef uint8_t zs_marks8 __attribute__((vector_size(8)));
typedef int32_t zs_eight __attribute__((vector_size(32)));
typedef int32_t zs_eight_at __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint16_t zs_short8 __attribute__((vector_size(16)));
typedef uint16_t zs_short8_at __attribute__((vector_size(16), aligned(2), may_alias));

/* The numbers of the bytes of 'mask' that are 255, one a byte, from the lowest on; others are 0. */
ZS_INLINE zs_marks8 zs_numbers(uint64_t mask)
{
    return (zs_marks8)__builtin_ia32_pext_di(0x0706050403020100, mask);
}

/* Eight places, of which the first are meant. */
#define zs_write_places_uint16(places, lanes, at)                                           \
    (*(zs_short8_at *)(places) = __builtin_convertvector(lanes, zs_short8) + (uint16_t)(at))
#define zs_write_places_int32(places, lanes, at)                                            \
    (*(zs_eight_at *)(places) = __builtin_convertvector(lanes, zs_eight) + (int32_t)(at))
#define ZS_SWEEP_VECTORS(BYTES, PLACE) ZS_SWEEP_VECTORS##BYTES(PLACE)
#define ZS_SWEEP_VECTORS4(PLACE)                                                            \
    for (; at + 8 <= extent; at += 8) {                                                     \
        uint64_t marks;                                                                     \
        __builtin_memcpy(&marks, seen + at, 8);                                             \
        const zs_marks8 lanes = zs_numbers(marks * 255);                                    \
        *(zs_eight_at *)(to + k) = __builtin_ia32_permvarsi256(                             \
            *(const zs_eight_at *)(from + at), __builtin_convertvector(lanes, zs_eight));   \
        zs_write_places_##PLACE(places + k, lanes, at);                                     \
        *(zs_eight_at *)(from + at) = (zs_eight){0};                                        \
        __builtin_memset(seen + at, 0, 8);                                                  \
        k += zs_popcount(marks);                                                            \
    }
#define ZS_SWEEP_VECTORS8(PLACE)                                                            \
    for (; at + 4 <= extent; at += 4) {                                                     \
        uint32_t marks;                                                                     \
        __builtin_memcpy(&marks, seen + at, 4);                                             \
        const uint64_t bits = __builtin_ia32_pext_di(marks, 0x01010101);                    \
        const uint64_t pairs = __builtin_ia32_pdep_di(bits, 0x0001000100010001) * 65535;    \
        const zs_marks8 lanes = zs_numbers((uint64_t)marks * 255);                          \
        *(zs_eight_at *)(to + k) = __builtin_ia32_permvarsi256(                             \
            *(const zs_eight_at *)(from + at),                                              \
            __builtin_convertvector(zs_numbers(pairs), zs_eight));                          \
        zs_write_places_##PLACE(places + k, lanes, at);                                     \
        *(zs_eight_at *)(from + at) = (zs_eight){0};                                        \
        __builtin_memset(seen + at, 0, 4);                                                  \
        k += zs_popcount(marks);                                                            \
    }
#else
#define ZS_SWEEP_VECTORS(BYTES, PLACE)
#endif

ZS_DEFINE_SWEEP(4, uint32_t, uint16, uint16_t)
ZS_DEFINE_SWEEP(4, uint32_t, int32, int32_t)
ZS_DEFINE_SWEEP(8, uint64_t, uint16, uint16_t)
ZS_DEFINE_SWEEP(8, uint64_t, int32, int32_t)

#endif /* ZS_ROWS_H */
