/*
 * zs_codecs.c - dense arrays to bitmasks and lists of coordinates, and back.
 *
 * An array is 'rows' rows of 'extent' items of 'width' bytes (1, 2, 4 or 8), taken as bits: an
 * item is stored where (item & care) != fill.  With care = all bits but the sign and fill = 0
 * these are the floats that are not zero: NaN is stored, -0.0 is not.  A row has
 * ceil(extent / 64) words, coordinate c at bit c % 64 of word c / 64; bits past 'extent' are 0.
 * 'rank' holds for each word the bits set in all words before it.
 *
 * Paths for AVX2 stand beside portable ones that give the same bits.
 */
#include "zs_kernel.h"

#define ZS_FOLDED static inline __attribute__((always_inline, unused))

/* Words with fewer bits are walked bit by bit, others whole. */
#define ZS_FEW 8

typedef int16_t zs_shorts __attribute__((vector_size(16)));
typedef int8_t zs_octet __attribute__((vector_size(8)));
#if defined(__AVX2__) && defined(__BMI2__)
#define ZS_WIDE 1
typedef char zs_v1 __attribute__((vector_size(32)));
typedef int16_t zs_v2 __attribute__((vector_size(32)));
typedef int32_t zs_v4 __attribute__((vector_size(32)));
typedef long long zs_v8 __attribute__((vector_size(32)));
typedef float zs_f4 __attribute__((vector_size(32)));
typedef double zs_f8 __attribute__((vector_size(32)));
#endif

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

/* zs_word() - the mask of the 'n' <= 64 items from item 'at' on. */
ZS_FOLDED uint64_t zs_word(const void *x, int width, int64_t at, int64_t n, uint64_t care,
                           uint64_t fill)
{
    uint64_t word = 0;
#ifdef ZS_WIDE
    if (n == 64) {
        const char *from = (const char *)x + at * width;
        for (int i = 0; i < 2 * width; i++, from += 32) {
            if (width == 1) {
                zs_v1 v;
                __builtin_memcpy(&v, from, 32);
                v = (zs_v1)((v & (char)care) != (char)fill);
                word |= (uint64_t)(uint32_t)__builtin_ia32_pmovmskb256(v) << (32 * i);
            } else if (width == 2) {
                zs_v2 v;
                __builtin_memcpy(&v, from, 32);
                v = (zs_v2)((v & (int16_t)care) != (int16_t)fill);
                const uint32_t pairs = (uint32_t)__builtin_ia32_pmovmskb256((zs_v1)v);
                word |= (uint64_t)__builtin_ia32_pext_si(pairs, 0x55555555u) << (16 * i);
            } else if (width == 4) {
                zs_v4 v;
                __builtin_memcpy(&v, from, 32);
                v = (zs_v4)((v & (int32_t)care) != (int32_t)fill);
                word |= (uint64_t)(uint32_t)__builtin_ia32_movmskps256((zs_f4)v) << (8 * i);
            } else {
                zs_v8 v;
                __builtin_memcpy(&v, from, 32);
                v = (zs_v8)((v & (long long)care) != (long long)fill);
                word |= (uint64_t)(uint32_t)__builtin_ia32_movmskpd256((zs_f8)v) << (4 * i);
            }
        }
        return word;
    }
#endif
    for (int64_t i = 0; i < n; i++)
        word |= (uint64_t)((zs_item(x, width, at + i) & care) != fill) << i;
    return word;
}

ZS_FOLDED int32_t zs_masks_of(zs_args *args, int width)
{
    const void *x = args->buf[0];
    uint64_t *words = args->buf[1];
    int64_t *rank = args->buf[2];
    const int64_t rows = args->dim[0], extent = args->dim[1];
    const uint64_t care = (uint64_t)args->dim[3], fill = (uint64_t)args->dim[4];
    int64_t at = 0, seen = 0;
    for (int64_t row = 0; row < rows; row++) {
        ZS_POLL(args);
        for (int64_t c = 0; c < extent; c += 64, at++) {
            const int64_t n = extent - c < 64 ? extent - c : 64;
            words[at] = zs_word(x, width, row * extent + c, n, care, fill);
            rank[at] = seen;
            seen += __builtin_popcountll(words[at]);
        }
    }
    rank[at] = seen;
    return ZS_OK;
}

/*
 * zs_masks() - words and ranks of an array; the last of the ranks, one past the words', is the
 * number of stored items.
 *
 * buf: array, words, rank.  dim: rows, extent, width, care, fill.
 */
int32_t zs_masks(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    switch (args->dim[2]) {
    case 1: return zs_masks_of(args, 1);
    case 2: return zs_masks_of(args, 2);
    case 4: return zs_masks_of(args, 4);
    default: return zs_masks_of(args, 8);
    }
}

/* zs_lanes() - for each octet of a mask the places of its set bits, first to last, then 0. */
ZS_INLINE void zs_lanes(uint8_t (*lanes)[8])
{
    for (int octet = 0; octet < 256; octet++) {
        int n = 0;
        for (int bit = 0; bit < 8; bit++)
            lanes[octet][bit] = 0;
        for (int bit = 0; bit < 8; bit++)
            if (octet >> bit & 1)
                lanes[octet][n++] = (uint8_t)bit;
    }
}

ZS_FOLDED int32_t zs_values_of(zs_args *args, int width)
{
    const void *x = args->buf[0];
    const uint64_t *words = args->buf[1];
    void *values = args->buf[2];
    const int64_t rows = args->dim[0], extent = args->dim[1], total = args->dim[3];
    int64_t at = 0, p = 0;
#ifdef ZS_WIDE
    uint8_t lanes[256][8];
    int32_t lanes4[256][8];
    if (width == 4) {
        zs_lanes(lanes);
        for (int i = 0; i < 256 * 8; i++)
            lanes4[i / 8][i % 8] = lanes[i / 8][i % 8];
    }
#endif
    for (int64_t row = 0; row < rows; row++) {
        ZS_POLL(args);
        for (int64_t c = 0; c < extent; c += 64, at++) {
            uint64_t word = words[at];
            const int64_t from = row * extent + c;
            const int count = __builtin_popcountll(word);
            if (count <= ZS_FEW || p + 64 > total || c + 64 > extent) {
                if (p + count > total)
                    return zs_fail(args, ZS_ERANGE, at);
                for (; word; word &= word - 1)
                    zs_put(values, width, p++, zs_item(x, width, from + __builtin_ctzll(word)));
                continue;
            }
#ifdef ZS_WIDE
            if (width == 4) {
                for (int i = 0; i < 64; i += 8) {
                    const unsigned octet = word >> i & 255;
                    zs_v4 v, places;
                    __builtin_memcpy(&places, lanes4[octet], 32);
                    __builtin_memcpy(&v, (const char *)x + 4 * (from + i), 32);
                    v = (zs_v4)__builtin_ia32_permvarsi256(v, places);
                    __builtin_memcpy((char *)values + 4 * p, &v, 32);
                    p += __builtin_popcount(octet);
                }
                continue;
            }
#endif
            for (int i = 0; i < 64; i++) { /* p grows by 64 at most, so all of it is in range */
                zs_put(values, width, p, zs_item(x, width, from + i));
                p += word >> i & 1;
            }
        }
    }
    return ZS_OK;
}

/*
 * zs_values() - the stored items of an array, in order.
 *
 * buf: array, words, values.  dim: rows, extent, width, how many values there are.
 */
int32_t zs_values(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    switch (args->dim[2]) {
    case 1: return zs_values_of(args, 1);
    case 2: return zs_values_of(args, 2);
    case 4: return zs_values_of(args, 4);
    default: return zs_values_of(args, 8);
    }
}

ZS_FOLDED int32_t zs_coordinates_of(zs_args *args, int width)
{
    const uint64_t *words = args->buf[0];
    void *crd = args->buf[1];
    const int64_t rows = args->dim[0], extent = args->dim[1], total = args->dim[3];
    int64_t at = 0, p = 0;
    uint8_t lanes[256][8];
    zs_lanes(lanes);
    for (int64_t row = 0; row < rows; row++) {
        ZS_POLL(args);
        for (int64_t c = 0; c < extent; c += 64, at++) {
            uint64_t word = words[at];
            const int count = __builtin_popcountll(word);
            if (count <= ZS_FEW || p + 64 > total) {
                if (p + count > total)
                    return zs_fail(args, ZS_ERANGE, at);
                for (; word; word &= word - 1)
                    zs_put(crd, width, p++, (uint64_t)(c + __builtin_ctzll(word)));
                continue;
            }
            for (int i = 0; i < 64; i += 8) { /* eight are written, those that count are kept */
                const unsigned octet = word >> i & 255;
                if (width == 2) {
                    zs_octet places;
                    __builtin_memcpy(&places, lanes[octet], 8);
                    const zs_shorts made =
                        __builtin_convertvector(places, zs_shorts) + (int16_t)(c + i);
                    __builtin_memcpy((char *)crd + 2 * p, &made, 16);
                } else {
                    for (int lane = 0; lane < 8; lane++)
                        zs_put(crd, width, p + lane, (uint64_t)(c + i + lanes[octet][lane]));
                }
                p += __builtin_popcount(octet);
            }
        }
    }
    return ZS_OK;
}

/*
 * zs_coordinates() - the coordinates in their rows of all set bits, in order.
 *
 * buf: words, crd.  dim: rows, extent, width of a coordinate (2, 4, 8), how many there are.
 */
int32_t zs_coordinates(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    switch (args->dim[2]) {
    case 2: return zs_coordinates_of(args, 2);
    case 4: return zs_coordinates_of(args, 4);
    default: return zs_coordinates_of(args, 8);
    }
}

ZS_FOLDED int32_t zs_spread_of(zs_args *args, int width)
{
    const uint64_t *words = args->buf[0];
    const void *values = args->buf[1];
    void *x = args->buf[2];
    const int64_t rows = args->dim[0], extent = args->dim[1], total = args->dim[3];
    const uint64_t fill = (uint64_t)args->dim[4];
    int64_t at = 0, p = 0;
#ifdef ZS_WIDE
    int32_t before[256][8]; /* for each octet, how many of its bits are set before each */
    if (width == 4)
        for (int i = 0; i < 256 * 8; i++)
            before[i / 8][i % 8] = __builtin_popcount((i / 8) & ((1 << i % 8) - 1));
#endif
    for (int64_t row = 0; row < rows; row++) {
        ZS_POLL(args);
        for (int64_t c = 0; c < extent; c += 64, at++) {
            uint64_t word = words[at];
            const int64_t to = row * extent + c;
            const int count = __builtin_popcountll(word);
            if (extent - c < 64 && word >> (extent - c))
                return zs_fail(args, ZS_ERANGE, at);
            if (count <= ZS_FEW || p + 64 > total || c + 64 > extent) {
                if (p + count > total)
                    return zs_fail(args, ZS_ERANGE, at);
                for (; word; word &= word - 1)
                    zs_put(x, width, to + __builtin_ctzll(word), zs_item(values, width, p++));
                continue;
            }
#ifdef ZS_WIDE
            if (width == 4) {
                const zs_v4 bits = {1, 2, 4, 8, 16, 32, 64, 128};
                for (int i = 0; i < 64; i += 8) {
                    const int octet = (int)(word >> i & 255);
                    zs_v4 v, places;
                    __builtin_memcpy(&places, before[octet], 32);
                    __builtin_memcpy(&v, (const char *)values + 4 * p, 32);
                    v = (zs_v4)__builtin_ia32_permvarsi256(v, places);
                    const zs_v4 keep = (zs_v4)((bits & octet) != 0);
                    v = (v & keep) | (~keep & (int32_t)fill);
                    __builtin_memcpy((char *)x + 4 * (to + i), &v, 32);
                    p += __builtin_popcount((unsigned)octet);
                }
                continue;
            }
#endif
            for (int i = 0; i < 64; i++) { /* p stays below p + 64, so all reads are in range */
                const uint64_t keep = -(word >> i & 1);
                zs_put(x, width, to + i, (zs_item(values, width, p) & keep) | (fill & ~keep));
                p += word >> i & 1;
            }
        }
    }
    return p == total ? ZS_OK : zs_fail(args, ZS_ERANGE, at);
}

/*
 * zs_spread() - the values of a bitmask into an array that holds its fill everywhere.
 *
 * ZS_ERANGE where a bit lies past 'extent', or bits and values differ in number.
 * buf: words, values, array.  dim: rows, extent, width, how many values there are, fill's bits.
 */
int32_t zs_spread(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    switch (args->dim[2]) {
    case 1: return zs_spread_of(args, 1);
    case 2: return zs_spread_of(args, 2);
    case 4: return zs_spread_of(args, 4);
    default: return zs_spread_of(args, 8);
    }
}

ZS_FOLDED int32_t zs_scatter_of(zs_args *args, int width, int crd_width)
{
    const int64_t *pos = args->buf[0];
    const void *crd = args->buf[1], *values = args->buf[2];
    char *x = args->buf[3];
    const int64_t rows = args->dim[0], extent = args->dim[1], total = args->dim[4];
    for (int64_t row = 0; row < rows; row++) {
        ZS_POLL(args);
        if (pos[row] < 0 || pos[row + 1] > total)
            return zs_fail(args, ZS_ERANGE, row);
        char *to = x + row * extent * width;
        for (int64_t p = pos[row]; p < pos[row + 1]; p++) {
            const uint64_t c = zs_item(crd, crd_width, p);
            if (c >= (uint64_t)extent)
                return zs_fail(args, ZS_ERANGE, p);
            zs_put(to, width, (int64_t)c, zs_item(values, width, p));
        }
    }
    return ZS_OK;
}

ZS_FOLDED int32_t zs_scatter_by(zs_args *args, int width)
{
    switch (args->dim[3]) {
    case 2: return zs_scatter_of(args, width, 2);
    case 4: return zs_scatter_of(args, width, 4);
    default: return zs_scatter_of(args, width, 8);
    }
}

/*
 * zs_scatter() - the values of lists of coordinates into an array that holds its fill.
 *
 * ZS_ERANGE where a pointer or a coordinate leads out of the arrays.
 * buf: pos, crd, values, array.  dim: rows, extent, width, width of a coordinate, how many
 * values there are.
 */
int32_t zs_scatter(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    switch (args->dim[2]) {
    case 1: return zs_scatter_by(args, 1);
    case 2: return zs_scatter_by(args, 2);
    case 4: return zs_scatter_by(args, 4);
    default: return zs_scatter_by(args, 8);
    }
}
