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

/* Products of a row that are listed, at most; a power of 2.  More are gathered densely. */
#define ZS_LIST 512
/* Keys and values past the last that may be written; what they hold means nothing. */
#define ZS_LIST_PAST 16

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

/* zs_list_repeats() - whether two of 'n' sorted keys have the same place. */
ZS_INLINE int zs_list_repeats(const uint32_t *keys, int64_t n, int shift)
{
    uint32_t found = 0;
    for (int64_t k = 1; k < n; k++)
        found |= (keys[k - 1] ^ keys[k]) >> shift == 0;
    return found != 0;
}

#if defined(__AVX512F__) && (defined(__clang__) || __GNUC__ >= 12)
typedef uint32_t zs_keys __attribute__((vector_size(64)));
typedef uint32_t zs_keys_at __attribute__((vector_size(64), aligned(4), may_alias));

/* zs_keys_least(), zs_keys_most() - of each lane the lesser of two, and the greater. */
ZS_INLINE zs_keys zs_keys_least(zs_keys a, zs_keys b)
{
    zs_keys found;
    __asm__("vpminud %2, %1, %0" : "=v"(found) : "v"(a), "v"(b));
    return found;
}
ZS_INLINE zs_keys zs_keys_most(zs_keys a, zs_keys b)
{
    zs_keys found;
    __asm__("vpmaxud %2, %1, %0" : "=v"(found) : "v"(a), "v"(b));
    return found;
}

/* One step of a sorting network: lane i and lane PARTNER(i) in order, the greater where HIGH has
 * a bit. */
#define ZS_KEYS_STEP(x, HIGH, ...)                                                          \
    do {                                                                                    \
        const zs_keys other_ = __builtin_shufflevector(x, x, __VA_ARGS__);                  \
        zs_keys found_ = zs_keys_least(x, other_);                                          \
        __asm__("vpmaxud %2, %1, %0%{%3%}"                                                  \
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
 * 1968): no branch depends on a key.  Keys up to the next power of 2 times 16 are written.
 */
ZS_INLINE void zs_sort_keys(uint32_t *keys, int64_t n)
{
    zs_keys_at *x = (zs_keys_at *)keys;
    int64_t count = 1;
    if (n < 2)
        return;
    for (; count * 16 < n; count *= 2)
        ;
    *(zs_keys_at *)(keys + n) = ~(zs_keys){0};
    for (int64_t v = n / 16 + 1; v < count; v++)
        x[v] = ~(zs_keys){0};
    for (int64_t v = 0; v < count; v++)
        x[v] = zs_keys_sorted(x[v]);
    for (int64_t width = 2; width <= count; width *= 2)
        for (int64_t lo = 0; lo < count; lo += width) {
            for (int64_t a = lo, b = lo + width - 1; a < b; a++, b--) {
                const zs_keys left = x[a], right = zs_keys_turned(x[b]);
                x[a] = zs_keys_least(left, right);
                x[b] = zs_keys_turned(zs_keys_most(left, right));
            }
            for (int64_t step = width / 4; step > 0; step /= 2)
                for (int64_t first = lo; first < lo + width; first += 2 * step)
                    for (int64_t a = first; a < first + step; a++) {
                        const zs_keys left = x[a], right = x[a + step];
                        x[a] = zs_keys_least(left, right);
                        x[a + step] = zs_keys_most(left, right);
                    }
            for (int64_t v = lo; v < lo + width; v++)
                x[v] = zs_keys_merged(x[v]);
        }
}
#else
/* zs_sort_keys() - put keys[0 .. n) in increasing order, n <= ZS_LIST: short runs by insertion,
 * which are then merged. */
ZS_INLINE void zs_sort_keys(uint32_t *keys, int64_t n)
{
    uint32_t merged[ZS_LIST];
    for (int64_t lo = 0; lo < n; lo += 8)
        for (int64_t k = lo + 1; k < zs_min(lo + 8, n); k++) {
            const uint32_t key = keys[k];
            int64_t to = k;
            for (; to > lo && keys[to - 1] > key; to--)
                keys[to] = keys[to - 1];
            keys[to] = key;
        }
    for (int64_t width = 8; width < n; width *= 2) {
        for (int64_t lo = 0; lo < n; lo += 2 * width) {
            const int64_t middle = zs_min(lo + width, n), hi = zs_min(lo + 2 * width, n);
            int64_t a = lo, b = middle;
            for (int64_t k = lo; k < hi; k++) {
                const int first = b >= hi || (a < middle && keys[a] <= keys[b]);
                merged[k] = keys[first ? a : b];
                a += first;
                b += !first;
            }
        }
        __builtin_memcpy(keys, merged, n * sizeof *keys);
    }
}
#endif

#endif /* ZS_LISTS_H */
