/*
 * zs_lists.h - the products of one short row of a sparse result, listed and put in order.
 *
 * Each product has a key: its place in the row, and below it how many products came before.
 * Sorted keys have the places in order, products of one place in the order in which they came, and
 * say where the value of each is listed.
 */
#ifndef ZS_LISTS_H
#define ZS_LISTS_H

#include "zs_keys.h"

/* Products of a row that are listed, at most; a power of 2, and whole blocks of keys.  More are
   gathered densely.  Sorted one by one, few are worth a list. */
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
