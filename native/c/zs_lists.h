/*
 * zs_lists.h - the products of one short row of a sparse result, listed and put in order.
 *
 * Each product has a key: its place in the row, and below it how many products came before.
 * Sorted keys have the places in order, products of one place in the order in which they came, and
 * say where the value of each is listed.
 */
#ifndef ZS_LISTS_H
#define ZS_LISTS_H

#include "zs_kernel.h"

/* Whether keys are sorted by a network over vectors. */
#if defined(__AVX512F__) && (defined(__clang__) || __GNUC__ >= 12)
#define ZS_SORTS_BY_VECTORS 1
#else
#define ZS_SORTS_BY_VECTORS 0
#endif

/* Products of a row that are listed, at most; a power of 2.  More are gathered densely.  Sorted
   one by one, few are worth a list. */
#if ZS_SORTS_BY_VECTORS
#define ZS_LIST 512
#else
#define ZS_LIST 16
#endif
/* Keys and values past the last that may be written; what they hold means nothing. */
#define ZS_LIST_PAST 16
/* Fewer products before a place with several are not worth their copying, which pauses then: for so
   many, for three times and seven times as many where it goes on like that. */
#define ZS_LIST_RUN 4

/* A value that is only copied. */
typedef uint32_t zs_list_4 __attribute__((may_alias));
typedef uint64_t zs_list_8 __attribute__((may_alias));

/* zs_list_shift() - bits of a key below the place, which is less than 'extent' < 2**31. */
ZS_INLINE int zs_list_shift(int64_t extent)
{
    return __builtin_clz((uint32_t)(extent - 1) | 1);
}

/* zs_list_most() - products of a row of 'extent' places that keys can number; 0 where few can. */
ZS_INLINE int64_t zs_list_most(int64_t extent)
{
    if (extent < 1 || extent >= (int64_t)1 << 28)
        return 0;
    return zs_min(ZS_LIST, (int64_t)1 << zs_list_shift(extent));
}

#if ZS_SORTS_BY_VECTORS
typedef uint32_t zs_keys __attribute__((vector_size(64)));
typedef uint32_t zs_keys_at __attribute__((vector_size(64), aligned(4), may_alias));

/* zs_keys_least() - of each lane the lesser of two; the greater is what is left of both. */
ZS_INLINE zs_keys zs_keys_least(zs_keys a, zs_keys b)
{
    zs_keys found;
    __asm__("vpminud %2, %1, %0" : "=v"(found) : "v"(a), "v"(b));
    return found;
}

/* One step of a sorting network: lane i and lane PARTNER(i) in order, the greater where HIGH has
 * a bit. */
#define ZS_KEYS_STEP(x, HIGH, ...)                                                          \
    do {                                                                                    \
        const zs_keys other_ = __builtin_shufflevector(x, x, __VA_ARGS__);                  \
        zs_keys found_ = zs_keys_least(x, other_);                                          \
        __asm__("vpternlogd $0x96, %2, %1, %0%{%3%}" /* of the three */                     \
                : "+v"(found_) : "v"(x), "v"(other_), "Yk"((uint16_t)(HIGH)));              \
        (x) = found_;                                                                       \
    } while (0)
#define ZS_KEYS_1(x) ZS_KEYS_STEP(x, 0xAAAA, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
#define ZS_KEYS_2(x) ZS_KEYS_STEP(x, 0xCCCC, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
#define ZS_KEYS_4(x) ZS_KEYS_STEP(x, 0xF0F0, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
#define ZS_KEYS_8(x) ZS_KEYS_STEP(x, 0xFF00, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
#define ZS_KEYS_TURN_4(x)                                                                   \
    ZS_KEYS_STEP(x, 0xCCCC, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12)
#define ZS_KEYS_TURN_8(x)                                                                   \
    ZS_KEYS_STEP(x, 0xF0F0, 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8)
#define ZS_KEYS_TURN_16(x)                                                                  \
    ZS_KEYS_STEP(x, 0xFF00, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)

/* zs_keys_sorted() - sixteen keys in order. */
ZS_INLINE zs_keys zs_keys_sorted(zs_keys x)
{
    ZS_KEYS_1(x);
    ZS_KEYS_TURN_4(x);
    ZS_KEYS_1(x);
    ZS_KEYS_TURN_8(x);
    ZS_KEYS_2(x);
    ZS_KEYS_1(x);
    ZS_KEYS_TURN_16(x);
    ZS_KEYS_4(x);
    ZS_KEYS_2(x);
    ZS_KEYS_1(x);
    return x;
}

/* zs_keys_merged() - sixteen keys in order that rise and then fall, or fall and then rise. */
ZS_INLINE zs_keys zs_keys_merged(zs_keys x)
{
    ZS_KEYS_8(x);
    ZS_KEYS_4(x);
    ZS_KEYS_2(x);
    ZS_KEYS_1(x);
    return x;
}

/* zs_keys_turned() - sixteen keys, the last first. */
ZS_INLINE zs_keys zs_keys_turned(zs_keys x)
{
    return __builtin_shufflevector(x, x, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
}

/*
 * zs_sort_keys() - put keys[0 .. n) in increasing order, n <= ZS_LIST.
 *
 * A bitonic network over vectors (K. E. Batcher, Sorting networks and their applications, AFIPS
 * 1968): no branch depends on a key.  It is one of a power of 2 of vectors; those behind the last
 * key would hold nothing but the greatest key, which no step moves, and are left out.
 * ZS_LIST_PAST keys behind the last are written.
 */
ZS_INLINE void zs_sort_keys(uint32_t *keys, int64_t n)
{
    zs_keys_at *x = (zs_keys_at *)keys;
    const int64_t count = (n + 15) / 16;
    *(zs_keys_at *)(keys + n) = ~(zs_keys){0};
    if (n < 2)
        return;
    for (int64_t v = 0; v < count; v++)
        x[v] = zs_keys_sorted(x[v]);
    for (int64_t half = 1; half < count; half *= 2)
        for (int64_t lo = 0; lo + half < count; lo += 2 * half) {
            const int64_t hi = zs_min(lo + 2 * half, count);
            for (int64_t a = 2 * (lo + half) - hi, b = hi - 1; a < b; a++, b--) {
                const zs_keys left = x[a], right = zs_keys_turned(x[b]);
                const zs_keys least = zs_keys_least(left, right);
                x[a] = least;
                x[b] = zs_keys_turned(left ^ right ^ least);
            }
            for (int64_t step = half / 2; step > 0; step /= 2)
                for (int64_t first = lo; first + step < hi; first += 2 * step)
                    for (int64_t a = first; a < zs_min(first + step, hi - step); a++) {
                        const zs_keys left = x[a], right = x[a + step];
                        const zs_keys least = zs_keys_least(left, right);
                        x[a] = least;
                        x[a + step] = left ^ right ^ least;
                    }
            for (int64_t v = lo; v < hi; v++)
                x[v] = zs_keys_merged(x[v]);
        }
}

/*
 * zs_list_copiedBYTES_PLACE() - the places of 'n' sorted keys and the values that are listed for
 * them, up to the first of several keys with the same place; how many these are.
 *
 * What lies ZS_LIST_PAST behind the n-th may be written.  'keys' come from zs_sort_keys().
 */
#define ZS_DEFINE_LIST_COPIED(BYTES, VALUE, PLACE, CPLACE)                                  \
    ZS_INLINE int64_t zs_list_copied##BYTES##_##PLACE(                                      \
        const uint32_t *keys, int64_t n, int shift, const void *listed,                     \
        CPLACE *restrict places, void *restrict values)                                     \
    {                                                                                       \
        typedef CPLACE zs_places_at __attribute__((vector_size(16 * sizeof(CPLACE)),        \
                                                   aligned(sizeof(CPLACE)), may_alias));    \
        const uint32_t number = (((uint32_t)1 << shift) - 1) & (ZS_LIST - 1);               \
        for (int64_t k = 0; k < n; k += 16) {                                               \
            const zs_keys key = *(const zs_keys_at *)(keys + k);                            \
            const zs_keys next = *(const zs_keys_at *)(keys + k + 1);                       \
            const zs_keys place = key >> shift;                                             \
            uint16_t same;                                                                  \
            __asm__("vpcmpeqd %1, %2, %0" : "=Yk"(same) : "v"(place), "v"(next >> shift));  \
            const uint64_t shared = same & zs_bits_below(zs_min(n - 1 - k, 16));            \
            *(zs_places_at *)(places + k) = __builtin_convertvector(place, zs_places_at);   \
            zs_list_pick##BYTES((VALUE *)values + k, listed, key & number);                 \
            if (__builtin_expect(shared != 0, 0))                                           \
                return k + zs_ctz(shared);                                                  \
        }                                                                                   \
        return n;                                                                           \
    }
/* zs_list_pick4(), zs_list_pick8() - write the sixteen values of those numbers. */
ZS_INLINE void zs_list_pick4(void *to, const void *from, zs_keys number)
{
    zs_keys found;
    uint16_t all;
    __asm__("kxnorw %1, %1, %1\n\t"
            "vpxord %0, %0, %0\n\t"
            "vpgatherdd (%2,%3,4), %0%{%1%}"
            : "=&v"(found), "=&Yk"(all)
            : "r"(from), "v"(number), "m"(*(const char(*)[4 * ZS_LIST])from));
    *(zs_keys_at *)to = found;
}
ZS_INLINE void zs_list_pick8(void *to, const void *from, zs_keys number)
{
    for (int e = 0; e < 16; e++)
        ((zs_list_8 *)to)[e] = ((const zs_list_8 *)from)[number[e]];
}
#else
/* zs_sort_keys() - put keys[0 .. n) in increasing order, by insertion. */
ZS_INLINE void zs_sort_keys(uint32_t *keys, int64_t n)
{
    for (int64_t k = 1; k < n; k++) {
        const uint32_t key = keys[k];
        int64_t to = k;
        for (; to > 0 && keys[to - 1] > key; to--)
            keys[to] = keys[to - 1];
        keys[to] = key;
    }
}
#define ZS_DEFINE_LIST_COPIED(BYTES, VALUE, PLACE, CPLACE)                                  \
    ZS_INLINE int64_t zs_list_copied##BYTES##_##PLACE(                                      \
        const uint32_t *keys, int64_t n, int shift, const void *listed,                     \
        CPLACE *restrict places, void *restrict values)                                     \
    {                                                                                       \
        for (int64_t k = 0; k < n; k++) {                                                   \
            if (k + 1 < n && keys[k] >> shift == keys[k + 1] >> shift)                      \
                return k;                                                                   \
            places[k] = (CPLACE)(keys[k] >> shift);                                         \
            const uint32_t number = keys[k] & (((uint32_t)1 << shift) - 1);                 \
            ((VALUE *)values)[k] = ((const VALUE *)listed)[number];                         \
        }                                                                                   \
        return n;                                                                           \
    }
#endif

ZS_DEFINE_LIST_COPIED(4, zs_list_4, uint16, uint16_t)
ZS_DEFINE_LIST_COPIED(4, zs_list_4, int32, int32_t)
ZS_DEFINE_LIST_COPIED(8, zs_list_8, uint16, uint16_t)
ZS_DEFINE_LIST_COPIED(8, zs_list_8, int32, int32_t)

#endif /* ZS_LISTS_H */
