/*
 * zs_keys.h - keys of 32 bits, put in order.
 */
#ifndef ZS_KEYS_H
#define ZS_KEYS_H

#include "zs_kernel.h"

/* Whether keys are sorted by a network over vectors. */
#if defined(__AVX512F__) && (defined(__clang__) || __GNUC__ >= 12)
#define ZS_SORTS_BY_VECTORS 1
#else
#define ZS_SORTS_BY_VECTORS 0
#endif

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

/* zs_keys_chosen() - of each lane the lesser of two; the greater where 'high' has a bit. */
ZS_INLINE zs_keys zs_keys_chosen(zs_keys x, zs_keys other, uint16_t high)
{
    zs_keys found = zs_keys_least(x, other);
    __asm__("vpternlogd $0x96, %2, %1, %0%{%3%}" /* of the three */
            : "+v"(found) : "v"(x), "v"(other), "Yk"(high));
    return found;
}

/* One step of a sorting network: lane i and lane PARTNER(i) in order, the greater where HIGH has
 * a bit. */
#define ZS_KEYS_STEP(x, HIGH, ...)                                                          \
    do {                                                                                    \
        const zs_keys other_ = __builtin_shufflevector(x, x, __VA_ARGS__);                  \
        (x) = zs_keys_chosen(x, other_, HIGH);                                              \
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

/* Two vectors in order, lane by lane. */
#define ZS_KEYS_PAIR(r, a, b)                                                               \
    do {                                                                                    \
        const zs_keys least_ = zs_keys_least(r[a], r[b]);                                   \
        r[b] ^= r[a] ^ least_;                                                              \
        r[a] = least_;                                                                      \
    } while (0)

/* The lanes of two vectors in order with those of the other, lane i with lane PARTNER(i). */
#define ZS_KEYS_CROSS(r, a, b, HIGH, ...)                                                   \
    do {                                                                                    \
        const zs_keys of_a_ = __builtin_shufflevector(r[a], r[a], __VA_ARGS__);             \
        const zs_keys of_b_ = __builtin_shufflevector(r[b], r[b], __VA_ARGS__);             \
        r[a] = zs_keys_chosen(r[a], of_b_, HIGH);                                           \
        r[b] = zs_keys_chosen(r[b], of_a_, HIGH);                                           \
    } while (0)
#define ZS_KEYS_CROSSED(r, ...)                                                             \
    do {                                                                                    \
        ZS_KEYS_CROSS(r, 0, 7, __VA_ARGS__);                                                \
        ZS_KEYS_CROSS(r, 1, 6, __VA_ARGS__);                                                \
        ZS_KEYS_CROSS(r, 2, 5, __VA_ARGS__);                                                \
        ZS_KEYS_CROSS(r, 3, 4, __VA_ARGS__);                                                \
    } while (0)
#define ZS_KEYS_EACH(STEP, r)                                                               \
    do {                                                                                    \
        STEP(r[0]); STEP(r[1]); STEP(r[2]); STEP(r[3]);                                     \
        STEP(r[4]); STEP(r[5]); STEP(r[6]); STEP(r[7]);                                     \
    } while (0)

/* zs_keys_columns() - the columns of eight vectors in order, each of which rises and then falls, or
 * falls and then rises. */
ZS_INLINE void zs_keys_columns(zs_keys r[8])
{
    ZS_KEYS_PAIR(r, 0, 4); ZS_KEYS_PAIR(r, 1, 5); ZS_KEYS_PAIR(r, 2, 6); ZS_KEYS_PAIR(r, 3, 7);
    ZS_KEYS_PAIR(r, 0, 2); ZS_KEYS_PAIR(r, 1, 3); ZS_KEYS_PAIR(r, 4, 6); ZS_KEYS_PAIR(r, 5, 7);
    ZS_KEYS_PAIR(r, 0, 1); ZS_KEYS_PAIR(r, 2, 3); ZS_KEYS_PAIR(r, 4, 5); ZS_KEYS_PAIR(r, 6, 7);
}

/* Lanes of two vectors side by side: 'a' and 'b' in turn, of the lower or the upper half of each
 * 128 bits, in parts of 32 or 64 bits; and quarters of two vectors. */
#define ZS_KEYS_LOW32(a, b)                                                                 \
    __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define ZS_KEYS_HIGH32(a, b)                                                                \
    __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define ZS_KEYS_LOW64(a, b)                                                                 \
    __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define ZS_KEYS_HIGH64(a, b)                                                                \
    __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#define ZS_KEYS_EVEN128(a, b)                                                               \
    __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define ZS_KEYS_ODD128(a, b)                                                                \
    __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)

/* zs_keys_fours() - x[0], x[2], x[4], x[6]: the quarters of four vectors, the first of each first. */
ZS_INLINE void zs_keys_fours(zs_keys_at *x, zs_keys a, zs_keys b, zs_keys c, zs_keys d)
{
    const zs_keys even_ab = ZS_KEYS_EVEN128(a, b), odd_ab = ZS_KEYS_ODD128(a, b);
    const zs_keys even_cd = ZS_KEYS_EVEN128(c, d), odd_cd = ZS_KEYS_ODD128(c, d);
    x[0] = ZS_KEYS_EVEN128(even_ab, even_cd);
    x[4] = ZS_KEYS_ODD128(even_ab, even_cd);
    x[2] = ZS_KEYS_EVEN128(odd_ab, odd_cd);
    x[6] = ZS_KEYS_ODD128(odd_ab, odd_cd);
}

/*
 * zs_keys_block() - eight vectors of keys in order.
 *
 * As sixteen columns of eight, each put in order and then merged two by two: most steps are then
 * between vectors, and take no shuffle.  In the end keys lie column after column.
 */
ZS_INLINE void zs_keys_block(zs_keys_at *x)
{
    zs_keys r[8];
    for (int v = 0; v < 8; v++)
        r[v] = x[v];
    /* odd-even merges (Batcher) of columns of one, two and four */
    ZS_KEYS_PAIR(r, 0, 1); ZS_KEYS_PAIR(r, 2, 3); ZS_KEYS_PAIR(r, 4, 5); ZS_KEYS_PAIR(r, 6, 7);
    ZS_KEYS_PAIR(r, 0, 2); ZS_KEYS_PAIR(r, 1, 3); ZS_KEYS_PAIR(r, 4, 6); ZS_KEYS_PAIR(r, 5, 7);
    ZS_KEYS_PAIR(r, 1, 2); ZS_KEYS_PAIR(r, 5, 6);
    ZS_KEYS_PAIR(r, 0, 4); ZS_KEYS_PAIR(r, 1, 5); ZS_KEYS_PAIR(r, 2, 6); ZS_KEYS_PAIR(r, 3, 7);
    ZS_KEYS_PAIR(r, 2, 4); ZS_KEYS_PAIR(r, 3, 5);
    ZS_KEYS_PAIR(r, 1, 2); ZS_KEYS_PAIR(r, 3, 4); ZS_KEYS_PAIR(r, 5, 6);
    ZS_KEYS_CROSSED(r, 0xAAAA, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
    zs_keys_columns(r);
    ZS_KEYS_CROSSED(r, 0xCCCC, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
    ZS_KEYS_EACH(ZS_KEYS_1, r);
    zs_keys_columns(r);
    ZS_KEYS_CROSSED(r, 0xF0F0, 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8);
    ZS_KEYS_EACH(ZS_KEYS_2, r);
    ZS_KEYS_EACH(ZS_KEYS_1, r);
    zs_keys_columns(r);
    ZS_KEYS_CROSSED(r, 0xFF00, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    ZS_KEYS_EACH(ZS_KEYS_4, r);
    ZS_KEYS_EACH(ZS_KEYS_2, r);
    ZS_KEYS_EACH(ZS_KEYS_1, r);
    zs_keys_columns(r);
    zs_keys upper[4], lower[4]; /* four keys of columns 0, 1, 2, 3 of each 128 bits */
    for (int h = 0; h < 2; h++) {
        zs_keys *four = h ? lower : upper;
        const zs_keys low_a = ZS_KEYS_LOW32(r[4 * h], r[4 * h + 1]);
        const zs_keys low_b = ZS_KEYS_LOW32(r[4 * h + 2], r[4 * h + 3]);
        const zs_keys high_a = ZS_KEYS_HIGH32(r[4 * h], r[4 * h + 1]);
        const zs_keys high_b = ZS_KEYS_HIGH32(r[4 * h + 2], r[4 * h + 3]);
        four[0] = ZS_KEYS_LOW64(low_a, low_b);
        four[1] = ZS_KEYS_HIGH64(low_a, low_b);
        four[2] = ZS_KEYS_LOW64(high_a, high_b);
        four[3] = ZS_KEYS_HIGH64(high_a, high_b);
    }
    zs_keys_fours(x, upper[0], lower[0], upper[1], lower[1]);
    zs_keys_fours(x + 1, upper[2], lower[2], upper[3], lower[3]);
}

/* zs_keys_merge() - 'count' vectors in order, where each run of 'half' is. */
ZS_INLINE void zs_keys_merge(zs_keys_at *x, int64_t half, int64_t count)
{
    for (; half < count; half *= 2)
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

/* zs_keys_few() - some vectors in order, one by one and then merged. */
ZS_INLINE void zs_keys_few(zs_keys_at *x, int64_t count)
{
    for (int64_t v = 0; v < count; v++)
        x[v] = zs_keys_sorted(x[v]);
    zs_keys_merge(x, 1, count);
}

/* Vectors of a block, and from how many on it takes no longer than these one by one. */
#define ZS_KEYS_BLOCK 8
#define ZS_KEYS_MANY 6

/*
 * zs_sort_keys() - put keys[0 .. n) in increasing order.
 *
 * A bitonic network over vectors (K. E. Batcher, Sorting networks and their applications, AFIPS
 * 1968): no branch depends on a key.  It is one of a power of 2 of vectors; those behind the last
 * key would hold nothing but the greatest key, which no step moves, and are left out, but for those
 * of a block.  'keys' has room for whole blocks and for a vector behind the n-th, any of which may
 * be written.
 */
ZS_INLINE void zs_sort_keys(uint32_t *keys, int64_t n)
{
    zs_keys_at *x = (zs_keys_at *)keys;
    const int64_t count = (n + 15) / 16;
    *(zs_keys_at *)(keys + n) = ~(zs_keys){0};
    if (n < 2)
        return;
    if (count < ZS_KEYS_MANY) {
        zs_keys_few(x, count);
        return;
    }
    for (int64_t first = 0; first < count; first += ZS_KEYS_BLOCK) {
        const int64_t some = zs_min(count - first, ZS_KEYS_BLOCK);
        if (some < ZS_KEYS_MANY) {
            zs_keys_few(x + first, some);
            break;
        }
        for (int64_t v = some; v < ZS_KEYS_BLOCK; v++)
            x[first + v] = ~(zs_keys){0};
        zs_keys_block(x + first);
    }
    zs_keys_merge(x, ZS_KEYS_BLOCK, count);
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
#endif

#endif /* ZS_KEYS_H */
