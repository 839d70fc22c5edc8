/*
 * zs_packs.h - words of 64 items: which of them are stored, packed together, spread again.
 *
 * An item has WIDTH bytes: 1, 2, 4 or 8.  Each function has a portable twin, for AVX2 some and for
 * AVX-512 all of them are made of the processor's own instructions, and the bits are the same.
 */
#ifndef ZS_PACKS_H
#define ZS_PACKS_H

#include "zs_kernel.h"

#define ZS_FOLDED static inline __attribute__((always_inline, unused))

/* What a packed word may overwrite: this many items from its first on. */
#define ZS_WORD 64

ZS_FOLDED uint64_t zs_item(const void *x, int width, int64_t i)
{
    switch (width) {
    case 1: return ((const uint8_t *)x)[i];
    case 2: return ((const uint16_t *)x)[i];
    case 4: return ((const uint32_t *)x)[i];
    default: return ((const uint64_t *)x)[i];
    }
}

ZS_FOLDED void zs_put(void *x, int width, int64_t i, uint64_t item)
{
    switch (width) {
    case 1: ((uint8_t *)x)[i] = (uint8_t)item; break;
    case 2: ((uint16_t *)x)[i] = (uint16_t)item; break;
    case 4: ((uint32_t *)x)[i] = (uint32_t)item; break;
    default: ((uint64_t *)x)[i] = item;
    }
}

/* zs_mask() - bit i of the result: whether item i of 'n' <= 64 is stored, (item & care) != fill. */
ZS_FOLDED uint64_t zs_mask(const void *from, int width, int64_t n, uint64_t care, uint64_t fill)
{
    uint64_t word = 0;
    for (int64_t i = 0; i < n; i++)
        word |= (uint64_t)((zs_item(from, width, i) & care) != fill) << i;
    return word;
}

/* zs_pack() - the items whose bits are set, one after the other; nothing else is touched. */
ZS_FOLDED void zs_pack(void *to, const void *from, int width, uint64_t word)
{
    for (int64_t p = 0; word; word &= word - 1)
        zs_put(to, width, p++, zs_item(from, width, __builtin_ctzll(word)));
}

/* zs_spread_word() - 'n' <= 64 items: the next of 'from' where a bit is set, 'fill' elsewhere. */
ZS_FOLDED void zs_spread_word(void *to, const void *from, int width, int64_t n, uint64_t word,
                              uint64_t fill)
{
    for (int64_t i = 0, p = 0; i < n; i++) {
        const int stored = word >> i & 1;
        zs_put(to, width, i, stored ? zs_item(from, width, p) : fill);
        p += stored;
    }
}

/*
 * zs_mask_WIDTH(from, care, fill), zs_pack_WIDTH(to, from, word), zs_list_WIDTH(to, first, word),
 * zs_spread_WIDTH(to, from, word, fill) - the same of whole words; and zs_take_WIDTH(to, from,
 * care, fill), which packs what zs_mask_WIDTH() finds and returns that.
 *
 * What packs and lists may overwrite all of ZS_WORD items of 'to'.  What spreads reads as many
 * items as bits are set.
 */
#define ZS_DEFINE_MASK(WIDTH)                                                               \
    ZS_FOLDED uint64_t zs_mask_##WIDTH(const void *from, uint64_t care, uint64_t fill)      \
    {                                                                                       \
        return zs_mask(from, WIDTH, ZS_WORD, care, fill);                                   \
    }
#define ZS_DEFINE_PACK(WIDTH)                                                               \
    ZS_FOLDED void zs_pack_##WIDTH(void *to, const void *from, uint64_t word)               \
    {                                                                                       \
        for (int64_t i = 0, p = 0; i < ZS_WORD; i++) {                                      \
            zs_put(to, WIDTH, p, zs_item(from, WIDTH, i));                                  \
            p += word >> i & 1;                                                             \
        }                                                                                   \
    }
#define ZS_DEFINE_TAKE(WIDTH)                                                               \
    ZS_FOLDED uint64_t zs_take_##WIDTH(void *to, const void *from, uint64_t care, uint64_t fill) \
    {                                                                                       \
        const uint64_t word = zs_mask_##WIDTH(from, care, fill);                            \
        zs_pack_##WIDTH(to, from, word);                                                    \
        return word;                                                                        \
    }
#define ZS_DEFINE_LIST(WIDTH)                                                               \
    ZS_FOLDED void zs_list_##WIDTH(void *to, int64_t first, uint64_t word)                  \
    {                                                                                       \
        for (int64_t i = 0, p = 0; i < ZS_WORD; i++) {                                      \
            zs_put(to, WIDTH, p, (uint64_t)(first + i));                                    \
            p += word >> i & 1;                                                             \
        }                                                                                   \
    }
#define ZS_DEFINE_SPREAD(WIDTH)                                                             \
    ZS_FOLDED void zs_spread_##WIDTH(void *to, const void *from, uint64_t word, uint64_t fill) \
    {                                                                                       \
        zs_spread_word(to, from, WIDTH, ZS_WORD, word, fill);                               \
    }

#if defined(__AVX512F__) && defined(__AVX512BW__)
/*
 * Written as instructions, which every compiler takes: gcc and clang name their builtins apart.
 * A result takes the place of what it is made of, or holds the fill: Zen 4 waits for the old value
 * of its register in any case.
 */
#define ZS_OCTETS(LANE, ALIGN)                                                              \
    LANE __attribute__((vector_size(64), aligned(ALIGN), may_alias))

#define ZS_COMPRESS(COMPRESS, items, set)                                                   \
    __asm__(COMPRESS " %0, %0%{%1%}%{z%}" : "+v"(items) : "Yk"(set))
/*
 * The bits stay in the mask registers from the comparison to what it packs.  Four vectors at most
 * are read and compared before the first is written: stores in between took a quarter longer.
 */
#define ZS_DEFINE_TAKE_AVX512(WIDTH, LANE, SET, COMPARE, COMPRESS)                          \
    ZS_FOLDED uint64_t zs_take_##WIDTH(void *to, const void *from, uint64_t care, uint64_t fill) \
    {                                                                                       \
        typedef ZS_OCTETS(LANE, 64) lanes;                                                  \
        typedef ZS_OCTETS(LANE, 1) lanes_at;                                                \
        enum { TOGETHER = WIDTH < 4 ? WIDTH : 4 };                                          \
        const lanes cared = (lanes){0} + (LANE)care, filled = (lanes){0} + (LANE)fill;      \
        char *out = to;                                                                     \
        uint64_t word = 0;                                                                  \
        _Pragma("GCC unroll 2") for (int first = 0; first < WIDTH; first += TOGETHER) {     \
            lanes items[TOGETHER];                                                          \
            SET sets[TOGETHER];                                                             \
            _Pragma("GCC unroll 4") for (int i = 0; i < TOGETHER; i++) {                    \
                items[i] = ((const lanes_at *)from)[first + i];                             \
                __asm__(COMPARE " $4, %2, %1, %0"                                           \
                        : "=Yk"(sets[i]) : "v"(items[i] & cared), "v"(filled));             \
                word |= (uint64_t)sets[i] << (64 / WIDTH * (first + i));                    \
            }                                                                               \
            _Pragma("GCC unroll 4") for (int i = 0; i < TOGETHER; i++) {                    \
                ZS_COMPRESS(COMPRESS, items[i], sets[i]);                                   \
                *(lanes_at *)out = items[i];                                                \
                out += WIDTH * __builtin_popcountll(sets[i]);                               \
            }                                                                               \
        }                                                                                   \
        return word;                                                                        \
    }
#define ZS_DEFINE_SPREAD_AVX512(WIDTH, LANE, SET, EXPAND)                                   \
    ZS_FOLDED void zs_spread_##WIDTH(void *to, const void *from, uint64_t word, uint64_t fill) \
    {                                                                                       \
        typedef ZS_OCTETS(LANE, 64) lanes;                                                  \
        typedef ZS_OCTETS(LANE, 1) lanes_at;                                                \
        const char *next = from;                                                            \
        _Pragma("GCC unroll 8") for (int i = 0; i < WIDTH; i++) {                           \
            const SET set = (SET)(word >> (64 / WIDTH * i));                                \
            lanes items = (lanes){0} + (LANE)fill;                                          \
            __asm__(EXPAND " %1, %0%{%2%}"                                                  \
                    : "+v"(items) : "m"(*(const lanes_at *)next), "Yk"(set));               \
            ((lanes_at *)to)[i] = items;                                                    \
            next += WIDTH * __builtin_popcountll(set);                                      \
        }                                                                                   \
    }
#define ZS_DEFINE_LIST_AVX512(WIDTH, LANE, SET, COMPRESS, ...)                              \
    ZS_FOLDED void zs_list_##WIDTH(void *to, int64_t first, uint64_t word)                  \
    {                                                                                       \
        typedef ZS_OCTETS(LANE, 64) lanes;                                                  \
        typedef ZS_OCTETS(LANE, 1) lanes_at;                                                \
        const lanes numbers = {__VA_ARGS__};                                                \
        char *out = to;                                                                     \
        _Pragma("GCC unroll 8") for (int i = 0; i < WIDTH; i++) {                           \
            lanes items = numbers + (LANE)(first + 64 / WIDTH * i);                         \
            const SET set = (SET)(word >> (64 / WIDTH * i));                                \
            ZS_COMPRESS(COMPRESS, items, set);                                              \
            *(lanes_at *)out = items;                                                       \
            out += WIDTH * __builtin_popcountll(set);                                       \
        }                                                                                   \
    }
ZS_DEFINE_TAKE_AVX512(4, uint32_t, uint16_t, "vpcmpd", "vpcompressd")
ZS_DEFINE_TAKE_AVX512(8, uint64_t, uint8_t, "vpcmpq", "vpcompressq")
ZS_DEFINE_SPREAD_AVX512(4, uint32_t, uint16_t, "vpexpandd")
ZS_DEFINE_SPREAD_AVX512(8, uint64_t, uint8_t, "vpexpandq")
ZS_DEFINE_LIST_AVX512(4, uint32_t, uint16_t, "vpcompressd",
                      0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
ZS_DEFINE_LIST_AVX512(8, uint64_t, uint8_t, "vpcompressq", 0, 1, 2, 3, 4, 5, 6, 7)
#ifdef __AVX512VBMI2__
ZS_DEFINE_TAKE_AVX512(1, uint8_t, uint64_t, "vpcmpb", "vpcompressb")
ZS_DEFINE_TAKE_AVX512(2, uint16_t, uint32_t, "vpcmpw", "vpcompressw")
ZS_DEFINE_SPREAD_AVX512(1, uint8_t, uint64_t, "vpexpandb")
ZS_DEFINE_SPREAD_AVX512(2, uint16_t, uint32_t, "vpexpandw")
ZS_DEFINE_LIST_AVX512(2, uint16_t, uint32_t, "vpcompressw",
                      0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
                      21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31)
#else
ZS_DEFINE_MASK(1)
ZS_DEFINE_MASK(2)
ZS_DEFINE_PACK(1)
ZS_DEFINE_PACK(2)
ZS_DEFINE_TAKE(1)
ZS_DEFINE_TAKE(2)
ZS_DEFINE_SPREAD(1)
ZS_DEFINE_SPREAD(2)
ZS_DEFINE_LIST(2)
#endif

#elif defined(__AVX2__) && defined(__BMI2__)
#include "zs_packs_avx2.h"
ZS_DEFINE_TAKE(1)
ZS_DEFINE_TAKE(2)
ZS_DEFINE_TAKE(4)
ZS_DEFINE_TAKE(8)
#else
ZS_DEFINE_MASK(1)
ZS_DEFINE_MASK(2)
ZS_DEFINE_MASK(4)
ZS_DEFINE_MASK(8)
ZS_DEFINE_PACK(1)
ZS_DEFINE_PACK(2)
ZS_DEFINE_PACK(4)
ZS_DEFINE_PACK(8)
ZS_DEFINE_TAKE(1)
ZS_DEFINE_TAKE(2)
ZS_DEFINE_TAKE(4)
ZS_DEFINE_TAKE(8)
ZS_DEFINE_LIST(2)
ZS_DEFINE_LIST(4)
ZS_DEFINE_LIST(8)
ZS_DEFINE_SPREAD(1)
ZS_DEFINE_SPREAD(2)
ZS_DEFINE_SPREAD(4)
ZS_DEFINE_SPREAD(8)
#endif

/* zs_word_take() and the others: those of whole words by a width known when it is compiled. */
ZS_FOLDED uint64_t zs_word_take(void *to, const void *from, int width, uint64_t care, uint64_t fill)
{
    switch (width) {
    case 1: return zs_take_1(to, from, care, fill);
    case 2: return zs_take_2(to, from, care, fill);
    case 4: return zs_take_4(to, from, care, fill);
    default: return zs_take_8(to, from, care, fill);
    }
}

ZS_FOLDED void zs_word_list(void *to, int width, int64_t first, uint64_t word)
{
    switch (width) {
    case 2: zs_list_2(to, first, word); break;
    case 4: zs_list_4(to, first, word); break;
    default: zs_list_8(to, first, word);
    }
}

ZS_FOLDED void zs_word_spread(void *to, const void *from, int width, uint64_t word, uint64_t fill)
{
    switch (width) {
    case 1: zs_spread_1(to, from, word, fill); break;
    case 2: zs_spread_2(to, from, word, fill); break;
    case 4: zs_spread_4(to, from, word, fill); break;
    default: zs_spread_8(to, from, word, fill);
    }
}

#endif /* ZS_PACKS_H */
